"""`unregistered`: a backbone alone, for pairs that are aligned and to see what registration adds."""

import numpy as np
import torch

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.systems.agreement import as_recorded


class Unregistered:
    """Fuses the thermal image as it lies, stretched over the visible one; see `systems.base.System`."""

    devices = ('cuda', 'cpu')
    precision = 'float32'

    def __init__(self, backbone: Backbone, device: str):
        self.network = backbone
        self._device = device

    def reset(self) -> None:
        """Nothing is kept of a stream."""

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Move nothing, and say how well the pair agrees as it is."""
        return as_recorded(thermal, visible, self._device)

    @torch.inference_mode()
    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        pair = [layers.tensor_of(image, self._device) for image in (visible, thermal)]
        fused = self.network(*pair)[0, 0].cpu().numpy()
        return visible + (fused - visible) * trust

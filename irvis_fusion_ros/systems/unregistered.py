"""`unregistered`: a backbone alone, for pairs that are aligned and to see what registration adds."""

import numpy as np
import torch

from irvis_fusion_ros.alignment import Alignment, identity
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.networks import layers


class Unregistered:
    """Fuses the thermal image as it lies, stretched over the visible one; see `systems.base.System`."""

    devices = ('cuda', 'cpu')

    def __init__(self, backbone: Backbone, device: str):
        self.network = backbone
        self._device = device

    def reset(self) -> None:
        """Nothing is kept of a stream."""

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Move nothing; see `systems.base.System.register`."""
        return identity()

    @torch.inference_mode()
    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        pair = [layers.tensor_of(image, self._device) for image in (visible, thermal)]
        fused = self.network(*pair)[0, 0].cpu().numpy()
        return visible + (fused - visible) * trust

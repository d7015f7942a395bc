"""`unregistered`: a backbone alone, for aligned pairs and as a baseline that shows what registration adds."""

import numpy as np
import torch

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.systems.agreement import as_recorded


class Unregistered:
    """Fuses without registration, thermal stretched to the visible grid; see `systems.base.System`."""

    devices = ('cuda', 'cpu')
    precision = 'float32'

    STREAM = ()

    def __init__(self, backbone: Backbone, device: str):
        self.network = backbone
        self.takes_rgb = backbone.takes_rgb
        self._device = device

    def reset(self) -> None:
        """Do nothing: the system keeps no state of a stream."""

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Return identity with the agreement of the pair as its confidence."""
        return as_recorded(thermal, visible, self._device)

    @torch.inference_mode()
    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness or colours; see `systems.base.System.fuse`."""
        pair = [layers.tensor_of(image, self._device) for image in (visible, thermal)]
        return color.faded(visible, layers.image_of(self.network(*pair)), trust)

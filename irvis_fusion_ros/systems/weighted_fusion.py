"""Fuses full-size images by weights of brightness and detail that a network predicts at a reduced size."""

from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from irvis_fusion_ros.backends.device import Recorded, prepare
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.busref import DETAIL
from irvis_fusion_ros.networks.working_grid import WorkingGrid


class WeightingNetwork(Protocol):
    """The interface of a network; `networks.busref.BusReF` documents layouts. pixels: size of its input."""

    pixels: int

    def fusion_weights(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the share of thermal brightness, and the gains of visible and thermal detail."""


class WeightedFusion:
    """Fuses by the weights of a network; see `systems.base.System.fuse`."""

    def __init__(self, network: WeightingNetwork, device: str):
        self._network = prepare(network, device)
        self._weigh = Recorded(network.fusion_weights, device)
        self._device = device

    @torch.inference_mode()
    def __call__(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        grid = WorkingGrid(visible.shape, self._network.pixels)
        small = (layers.tensor_of(grid.visible(image), self._device) for image in (visible, thermal))
        weights = self._weigh(*small)[0].cpu().numpy()
        size = visible.shape[::-1]
        share, visible_gain, thermal_gain = (
            cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in weights
        )
        sigma = DETAIL / float(grid.scale.mean())
        low_visible, low_thermal = (cv2.GaussianBlur(image, (0, 0), sigma) for image in (visible, thermal))
        fused = low_visible + share * (low_thermal - low_visible)
        fused += visible_gain * (visible - low_visible)
        fused += thermal_gain * (thermal - low_thermal)
        np.clip(fused, 0, 1, out=fused)
        return visible + (fused - visible) * trust

"""Runs FusionRegister as a system: it corrects, at full size, the image that a backbone fused."""

import numpy as np
import torch
from torch import Tensor

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.backends.device import Recorded, half_of, precision_of
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.fusion_register import FusionRegister
from irvis_fusion_ros.systems.agreement import as_recorded
from irvis_fusion_ros.systems.base import Correction
from irvis_fusion_ros.systems.tracking import gain_of


class PostFusion:
    """
    Registers after fusion; see `systems.base.PostRegistration`.

    The features of the network are computed in half precision on devices where that is faster; images and
    fields stay in single precision. temporal: smooth the measured misregistration over the stream. half:
    whether to use half precision, None for the default of the device. alone: run the network without its
    evidence, for evaluation.
    """

    devices = ('cuda', 'cpu')

    def __init__(
        self,
        network: FusionRegister,
        backbone: Backbone,
        device: str,
        temporal: bool = False,
        half: bool | None = None,
        alone: bool = False,
    ):
        kind = half_of(device)
        if half is not None:
            kind = (kind or torch.bfloat16) if half else None
        network = network.to(device, memory_format=torch.channels_last).eval()
        self.network = network.with_features_in(kind)
        self.precision = precision_of(kind)
        self.backbone = backbone
        # what is measured is smoothed over the stream before the network uses it
        self._measure = None
        if network.config.evidence and not alone:
            self._measure = Recorded(lambda *pair: (network.evidence.measure(*pair),), device)
        elif network.config.compare:
            self._measure = Recorded(network.measure, device)
        self._alone = alone
        self._correct = Recorded(self._run, device)
        self._device = device
        self._temporal = temporal
        self.reset()

    def reset(self) -> None:
        """Drop the state of the stream."""
        self._misplaced: Tensor | None = None
        self._frames = 0

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Return identity; its confidence is the agreement of the pair. Corrections follow after fusion."""
        return as_recorded(thermal, visible, self._device)

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        return self.correct(visible, thermal, trust).fused

    @torch.inference_mode()
    def correct(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> Correction:
        """Fuse and correct; see `systems.base.PostRegistration.correct`."""
        height, width = visible.shape
        pair = [layers.tensor_of(image, self._device) for image in (visible, thermal)]
        images = [layers.padded(image, self.network.multiple) for image in (self.backbone(*pair), *pair)]
        if self._measure is not None:
            misplaced, *features = self._measure(*images[1:])
            images += [self._smooth(misplaced), *features]
        fused, effective, mask = self._correct(*images)
        fused = fused[0, 0, :height, :width].clamp(0, 1).cpu().numpy()
        return Correction(
            visible + (fused - visible) * trust,
            effective[0, :height, :width].cpu().numpy(),
            mask[0, 0, :height, :width].cpu().numpy(),
        )

    def _smooth(self, misplaced: Tensor) -> Tensor:
        """Return the measurement of a frame, smoothed over the stream."""
        last = self._misplaced
        if self._temporal and last is not None and last.shape == misplaced.shape:
            change = misplaced - last
            misplaced = last + gain_of(self._frames, change.norm(dim=-1).mean()) * change
        else:
            self._frames = 0
        self._misplaced = misplaced
        self._frames += 1
        return misplaced

    def _run(self, *images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.network(*images, alone=self._alone)
        return found.fused, found.effective, found.mask

"""Runs FusionRegister as a system: it corrects, at full size, the image that a backbone fused."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.backbones.base import Backbone, brightness
from irvis_fusion_ros.backends.device import Recorded, half_of, precision_of
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.fusion_register import FusionRegister, sample
from irvis_fusion_ros.systems.agreement import as_recorded
from irvis_fusion_ros.systems.base import Correction
from irvis_fusion_ros.systems.tracking import gain_of

# Pixels that the network sees at most: images of more are reduced by a whole factor. What it found is brought
# back to full size, where the image is warped once. It was trained on images of 200,000 pixels. Two LLVIP
# pairs, 1280x1024 and moved by `fr`, gain 3 and 5 dB at half their size, the first +0.02 dB at full size;
# 640x480 pairs gain more at full size. 768x576 is not reduced, and 1920x1080 is to 640x360.
PIXELS = 450_000


class PostFusion:
    """
    Registers after fusion; see `systems.base.PostRegistration`.

    The features of the network are computed in half precision on devices where that is faster; images and
    fields stay in single precision. temporal: smooth the measured misregistration over the stream. half:
    whether to use half precision, None for the default of the device. alone: run the network without its
    evidence, for evaluation. pixels: the largest number of pixels that the network sees.
    """

    devices = ('cuda', 'cpu')

    STREAM = ('_misplaced', '_frames')

    def __init__(
        self,
        network: FusionRegister,
        backbone: Backbone,
        device: str,
        temporal: bool = False,
        half: bool | None = None,
        alone: bool = False,
        pixels: int = PIXELS,
    ):
        kind = half_of(device)
        if half is not None:
            kind = (kind or torch.bfloat16) if half else None
        network = network.to(device, memory_format=torch.channels_last).eval()
        self.network = network.with_features_in(kind)
        self.precision = precision_of(kind)
        self.backbone = backbone
        self.takes_rgb = backbone.takes_rgb
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
        self._pixels = pixels
        self.reset()

    def reset(self) -> None:
        """Drop the state of the stream."""
        self._misplaced: Tensor | None = None
        self._frames = 0

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Return identity; its confidence is the agreement of the pair. Corrections follow after fusion."""
        return as_recorded(thermal, visible, self._device)

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness or colours; see `systems.base.System.fuse`."""
        return self.correct(visible, thermal, trust).fused

    @torch.inference_mode()
    def correct(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> Correction:
        """Fuse and correct; see `systems.base.PostRegistration.correct`."""
        height, width = visible.shape[:2]
        factor = math.ceil((height * width / self._pixels) ** 0.5)
        multiple = self.network.multiple * factor
        pair = [layers.tensor_of(image, self._device) for image in (visible, thermal)]
        fused = layers.padded(self.backbone(*pair), multiple)
        pair = [layers.padded(brightness(image), multiple) for image in pair]
        if factor > 1:
            pair = [F.avg_pool2d(image, factor) for image in pair]
        measured = ()
        if self._measure is not None:
            misplaced, *features = self._measure(*pair)
            measured = self._smooth(misplaced), *features
        corrected, effective, mask = self._correct(fused, *pair, *measured)
        corrected = layers.image_of(corrected[..., :height, :width].clamp(0, 1))
        return Correction(
            color.faded(visible, corrected, trust),
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

    def _run(self, fused: Tensor, *images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Return the corrected image, its effective field and M, at the size of the fused image.

        fused: brightness or colours. images: the sources, reduced where that is needed, and what was
        measured.
        """
        factor = fused.shape[-1] // images[0].shape[-1]
        seen = brightness(fused)
        seen = F.avg_pool2d(seen, factor) if factor > 1 else seen
        found = self.network(seen, *images, alone=self._alone)
        if factor == 1 and fused.shape[1] == 1:
            return found.fused, found.effective, found.mask
        # Details come from the image, warped once at full size and in all its colours, and the rest of its
        # brightness from the network. A blend of both directions, as the network makes it, would leave ghosts
        # of details, which the texture that it restores at the reduced size cannot remove.
        shape = fused.shape[-2:]
        backward = -found.field if self.network.config.two_way else torch.zeros_like(found.field)
        likely = torch.where(found.mask.movedim(1, -1) < 0.5, backward, found.field)
        field, effective = (factor * layers.on_grid(each, shape) for each in (likely, found.effective))
        warped = sample(fused, field, 'bicubic')
        left = found.fused - F.avg_pool2d(brightness(warped), factor)
        left, mask = (
            F.interpolate(plane, shape, mode='bilinear', align_corners=False) for plane in (left, found.mask)
        )
        return warped + left, effective, mask

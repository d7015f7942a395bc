"""Fusion without weights: `average`, `max` and `laplacian`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.networks import layers

# Pyramid levels of `laplacian`, and the blur, in pixels, over which local energy is compared.
LEVELS, NEIGHBOURHOOD = 4, 1.0


class Average(nn.Module):
    """The mean of both images."""

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness, B x 1 x H x W."""
        return (visible + thermal) / 2


class Maximum(nn.Module):
    """The brighter image at each pixel."""

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness, B x 1 x H x W."""
        return torch.maximum(visible, thermal)


class Laplacian(nn.Module):
    """
    The stronger detail at each place and scale, on top of the mean of the coarsest level.

    Laplacian pyramids (Burt and Adelson, 1983) with a choice by the larger local energy (Burt and
    Kolczynski, 1993). Sides must be multiples of 2^LEVELS.
    """

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness, B x 1 x H x W; the result may overshoot a little."""
        details = []
        for _ in range(LEVELS):
            coarse = [F.avg_pool2d(layers.blur(image, 1.0), 2) for image in (visible, thermal)]
            v, t = (image - self._up(below) for image, below in zip((visible, thermal), coarse, strict=True))
            stronger = layers.blur(t * t, NEIGHBOURHOOD) > layers.blur(v * v, NEIGHBOURHOOD)
            details.append(torch.where(stronger, t, v))
            visible, thermal = coarse
        fused = (visible + thermal) / 2
        for detail in reversed(details):
            fused = self._up(fused) + detail
        return fused

    @staticmethod
    def _up(image: Tensor) -> Tensor:
        return F.interpolate(image, scale_factor=2, mode='bilinear', align_corners=False)


def average() -> Backbone:
    """Return the backbone `average`."""
    return Backbone('average', Average())


def maximum() -> Backbone:
    """Return the backbone `max`."""
    return Backbone('max', Maximum())


def laplacian() -> Backbone:
    """Return the backbone `laplacian`."""
    return Backbone('laplacian', Laplacian(), multiple=1 << LEVELS)

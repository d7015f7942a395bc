"""Fusion without weights: `average` and `max`."""

import torch
from torch import Tensor, nn

from irvis_fusion_ros.systems.backbones.base import Backbone


def backbone(name: str) -> Backbone:
    """Return one of FUSIONS."""
    return Backbone(name, FUSIONS[name]())


class Average(nn.Module):
    """The mean of both."""

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness, B x 1 x H x W."""
        return (visible + thermal) / 2


class Maximum(nn.Module):
    """The brighter one at each pixel."""

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness, B x 1 x H x W."""
        return torch.maximum(visible, thermal)


FUSIONS = {'average': Average, 'max': Maximum}

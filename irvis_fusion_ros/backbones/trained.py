"""Fusion networks with weights of ours: `gaf`, the fusion network of BusReF, and `cnn`."""

import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks.busref import DETAIL, BusReF, blend
from irvis_fusion_ros.networks.cnn import Cnn
from irvis_fusion_ros.networks.working_grid import WorkingGrid

# Levels of the bus that the fusion network uses (BusReF.fusion_weights).
LEVELS = 2


class BusReFFusion(nn.Module):
    """
    The fusion of BusReF: the two finest levels of the bus and the fusion network; all other parts are
    dropped.

    As in the preset, fusion weights of large images are computed at the resolution of the training.
    """

    def __init__(self, network: BusReF):
        super().__init__()
        for part in ('describe', 'search', 'affine', 'deformable'):
            delattr(network, part)
        del network.bus.up, network.bus.last
        for levels in (network.bus.down, network.bus.rfe):
            del levels[LEVELS:]
        self.network = network

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness, B x 1 x H x W."""
        grid = WorkingGrid(tuple(visible.shape[-2:]), self.network.pixels)
        if grid.scale.min() >= 1:
            return self.network.fuse(visible, thermal)
        small = (F.interpolate(image, size=grid.shape, mode='area') for image in (visible, thermal))
        shares = self.network.fusion_weights(*small)
        shares = F.interpolate(shares, size=grid.full, mode='bilinear', align_corners=False)
        return blend(visible, thermal, shares, DETAIL / float(grid.scale.mean()))


def gaf() -> Backbone:
    """Return the gradient-aware fusion of BusReF; raises FileError without its weights."""
    return Backbone('gaf', BusReFFusion(weights.into(BusReF(), 'busref', 'busref')))


def cnn() -> Backbone:
    """Return the two convolutions; raises FileError without their weights."""
    return Backbone('cnn', weights.into(Cnn(), 'cnn', 'cnn'))

"""Fusion networks with weights of ours: `gaf`, that of BusReF, and `cnn`."""

from torch import Tensor, nn

from irvis_fusion_ros import weights
from irvis_fusion_ros.systems.backbones.base import Backbone
from irvis_fusion_ros.systems.backbones.cnn import Cnn
from irvis_fusion_ros.systems.busref import BusReF

# Levels of the bus that it fuses from (BusReF.fusion_weights).
LEVELS = 2


class Fusing(nn.Module):
    """What BusReF fuses with, the bus at its two finest levels and the fusion net; the rest is dropped."""

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
        return self.network.fuse(visible, thermal)


def gaf() -> Backbone:
    """Return the gradient-aware fusion of BusReF; raises FileError without its weights."""
    return Backbone('gaf', Fusing(weights.into(BusReF(), 'busref', 'busref')))


def cnn() -> Backbone:
    """Return the two convolutions; raises FileError without their weights."""
    return Backbone('cnn', weights.into(Cnn(), 'cnn', 'cnn'))

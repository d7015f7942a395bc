"""`targets`: a small encoder and decoder that says where things stand out of a thermal image, ours."""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import option

# Sides that an image is padded to multiples of: at the coarsest scales half a cell more or less is no matter.
MULTIPLE = 16


@dataclass(frozen=True)
class TargetFinderConfig:
    """Its size."""

    channels: tuple[int, ...] = option(
        (8, 20, 32, 48, 48),
        'Channels at each scale, from half the sides of the image, each next one halved again.',
    )


class TargetFinder(nn.Module):
    """
    Finds compact things that are warmer than what is around them, from people far away to ones close by.

    It sees the thermal image alone, small and stretched between its percentiles, so that gain and depth do
    not matter, and gives a value for each 2 x 2 pixels of it.
    """

    def __init__(self, config: TargetFinderConfig = TargetFinderConfig()):
        super().__init__()
        self.config = config
        wide = config.channels
        steps = list(itertools.pairwise(wide))
        self.stem = _step(1, wide[0], 2)
        self.down = nn.ModuleList(nn.Sequential(_step(a, b, 2), _step(b, b)) for a, b in steps)
        # dilated, so that the largest things are seen with what is around them
        self.mid = nn.Sequential(nn.Conv2d(wide[-1], wide[-1], 3, 1, 2, 2), nn.ReLU(inplace=True))
        self.lat = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in reversed(steps))
        self.up = nn.ModuleList(_step(a, a) for a, _ in reversed(steps))
        self.head = nn.Conv2d(wide[0], 1, 1)

    def forward(self, thermal: Tensor) -> Tensor:
        """Return B x 1 x H/2 x W/2 logits of a target, of stretched brightness B x 1 x H x W in [0, 1]."""
        levels = [self.stem(thermal)]
        for down in self.down:
            levels.append(down(levels[-1]))
        coarse = levels.pop()
        coarse = coarse + self.mid(coarse)
        for lateral, up in zip(self.lat, self.up, strict=True):
            finer = levels.pop()
            coarse = F.interpolate(
                lateral(coarse), size=finer.shape[-2:], mode='bilinear', align_corners=False
            )
            coarse = up(coarse + finer)
        return self.head(coarse)

    @torch.inference_mode()
    def find(self, thermal: Tensor) -> Tensor:
        """Return the same as a probability, of images of any even sides."""
        height, width = thermal.shape[-2:]
        rest = [-side % MULTIPLE for side in (width, height)]
        padded = F.pad(thermal, (0, rest[0], 0, rest[1]), mode='replicate')
        return torch.sigmoid(self(padded))[..., : height // 2, : width // 2]


def _step(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(inplace=True))

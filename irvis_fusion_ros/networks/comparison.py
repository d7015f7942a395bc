"""
How far the two sources of a fused image are apart, found by FusionRegister itself; not in its paper.

Convolutions of a fused image see a ghost, but to say how far it is off, places of one source have to be
compared with places of the other over a range of shifts, which they do not do. The features that
FusionRegister has of both are described together with their edges, correlated and fitted, as in `swift`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.field_fit import SmoothFit
from irvis_fusion_ros.networks.layers import conv
from irvis_fusion_ros.networks.matching import COARSEST, Registering
from irvis_fusion_ros.networks.swift import Match, SwiftResult, follow

# Channels at strides 2, 4 and 8, those of descriptions at the latter two, and those that weigh correlation.
WIDTHS = (16, 24, 32)
DESCRIBED = (24, 48)
MATCH = 24
# Channels of edges at strides 4 and 8 (`layers.structure` folded).
EDGES = (12, 48)
# Stride and search radius, in its cells, of each step: shifts of 32 pixels are seen.
AFFINE_STEPS = ((8, 4), (4, 4))
DENSE_STEPS = ((4, 3),)


class Comparison(nn.Module):
    """
    Measures the misregistration of a pair from features of both images.

    width: channels of these features. Untrained it compares edges alone.
    """

    def __init__(self, width: int):
        super().__init__()
        half, quarter, eighth = WIDTHS
        self.enter = conv(width, half, 4, 2)
        self.stem = conv(16, half)
        self.down = nn.ModuleList((conv(half, quarter, 4, 2), conv(quarter, eighth, 4, 2)))
        self.blocks = nn.ModuleList((layers.Residual(quarter), layers.Residual(eighth)))
        self.context = nn.Conv2d(eighth, quarter, 1)
        self.heads = nn.ModuleList(
            layers.description_head(own, edges, out, edges)
            for own, edges, out in zip((quarter, eighth), EDGES, DESCRIBED, strict=True)
        )
        self.affine = nn.ModuleList(Match(*step, MATCH) for step in AFFINE_STEPS)
        self.dense = nn.ModuleList(Match(*step, MATCH) for step in DENSE_STEPS)
        self.fit = SmoothFit()

    def forward(self, images: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]) -> SwiftResult:
        """
        Compare the visible and the thermal image, B x 1 x H x W in [0, 1] each, by features of their size.

        What is found is on the grid of the images padded to multiples of COARSEST.
        """
        described = [
            self.described(layers.padded(image, COARSEST), layers.padded(feature, COARSEST))
            for image, feature in zip(images, features, strict=True)
        ]
        start = images[0].new_zeros(len(images[0]), 2, 3)
        # what describes may be in half precision, what compares and solves may not
        with layers.exactly(start.device):
            return follow(*described, start, self.affine, self.dense, self.fit)

    def described(self, image: Tensor, features: Tensor) -> list[Tensor]:
        """Return the descriptions of an image at strides 4 and 8, the latter twice, as `matching` has it."""
        support = layers.content(image)
        with layers.exactly(image.device):
            structure = layers.structure(image, support)
        x = self.enter(features) + self.stem(F.pixel_unshuffle(structure, 2))
        quarter = self.blocks[0](self.down[0](x))
        eighth = self.blocks[1](self.down[1](quarter))
        above = F.interpolate(self.context(eighth), scale_factor=2, mode='bilinear', align_corners=False)
        folded = F.pixel_unshuffle(F.avg_pool2d(structure[:, 1:], 2), 2)
        parts = ((quarter + above, folded, 4), (eighth, F.pixel_unshuffle(folded, 2), 8))
        found = [
            layers.description(head(torch.cat([feature, edges], 1)), F.avg_pool2d(support, stride))
            for head, (feature, edges, stride) in zip(self.heads, parts, strict=True)
        ]
        return [*found, found[-1]]

    @staticmethod
    def field(found: SwiftResult, shape: tuple[int, int]) -> Tensor:
        """Return where the thermal image belongs, B x H x W x 2 in pixels."""
        return Registering.field(found, shape)

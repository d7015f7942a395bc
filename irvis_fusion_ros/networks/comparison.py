"""
Measures how far the two sources of a fused image are apart, by FusionRegister's own features; not in its
paper.

Convolutions of a fused image can detect a ghost, but not measure its displacement: for that, places of one
source must be compared with places of the other over a range of shifts. Here the features that FusionRegister
has of both sources are turned into descriptions together with their edges, correlated and fitted, as in
`swift`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.field_fit import SmoothFit
from irvis_fusion_ros.networks.layers import conv
from irvis_fusion_ros.networks.matching import COARSEST, Registering
from irvis_fusion_ros.networks.swift import Match, SwiftResult, measure_and_fit

# Channels at strides 2, 4 and 8, channels of descriptions at strides 4 and 8, channels that weigh
# correlation.
WIDTHS = (16, 24, 32)
DESCRIBED = (24, 48)
MATCH = 24
# Channels of edges at strides 4 and 8 (`layers.structure` folded).
EDGES = (12, 48)
# Stride and search radius, in its cells, of each step; together they measure shifts of up to 32 pixels.
AFFINE_STEPS = ((8, 4), (4, 4))
DENSE_STEPS = ((4, 3),)
# A measured displacement is used from this correlation of the descriptions under it, and from this share of
# the correlation gained by it; each with the width of the transition. Measured on 18 pairs that are learned
# from: correlation is at most 0.05 for images of different scenes and at least 0.18 for pairs of one scene;
# aligned pairs gain 0.03 to 0.22, nine in ten pairs moved by protocol fr gain more than 0.34.
AGREED = 0.1, 0.01
GAINED = 0.25, 0.03


class Comparison(nn.Module):
    """
    Measures the misregistration of a pair from features of both images.

    width: channels of these features. An untrained network compares edges only.
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

    def forward(
        self, images: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]
    ) -> tuple[SwiftResult, Tensor]:
        """
        Compare the visible and the thermal image, B x 1 x H x W in [0, 1] each, by features of their size.

        The result is on the grid of the images padded to multiples of COARSEST. The tensor, of length B in
        [0, 1], is near 0 where the images agree as well without the displacement, or not even with it.
        """
        described = [
            self.described(layers.padded(image, COARSEST), layers.padded(feature, COARSEST))
            for image, feature in zip(images, features, strict=True)
        ]
        start = images[0].new_zeros(len(images[0]), 2, 3)
        # descriptions may be computed in half precision, but comparing and fitting need single precision
        with layers.single_precision(start.device):
            found = measure_and_fit(*described, start, self.affine, self.dense, self.fit)
            with torch.no_grad():
                moved = found.affine, found.residual
                return found, matching.worth(described, moved, start, AGREED, GAINED)

    def described(self, image: Tensor, features: Tensor) -> list[Tensor]:
        """Return the descriptions at strides 4 and 8, the latter twice, as `matching` needs them."""
        support = layers.content(image)
        with layers.single_precision(image.device):
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
        """Return the displacement of the thermal image, B x H x W x 2 in pixels."""
        return Registering.field(found, shape)

"""
Measures from its two sources where a fused image is misregistered; an addition of ours to FusionRegister.

A network can hardly learn a displacement from ghosts alone. So a small registration network, the one of
`swift_lite`, measures how far the thermal image is displaced. The content of the fused image is displaced by
that, times the share of it that is thermal. A pair that agrees about as well without the displacement is not
moved.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.matching import COARSEST
from irvis_fusion_ros.networks.swift import Swift, SwiftConfig

# The preset whose weights are used, and its network.
PRESET = 'swift_lite'
NETWORK = SwiftConfig(width=16, described=12, match=24, pixels=81920)
# Its dense steps that are used: no map refines what they find.
DENSE = 1
# Pixels over which gradients are averaged, and the gradient that counts as none, in brightness per pixel.
SHARE_BLUR, LEAST_GRADIENT = 6.0, 1e-3
# Pixels that a displacement is smoothed over: a displacement that changes between pixels tears the image.
SMOOTHING = 4.0
# A pair is moved from this agreement of edges on, and from this relative gain of agreement by moving; the
# steps are the widths of both sigmoids. On training pairs, aligned ones gain a sixth, pairs displaced by some
# pixels gain half, and pairs that cannot be matched reach an agreement of up to 0.09.
AGREED = 0.1, 0.01
GAINED = 0.3, 0.04


class Evidence(nn.Module):
    """
    Measures the misregistration of a pair; its weights are frozen.

    It works at about `NETWORK.pixels`: a field of four times as many cells is no better.
    """

    def __init__(self):
        super().__init__()
        self.network = Swift(NETWORK).proposing(DENSE).requires_grad_(False)

    def load(self) -> None:
        """Load the weights of the preset. Raises FileError, with the remedy, where they are missing."""
        whole = weights.into(Swift(NETWORK), PRESET, 'swift')
        self.network.load_state_dict(whole.proposing(DENSE).state_dict())

    @torch.no_grad()
    def forward(
        self, fused: Tensor, visible: Tensor, thermal: Tensor, field: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Return the displacement of the content of a fused image, B x H x W x 2 in pixels, and its thermal
        share.

        fused and its sources: B x 1 x H x W in [0, 1], float32. field: the result of `measure`, where the
        caller has it. The share is B x 1 x H x W in [0, 1].
        """
        with layers.single_precision(visible.device):
            field = self.measure(visible, thermal) if field is None else field
            return content_displacement(fused, visible, thermal, field)

    @torch.no_grad()
    def measure(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the displacement of the thermal image, B x H x W x 2 in pixels; 0 where it is uncertain."""
        shape = visible.shape[-2:]
        factor = max(1, round((shape[0] * shape[1] / NETWORK.pixels) ** 0.5))
        pair = (F.avg_pool2d(image, factor, ceil_mode=True) for image in (visible, thermal))
        described = self.network.descriptions(*(layers.padded(image, COARSEST) for image in pair))
        still = visible.new_zeros(len(visible), 2, 3)
        found = self.network.compare(*described, start=still)
        believed = matching.worth(described, (found.affine, found.residual), still, AGREED, GAINED)
        small = [-(-side // factor) for side in shape]
        field = self.network.field(found, small) * (factor * believed[:, None, None, None])
        if factor == 1:
            return field
        # the last cell of an image whose side is no multiple of `factor` extends beyond it
        return layers.on_grid(field, [side * factor for side in small])[:, : shape[0], : shape[1]]


def content_displacement(
    fused: Tensor, visible: Tensor, thermal: Tensor, field: Tensor
) -> tuple[Tensor, Tensor]:
    """
    Return the displacement of the content of a fused image, B x H x W x 2 in pixels, and its thermal share.

    field: displacement of the thermal image, B x H x W x 2 in pixels. Visible content stays in place.
    """
    share = thermal_share(fused, visible, thermal, field)
    return layers.blur(share * field.movedim(-1, 1), SMOOTHING).movedim(1, -1), share


def thermal_share(fused: Tensor, visible: Tensor, thermal: Tensor, field: Tensor) -> Tensor:
    """
    Return the thermal share of the content of a fused image, B x 1 x H x W in [0, 1].

    Gradients of the fused image are compared with those of the visible image at the same place and with those
    of the thermal image at the place where `field` (B x H x W x 2, pixels) puts it. So the share follows the
    fusion network: where it copies only the brighter of two images, the share is 0 or 1.
    """
    slopes = [torch.cat(torch.gradient(image, dim=(2, 3)), 1) for image in (fused, visible, thermal)]
    of_visible, of_thermal = (
        layers.blur((slopes[0] * each).sum(1, keepdim=True), SHARE_BLUR).clamp(min=0) ** 2
        for each in slopes[1:]
    )
    of_thermal = tensors.warp(of_thermal, field, 'border')
    return (of_thermal + LEAST_GRADIENT**4) / (of_thermal + of_visible + 2 * LEAST_GRADIENT**4)

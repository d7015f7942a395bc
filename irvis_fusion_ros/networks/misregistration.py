"""
Where a fused image is misregistered, measured from its two sources; FusionRegister is given this, which is
not in its paper.

From ghosts alone a displacement can hardly be learned. A small registration network of ours, as it is in
`swift_lite`, says where the thermal image belongs; what a fused image shows there moves by the share of it
that is thermal. Nothing is moved that already agrees about as well as it would afterwards.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.matching import COARSEST
from irvis_fusion_ros.networks.swift import Swift, SwiftConfig

# The network, and the preset that it is taken from.
PRESET = 'swift_lite'
NETWORK = SwiftConfig(width=16, described=12, match=24, pixels=81920)
# Pixels over which slopes are weighed against each other, and what counts as none, in brightness per pixel.
SHARE_BLUR, NOTHING = 6.0, 1e-3
# Pixels that a displacement is smoothed over: where it changes from one pixel to the next, the picture tears.
WHOLE = 4.0
# Agreement of the edges, and the part of it that is gained by moving, from which a pair is moved; with how
# fast. Of pairs to learn from: aligned ones gain a sixth of it, those some pixels off a half, and of what
# cannot be matched an agreement of up to 0.09 remains.
AGREED, AGREED_STEP = 0.1, 0.01
GAINED, GAINED_STEP = 0.3, 0.04


class Evidence(nn.Module):
    """
    Measures the misregistration of a pair; it is not taught any further.

    A pair is seen at about `NETWORK.pixels`: a field of four times as many cells is no better.
    """

    def __init__(self):
        super().__init__()
        self.network = Swift(NETWORK).proposing().requires_grad_(False)

    def load(self) -> None:
        """Take the weights of the preset. Raises FileError, with the remedy, where they are missing."""
        whole = weights.into(Swift(NETWORK), PRESET, 'swift')
        self.network.load_state_dict(whole.proposing().state_dict())

    @torch.no_grad()
    def forward(
        self, fused: Tensor, visible: Tensor, thermal: Tensor, field: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Return the displacement of what a fused image shows, B x H x W x 2 in pixels, and its thermal share.

        fused and its sources: B x 1 x H x W in [0, 1], float32. field: what `measure` found. The share is
        B x 1 x H x W in [0, 1].
        """
        with layers.exactly(visible.device):
            field = self.measure(visible, thermal) if field is None else field
            return shown(fused, visible, thermal, field)

    @torch.no_grad()
    def measure(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return where the thermal image belongs, B x H x W x 2 in pixels, or no motion if unclear."""
        shape = visible.shape[-2:]
        factor = max(1, round((shape[0] * shape[1] / NETWORK.pixels) ** 0.5))
        pair = (F.avg_pool2d(image, factor, ceil_mode=True) for image in (visible, thermal))
        described = self.network.descriptions(*(layers.padded(image, COARSEST) for image in pair))
        still = visible.new_zeros(len(visible), 2, 3)
        found = self.network.compare(*described, start=still)
        moved = matching.agreement(*described, found.affine, found.residual).correlation
        unmoved = matching.agreement(*described, still, torch.zeros_like(found.residual)).correlation
        gained = 1 - unmoved / moved.clamp(min=1e-3)
        believed = torch.sigmoid((moved - AGREED) / AGREED_STEP) * torch.sigmoid(
            (gained - GAINED) / GAINED_STEP
        )
        small = [-(-side // factor) for side in shape]
        field = self.network.field(found, small) * (factor * believed[:, None, None, None])
        if factor == 1:
            return field
        # the last cell of an odd image reaches beyond it
        return layers.on_grid(field, [side * factor for side in small])[:, : shape[0], : shape[1]]


def shown(fused: Tensor, visible: Tensor, thermal: Tensor, field: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return by how much what a fused image shows is displaced, B x H x W x 2 in pixels, and its thermal share.

    field: where the thermal image belongs, B x H x W x 2 in pixels. What is visible is to stay.
    """
    share = thermal_share(fused, visible, thermal, field)
    return layers.blur(share * field.movedim(-1, 1), WHOLE).movedim(1, -1), share


def thermal_share(fused: Tensor, visible: Tensor, thermal: Tensor, field: Tensor) -> Tensor:
    """
    Return how much of what a fused image is to show is thermal, B x 1 x H x W in [0, 1].

    What is thermal is found where `field` (B x H x W x 2, pixels) says, what is visible where it is; either
    counts by how far the slopes of the fused image are its own. So it is the backbone that decides: of the
    brighter of two images only one is shown at a place.
    """
    slopes = [torch.cat(torch.gradient(image, dim=(2, 3)), 1) for image in (fused, visible, thermal)]
    of_visible, of_thermal = (
        layers.blur((slopes[0] * each).sum(1, keepdim=True), SHARE_BLUR).clamp(min=0) ** 2
        for each in slopes[1:]
    )
    of_thermal = tensors.warp(of_thermal, field, 'border')
    return (of_thermal + NOTHING**4) / (of_thermal + of_visible + 2 * NOTHING**4)

"""
`swift`, our own system: describe both images once, search globally, then measure and fit, coarse to fine.

What a network does well, saying how alike two places are and how sure it is, is learned; what is known, how
many measurements make one smooth field, is solved (smooth_fit.py). Structure maps without the sign of
contrast go in; everything runs at half of the working resolution and below, so that two CPU cores suffice.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.field_fit import SmoothFit
from irvis_fusion_ros.networks.layers import conv
from irvis_fusion_ros.networks.matching import COARSEST, Registering, Search, correlated, model_of

# Strides of the descriptions, finest first, and the channels of edges in each.
STRIDES = (2, 4, 8)
EDGES = (3, 12, 48)
# Channels that the global search compares, and how many coarse edges are among them.
SEARCHED, SEARCHED_EDGES = 24, 12
# Stride and search radius, in its cells, of each step: of the affine alone, then of the whole field.
AFFINE_STEPS = ((8, 4), (4, 4))
DENSE_STEPS = ((4, 3), (2, 3), (2, 2))
# How many of the latter a proposal takes: structure maps measure the last pixels as well, in less time.
PROPOSED = 1
# The share of its pixels that a proposal is seen at: the maps make up for nearly all of it, in less time.
PROPOSED_PIXELS = 0.75
# Pixels that the residual may differ from an affine by before it is known.
LOOSE = (4.0, 2.0)
# Gain of the similarity before a softmax, for a learned factor of 1.
GAIN = 8.0
# Blur of correlation, in coarsest cells: neighbours have about the same shift.
SHARED = 0.8
# Variance of a shift that is known to one step of a search, in squared steps.
UNRESOLVED = 0.08


@dataclass(frozen=True)
class SwiftConfig:
    """The two sizes are two choices of these."""

    width: int = option(24, 'Channels at half of the working resolution.', minimum=8, maximum=96)
    described: int = option(16, 'Channels of the finest description.', minimum=12, maximum=64)
    depth: int = option(1, 'Residual blocks of each stride.', minimum=1, maximum=4)
    match: int = option(32, 'Channels that weigh correlation.', minimum=8, maximum=128)
    pixels: int = option(
        480 * 384, 'Pixels of the images it sees, when it runs as a system.', minimum=64 * 64
    )
    even: float = option(
        0.13, 'Agreement at which an alignment is as likely wrong as right.', minimum=0, maximum=1
    )
    sure: float = option(
        0.22, 'Agreement at which no other start of the search is tried.', minimum=0, maximum=1
    )


@dataclass(frozen=True)
class Measured:
    """
    What one step saw on the coarsest grid, before it was fitted.

    start: B x h x w x 2, the displacement it started from. shift: likewise, what was left, pixels.
    precision: B x h x w x 3, see smooth_fit. reach: the largest shift it can see, pixels.
    """

    start: Tensor
    shift: Tensor
    precision: Tensor
    reach: float


@dataclass(frozen=True)
class SwiftResult:
    """
    What the network found.

    affine: B x 2 x 3, see `Affine`. residual: B x h x w x 2 on the coarsest grid, pixels, added to it.
    search: logits of every hypothesis, or None where the search was left out. steps: affine and residual
    after every step. measured: of every step, in order.
    """

    affine: Tensor
    residual: Tensor
    search: Tensor | None
    steps: tuple[tuple[Tensor, Tensor], ...]
    measured: tuple[Measured, ...]


class Encoder(nn.Module):
    """
    Makes both cameras comparable: each has a stem of its own, the rest is shared.

    Descriptions carry edges as they are, so that a pair can be matched before anything is learned, and
    what coarser cells know. A description is short where nothing is to be seen and never longer than 1.
    """

    def __init__(self, config: SwiftConfig):
        super().__init__()
        width = config.width
        widths = (width, width * 3 // 2, width * 2)
        outs = (config.described, config.described * 3 // 2, config.described * 4)
        self.stem = nn.ModuleDict({name: conv(16, width) for name in ('visible', 'thermal')})
        self.stem['thermal'].load_state_dict(self.stem['visible'].state_dict())
        self.down = nn.ModuleList(conv(fine, coarse, 4, 2) for fine, coarse in pairwise(widths))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(layers.Residual(own) for _ in range(config.depth))) for own in widths
        )
        self.context = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.heads = nn.ModuleList(
            layers.description_head(own, edges, out, edges)
            for own, edges, out in zip(widths, EDGES, outs, strict=True)
        )
        self.searched = layers.description_head(widths[-1], EDGES[-1], SEARCHED, SEARCHED_EDGES)

    def forward(self, visible: Tensor, thermal: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """
        Return descriptions of both images, B x 1 x H x W in [0, 1], sides in multiples of COARSEST.

        Of each of STRIDES (but those without a head), and last, of the coarsest, what the search compares.
        """
        finest = len(STRIDES) - len(self.heads)
        images = torch.cat([visible, thermal])
        support = layers.content(images)
        with layers.exactly(images.device):
            structure = layers.structure(images, support)
        stems = zip(('visible', 'thermal'), F.pixel_unshuffle(structure, 2).chunk(2), strict=True)
        x = torch.cat([self.stem[name](part) for name, part in stems])
        features = []
        for level, blocks in enumerate(self.blocks):
            x = blocks(self.down[level - 1](x) if level else x)
            features.append(x)
        for level in reversed(range(finest, len(self.context))):
            above = self.context[level](features[level + 1])
            above = F.interpolate(above, scale_factor=2, mode='bilinear', align_corners=False)
            features[level] = features[level] + above
        halved = F.avg_pool2d(structure[:, 1:], 2)
        folded = [halved, F.pixel_unshuffle(halved, 2)]
        folded.append(F.pixel_unshuffle(folded[1], 2))
        parts = [*zip(self.heads, features[finest:], folded[finest:], STRIDES[finest:], strict=True)]
        parts.append((self.searched, features[-1], folded[-1], STRIDES[-1]))
        described = [
            layers.description(head(torch.cat([feature, edges], 1)), F.avg_pool2d(support, stride))
            for head, feature, edges, stride in parts
        ]
        return [d.chunk(2)[0] for d in described], [d.chunk(2)[1] for d in described]


class Match(nn.Module):
    """
    Measures by how much each coarsest cell is still displaced, from the correlation of one stride.

    The correlation of fine cells is pooled over a coarsest cell and, weighed together with that of its
    neighbours, read as a density of the shift: its mean and covariance, so that an edge is precise across
    and vague along itself. How far that is to be believed is learned.
    """

    def __init__(self, stride: int, radius: int, width: int):
        super().__init__()
        self.stride, self.radius = stride, radius
        count = (2 * radius + 1) ** 2
        self.gain = nn.Parameter(torch.ones(()))
        self.enter = conv(count + 2, width)
        self.wide = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width), conv(width, width, 1), conv(width, width)
        )
        # before it has learned, correlation alone decides
        self.head = layers.zeroed(nn.Conv2d(width, count + 2, 3, padding=1))

    def forward(self, visible: list[Tensor], thermal: list[Tensor], start: Tensor) -> Measured:
        """Measure what is left after `start`, B x h x w x 2 on the coarsest grid, pixels."""
        level = STRIDES.index(self.stride) - len(STRIDES) - 1  # from the end: the finest may be left out
        volume, seen = correlated(visible[level], thermal[level], start, self.stride, self.radius)
        x = self.enter(torch.cat([volume * 4, seen], 1))
        out = self.head(x + self.wide(x))
        share = torch.softmax(GAIN * self.gain * layers.blur(volume, SHARED) + out[:, :-2], 1)
        shift, precision = self._moments(share, out[:, -2:])
        return Measured(start, shift, precision, self.stride * (self.radius + 0.5))

    def _moments(self, share: Tensor, learned: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, B x h x w x 2 pixels, and precision, B x h x w x 3, of a density of shifts."""
        at = layers.shifts(self.radius, share)
        x, y = at.unbind(1)
        powers = torch.stack([x, y, x * x, y * y, x * y])
        mx, my, xx, yy, xy = torch.einsum('bnhw,kn->bkhw', share, powers).unbind(1)
        belief, vague = torch.exp(4 * torch.tanh(learned / 4)).unbind(1)
        floor = UNRESOLVED * vague
        xx, yy, xy = xx - mx * mx + floor, yy - my * my + floor, xy - mx * my
        scale = belief / ((xx * yy - xy * xy).clamp(min=1e-6) * self.stride**2)
        return self.stride * torch.stack([mx, my], -1), torch.stack([yy, xx, -xy], -1) * scale[..., None]


class Swift(Registering):
    """The whole of it: descriptions, search, and steps of measuring and fitting."""

    def __init__(self, config: SwiftConfig = SwiftConfig()):
        super().__init__()
        self.pixels, self.even, self.sure = config.pixels, config.even, config.sure
        self.encoder = Encoder(config)
        self.search = Search()
        self.affine = nn.ModuleList(Match(*step, config.match) for step in AFFINE_STEPS)
        self.dense = nn.ModuleList(Match(*step, config.match) for step in DENSE_STEPS)
        self.fit = SmoothFit()

    def proposing(self) -> 'Swift':
        """Leave out what is only needed beyond PROPOSED steps, for good, and see less; returns itself."""
        self.pixels = int(self.pixels * PROPOSED_PIXELS)
        self.dense = self.dense[:PROPOSED]
        finest = min(match.stride for match in (*self.affine, *self.dense))
        self.encoder.heads = self.encoder.heads[STRIDES.index(finest) - len(STRIDES) :]
        return self

    def descriptions(self, visible: Tensor, thermal: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return descriptions of both images, each B x 1 x H x W in [0, 1] with sides in multiples of 8."""
        return self.encoder(visible, thermal)

    def compare(
        self, visible: list[Tensor], thermal: list[Tensor], start: Tensor | None = None
    ) -> SwiftResult:
        """Register by descriptions."""
        logits = None
        if start is None:
            logits, start = self.search(visible[-1], thermal[-1], model_of(visible))
        found = follow(visible, thermal, start, self.affine, self.dense, self.fit)
        return replace(found, search=logits)


def follow(
    visible: list[Tensor],
    thermal: list[Tensor],
    start: Tensor,
    affine: nn.ModuleList,
    dense: nn.ModuleList,
    fit: SmoothFit,
) -> SwiftResult:
    """Measure and fit from a start, B x 2 x 3 (see `Affine`): first the affine alone, then a whole field."""
    model = model_of(visible)
    points = layers.centres(visible[-1], COARSEST)
    p, residual = start, torch.zeros_like(points).expand(len(start), -1, -1, -1)
    steps, measured = [], []
    for index, match in enumerate((*affine, *dense)):
        # a step learns from its own start, not through the ones before it
        p, residual = p.detach(), residual.detach()
        seen = match(visible, thermal, model.displacement(p, points) + residual)
        left = seen.shift + residual
        step = fit.affine(left, seen.precision, points, model, LOOSE[index > 0])
        p = model.after(p, step)
        if index >= len(affine):
            left = left - model.displacement(step, points)
            residual = fit.residual(left, seen.precision)
        steps.append((p, residual))
        measured.append(seen)
    return SwiftResult(p, residual, None, tuple(steps), tuple(measured))

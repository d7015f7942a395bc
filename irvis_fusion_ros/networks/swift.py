"""
`swift`, our own system: it describes both images once, searches globally, then measures and fits coarse to
fine.

The network learns how similar two places are and how certain that is. Combining many measurements into one
smooth field is a known problem, which field_fit.py solves in closed form. The input is structure maps, which
do not depend on the sign of contrast. Everything runs at half of the working resolution or less, so that two
CPU cores suffice.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.networks import layers, threads
from irvis_fusion_ros.networks.field_fit import SmoothFit
from irvis_fusion_ros.networks.layers import conv
from irvis_fusion_ros.networks.matching import COARSEST, Registering, Search, correlated, model_of

CAMERAS = ('visible', 'thermal')
# Strides of the descriptions, finest first, and the channels of edges in each.
STRIDES = (2, 4, 8)
EDGES = (3, 12, 48)
# Channels that the global search compares, and how many coarse edges are among them.
SEARCHED, SEARCHED_EDGES = 24, 12
# Stride and search radius, in its cells, of each step: steps that fit the affine only, then the whole field.
AFFINE_STEPS = ((8, 4), (4, 4))
DENSE_STEPS = ((4, 3), (2, 3), (2, 2))
# Share of its pixels that a proposal works on: the refinement makes up for nearly all of the loss.
PROPOSED_PIXELS = 0.6
# Standard deviation of the residual that the affine fit assumes, in pixels: at affine steps, at dense steps.
RESIDUAL_DEVIATION = (4.0, 2.0)
# Gain of the similarity before a softmax, for a learned factor of 1.
GAIN = 8.0
# Blur of the correlation volume, in coarsest cells, because neighbours have about the same shift.
CORRELATION_BLUR = 0.8
# Variance of a shift that is measured to the nearest search step, in squared steps.
LEAST_VARIANCE = 0.08


@dataclass(frozen=True)
class SwiftConfig:
    """Sizes and thresholds of the network; `swift` and `swift_lite` are two choices of them."""

    width: int = option(24, 'Channels at half of the working resolution.', minimum=8, maximum=96)
    described: int = option(16, 'Channels of the finest description.', minimum=12, maximum=64)
    depth: int = option(1, 'Residual blocks of each stride.', minimum=1, maximum=4)
    match: int = option(32, 'Channels that weigh correlation.', minimum=8, maximum=128)
    pixels: int = option(480 * 384, 'Pixels of its input images when it runs as a system.', minimum=64 * 64)
    even: float = option(
        0.13, 'Agreement at which an alignment is as likely wrong as right.', minimum=0, maximum=1
    )
    sure: float = option(
        0.22, 'Agreement from which no other start of the search is tried.', minimum=0, maximum=1
    )


@dataclass(frozen=True)
class Measured:
    """
    What one step measured on the coarsest grid, before the fit.

    start: B x h x w x 2, the displacement that the step started from. shift: B x h x w x 2, the measured
    remaining displacement, pixels. precision: B x h x w x 3, see field_fit. reach: the largest shift that the
    step can measure, pixels.
    """

    start: Tensor
    shift: Tensor
    precision: Tensor
    reach: float


@dataclass(frozen=True)
class SwiftResult:
    """
    Output of the network.

    affine: B x 2 x 3, see `Affine`. residual: B x h x w x 2 on the coarsest grid, pixels, added to the
    affine. search: logits of every hypothesis, or None where the search was skipped. steps: affine and
    residual after every step. measured: the measurement of every step, in order.
    """

    affine: Tensor
    residual: Tensor
    search: Tensor | None
    steps: tuple[tuple[Tensor, Tensor], ...]
    measured: tuple[Measured, ...]


class Encoder(nn.Module):
    """
    Turns both images into comparable descriptions: each camera has its own stem, the other layers are shared.

    Descriptions contain the edge maps, so that an untrained network can already match a pair, and context
    from coarser cells. A description is short where the image has little structure and never longer than 1.
    """

    def __init__(self, config: SwiftConfig):
        super().__init__()
        width = config.width
        widths = (width, width * 3 // 2, width * 2)
        outs = (config.described, config.described * 3 // 2, config.described * 4)
        self.stem = nn.ModuleDict({name: conv(16, width) for name in CAMERAS})
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

        One map per stride of STRIDES (except those without a head), and last a coarsest map for the search.
        """
        if threads.divides():
            return tuple(threads.halves(self._described, [(('visible',), visible), (('thermal',), thermal)]))
        described = self._described((CAMERAS, torch.cat([visible, thermal])))
        return [d.chunk(2)[0] for d in described], [d.chunk(2)[1] for d in described]

    def _described(self, batch: tuple[tuple[str, ...], Tensor]) -> list[Tensor]:
        """Return descriptions of images, equally many of each camera."""
        cameras, images = batch
        finest = len(STRIDES) - len(self.heads)
        support = layers.content(images)
        with layers.single_precision(images.device):
            structure = layers.structure(images, support)
        stems = zip(cameras, F.pixel_unshuffle(structure, 2).chunk(len(cameras)), strict=True)
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
        return [
            layers.description(head(torch.cat([feature, edges], 1)), F.avg_pool2d(support, stride))
            for head, feature, edges, stride in parts
        ]


class Match(nn.Module):
    """
    Measures the remaining displacement of each coarsest cell from the correlation volume of one stride.

    The correlation of fine cells is averaged over a coarsest cell, combined with that of its neighbours, and
    read as a probability density of the shift. The measurement is its mean and covariance: at a straight edge
    it is precise across the edge and uncertain along it. The network also learns how much to trust the
    measurement.
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
        # zero at first: an untrained network decides by correlation alone
        self.head = layers.zeroed(nn.Conv2d(width, count + 2, 3, padding=1))

    def forward(self, visible: list[Tensor], thermal: list[Tensor], start: Tensor) -> Measured:
        """Measure the displacement that remains after `start`, B x h x w x 2 on the coarsest grid, pixels."""
        level = STRIDES.index(self.stride) - len(STRIDES) - 1  # from the end: the finest may be left out
        volume, seen = correlated(visible[level], thermal[level], start, self.stride, self.radius)
        x = self.enter(torch.cat([volume * 4, seen], 1))
        out = self.head(x + self.wide(x))
        share = torch.softmax(GAIN * self.gain * layers.blur(volume, CORRELATION_BLUR) + out[:, :-2], 1)
        shift, precision = self._moments(share, out[:, -2:])
        return Measured(start, shift, precision, self.stride * (self.radius + 0.5))

    def _moments(self, share: Tensor, learned: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean, B x h x w x 2 pixels, and precision, B x h x w x 3, of a density of shifts."""
        at = layers.shifts(self.radius, share)
        x, y = at.unbind(1)
        powers = torch.stack([x, y, x * x, y * y, x * y])
        mx, my, xx, yy, xy = torch.einsum('bnhw,kn->bkhw', share, powers).unbind(1)
        belief, vague = torch.exp(4 * torch.tanh(learned / 4)).unbind(1)
        floor = LEAST_VARIANCE * vague
        xx, yy, xy = xx - mx * mx + floor, yy - my * my + floor, xy - mx * my
        scale = belief / ((xx * yy - xy * xy).clamp(min=1e-6) * self.stride**2)
        return self.stride * torch.stack([mx, my], -1), torch.stack([yy, xx, -xy], -1) * scale[..., None]


class Swift(Registering):
    """The complete network: encoder, search, and steps that measure and fit."""

    def __init__(self, config: SwiftConfig = SwiftConfig()):
        super().__init__()
        self.pixels, self.even, self.sure = config.pixels, config.even, config.sure
        self.encoder = Encoder(config)
        self.search = Search()
        self.affine = nn.ModuleList(Match(*step, config.match) for step in AFFINE_STEPS)
        self.dense = nn.ModuleList(Match(*step, config.match) for step in DENSE_STEPS)
        self.fit = SmoothFit()

    def proposing(self, dense: int = 0) -> 'Swift':
        """
        Remove, in place, what only later steps need, and lower the resolution; return self.

        dense: how many dense steps stay. A proposal needs none: the maps measure the last pixels as well, in
        less time. Of 60 alignments of 22 training pairs of roadscene and m3svd_frames, 57 stay within 0.5 px.
        """
        self.pixels = int(self.pixels * PROPOSED_PIXELS)
        self.dense = self.dense[:dense]
        finest = min(match.stride for match in (*self.affine, *self.dense))
        self.encoder.heads = self.encoder.heads[STRIDES.index(finest) - len(STRIDES) :]
        return self

    def descriptions(self, visible: Tensor, thermal: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return descriptions of both images, each B x 1 x H x W in [0, 1] with sides in multiples of 8."""
        return self.encoder(visible, thermal)

    def compare(
        self, visible: list[Tensor], thermal: list[Tensor], start: Tensor | None = None
    ) -> SwiftResult:
        """Register two lists of descriptions."""
        logits = None
        if start is None:
            logits, start = self.search(visible[-1], thermal[-1], model_of(visible))
        found = measure_and_fit(visible, thermal, start, self.affine, self.dense, self.fit)
        return replace(found, search=logits)


def measure_and_fit(
    visible: list[Tensor],
    thermal: list[Tensor],
    start: Tensor,
    affine: nn.ModuleList,
    dense: nn.ModuleList,
    fit: SmoothFit,
) -> SwiftResult:
    """Measure and fit from a start, B x 2 x 3 (see `Affine`): the affine first, then the dense field."""
    model = model_of(visible)
    points = layers.centres(visible[-1], COARSEST)
    p, residual = start, torch.zeros_like(points).expand(len(start), -1, -1, -1)
    steps, measured = [], []
    for index, match in enumerate((*affine, *dense)):
        # the gradient of a step does not pass through earlier steps
        p, residual = p.detach(), residual.detach()
        seen = match(visible, thermal, model.displacement(p, points) + residual)
        left = seen.shift + residual
        step = fit.affine(left, seen.precision, points, model, RESIDUAL_DEVIATION[index > 0])
        p = model.after(p, step)
        if index >= len(affine):
            left = left - model.displacement(step, points)
            residual = fit.residual(left, seen.precision)
        steps.append((p, residual))
        measured.append(seen)
    return SwiftResult(p, residual, None, tuple(steps), tuple(measured))

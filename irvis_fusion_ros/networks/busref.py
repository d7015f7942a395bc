"""
The network of BusReF (Zhang et al., "BusReF: Infrared-Visible images registration and fusion focus on
reconstructible area using one set of features"): one auto-encoder (the bus), whose features all other parts
use.

What registers was trained by known warps, as all networks here, and not by the losses of the paper: those
train the last 300 of the 3850 steps of the shipped weights (training/recipes/busref.py).

We differ where the paper is silent, or where its choice measurably failed on large motion. The bus also sees
edges without their sign. Affine Net and Deformable Net compare features by correlation, after a global
search, coarse to fine, on the grid of the deepest features. The six affine numbers come from weighted least
squares over that grid instead of a pooled vector, so that they hold for any image size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.networks.layers import conv
from irvis_fusion_ros.networks.matching import (
    COARSEST,
    STRIDES,
    Match,
    Measured,
    Registering,
    Search,
    model_of,
)

CHANNELS = (8, 16, 32, 64)
# Channels of edges that each level carries beside its learned ones, and channels of its description.
EDGES = (3, 3, 12, 48)
DESCRIPTION = (8, 12, 20, 64)
# Channels that the global search compares, and how many of them start as coarse edges.
SEARCHED, SEARCHED_EDGES = 24, 12
# Level (0 the finest) and search radius, in its cells, of each step.
AFFINE_STEPS = ((3, 4), (2, 4), (1, 3))
DEFORMABLE_STEPS = ((3, 2), (2, 3), (1, 3), (0, 1))
# Channels of the fusion network: per camera after the first layer, and inside.
SQUEEZED, WIDTH = 8, 12
# Blur that averages proposals of the Deformable Net over their neighbours, in coarsest cells.
SPREAD = 1.2
# Detail is what a blur of this many pixels removes; it is fused with gains of its own.
DETAIL = 2.0


@dataclass(frozen=True)
class BusReFResult:
    """
    Output of the network.

    affine: B x 2 x 3, see `Affine`. residual: B x h x w x 2 on the coarsest grid, pixels, added to the
    affine. search: logits of every hypothesis, or None where the search was skipped. affine_steps: the affine
    after every step. residual_steps: the residual after every step of the Deformable Net, before they are
    weighted. measured: the measurement of every step, in order.
    """

    affine: Tensor
    residual: Tensor
    search: Tensor | None
    affine_steps: tuple[Tensor, ...]
    residual_steps: tuple[Tensor, ...]
    measured: tuple[Measured, ...]


class Bus(nn.Module):
    """
    The auto-encoder whose features all other parts use: F1 to F4 at strides 1, 2, 4 and 8 (section 3.2).

    Both modalities share it. Beside its CHANNELS learned channels, each level carries EDGES edge maps, so
    that an untrained network can already match a pair. Sides of an image must be multiples of 8.
    """

    def __init__(self):
        super().__init__()
        into = (5, *CHANNELS[:-1])
        self.down = nn.ModuleList(
            conv(a, b, *((3, 1) if level == 0 else (4, 2)))
            for level, (a, b) in enumerate(zip(into, CHANNELS, strict=True))
        )
        self.rfe = nn.ModuleList(layers.Residual(channels) for channels in CHANNELS)
        deep = (CHANNELS[-1] + EDGES[-1], *CHANNELS[-2:0:-1])
        self.up = nn.ModuleList(conv(a, b) for a, b in zip(deep, CHANNELS[-2::-1], strict=True))
        self.last = nn.Conv2d(CHANNELS[0], 1, 3, padding=1)

    def encode(self, image: Tensor, support: Tensor, levels: int = len(STRIDES)) -> list[Tensor]:
        """Return the features of the first levels, finest first, of brightness B x 1 x H x W in [0, 1]."""
        with layers.single_precision(image.device):
            structure = layers.structure(image, support)
        x = torch.cat([image, structure], 1)
        edges = structure[:, 1:]
        features = []
        for level, (down, rfe) in enumerate(zip(self.down[:levels], self.rfe[:levels], strict=True)):
            x = rfe(down(x))
            if level == 1:
                edges = F.avg_pool2d(edges, 2)
            elif level > 1:
                edges = F.pixel_unshuffle(edges, 2)
            features.append(torch.cat([x, edges], 1))
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        """Return the image that the deepest features encode, B x 1 x H x W."""
        x = features[-1]
        for up in self.up:
            x = up(F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False))
        return torch.sigmoid(self.last(x))


class Describe(nn.Module):
    """
    Turns features of the bus into descriptions that are comparable across the two cameras.

    A description is short where the image has little structure, and never longer than 1, so its length is its
    weight. Untrained, it consists of the edges that the bus carries.
    """

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(
            layers.description_head(channels, edges, out, edges)
            for channels, edges, out in zip(CHANNELS, EDGES, DESCRIPTION, strict=True)
        )
        self.searched = layers.description_head(CHANNELS[-1], EDGES[-1], SEARCHED, SEARCHED_EDGES)

    def forward(self, features: list[Tensor], support: Tensor) -> list[Tensor]:
        """
        Return descriptions of every level, and last a coarsest map for the global search.

        They are 0 outside the support (B x 1 x H x W).
        """
        described = []
        heads, features, strides = (
            (*self.heads, self.searched),
            (*features, features[-1]),
            (*STRIDES, COARSEST),
        )
        for head, feature, stride in zip(heads, features, strides, strict=True):
            inside = support if stride == 1 else F.avg_pool2d(support, stride)
            described.append(layers.description(head(feature), inside))
        return described


class AffineNet(nn.Module):
    """Coarse registration: steps of Match, each fitted by weighted least squares."""

    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(Match(*step) for step in AFFINE_STEPS)

    def forward(
        self, visible: list[Tensor], thermal: list[Tensor], start: Tensor, affine: Affine
    ) -> tuple[tuple[Tensor, ...], tuple[Measured, ...]]:
        """Return the affine after every step, each B x 2 x 3, and the measurements."""
        p, found, measured = start, [], []
        points = layers.centres(visible[-1], COARSEST)
        for step in self.steps:
            # the gradient of a step does not pass through earlier steps
            p = p.detach()
            seen = step(visible, thermal, affine.displacement(p, points))
            inside = visible[-1].detach().abs().sum(1) > 0
            p = affine.after(p, affine.fit(seen.shift, inside / seen.scale**2, points))
            found.append(p)
            measured.append(seen)
        return tuple(found), tuple(measured)


class DeformableNet(nn.Module):
    """
    Fine registration: four proposals, one per level of the bus, combined linearly by a 3x3 convolution.

    A proposal is the displacement that remains after those of the deeper levels. Each is averaged over its
    neighbours, weighted by their confidence, and tends to 0 where no neighbour is confident.
    """

    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(Match(*step) for step in DEFORMABLE_STEPS)
        self.pull = nn.Parameter(torch.full((len(DEFORMABLE_STEPS),), -2.0))
        count = len(DEFORMABLE_STEPS)
        self.weigh = nn.Conv2d(2 * count, 2, 3, padding=1, padding_mode='replicate', bias=False)
        layers.zeroed(self.weigh)
        with torch.no_grad():
            for axis in (0, 1):
                self.weigh.weight[axis, axis::2, 1, 1] = 1.0

    def forward(
        self, visible: list[Tensor], thermal: list[Tensor], base: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Measured, ...]]:
        """Return the residual, the sum after every proposal (B x h x w x 2 each), and the measurements."""
        total, sums, proposals, measured = torch.zeros_like(base), [], [], []
        for step, pull in zip(self.steps, self.pull, strict=True):
            seen = step(visible, thermal, base + total.detach())
            weight = (step.stride / seen.scale) ** 2
            proposal = layers.spread(seen.shift.movedim(-1, 1), weight[:, None], SPREAD, pull)
            total = total.detach() + proposal.movedim(1, -1)
            sums.append(total)
            proposals.append(proposal)
            measured.append(seen)
        weighed = self.weigh(torch.cat(proposals, 1)).movedim(1, -1)
        return weighed, tuple(sums), tuple(measured)


class Gaf(nn.Module):
    """
    Gradient-aware fusion (section 3.2, figure 4).

    From the Laplacian of the two finest levels, max pooling extracts the high part and average pooling the
    low part; one perceptron per part weighs the two cameras. The paper's output convolutions produce the
    image. Ours produce weights of coarse brightness and detail, so that features at a lower resolution can
    fuse a full-size image.
    """

    def __init__(self):
        super().__init__()
        self.shallow = nn.Conv2d(CHANNELS[0] + EDGES[0], SQUEEZED, 1)
        self.deep = nn.Conv2d(CHANNELS[1] + EDGES[1], SQUEEZED, 1)
        self.high = _perceptron(2 * SQUEEZED)
        self.low = _perceptron(2 * SQUEEZED)
        self.out = nn.Sequential(
            conv(2 * WIDTH, WIDTH), conv(WIDTH, WIDTH), nn.Conv2d(WIDTH, 3, 3, padding=1)
        )

    def forward(self, visible: list[Tensor], thermal: list[Tensor]) -> Tensor:
        """
        Return weights, B x 3 x H x W, from F1 and F2 of each camera.

        The share of thermal in coarse brightness [0, 1], and the gains of visible and thermal detail [0, 4].
        """
        joined = []
        for features in (visible, thermal):
            # reduce the channels first, because the pooling costs more than all else
            shallow, deep = self.shallow(features[0]), self.deep(features[1])
            deep = F.interpolate(deep, size=shallow.shape[-2:], mode='bilinear', align_corners=False)
            joined.append(shallow + deep)
        both = torch.cat(joined, 1)
        mean = layers.blur(both, 0.8)
        high = self.high(layers.largest((both - mean).abs(), 1))
        low = self.low(mean)
        raw = self.out(torch.cat([high, low], 1))
        # tanh, as the paper's output; 0 gives the mean of the two images
        share = 0.5 + 0.5 * torch.tanh(raw[:, :1])
        return torch.cat([share, 0.5 * torch.exp(2.0 * torch.tanh(raw[:, 1:]))], 1)


class BusReF(Registering):
    """The complete network: `register`, `fuse`, and their parts."""

    # See systems.matcher.MatchingNetwork. Measured on scenes of the training set: aligned pairs have an
    # agreement of 0.16 or more, wrongly aligned or unrelated pairs less than 0.125.
    pixels = 256 * 320
    even, sure = 0.13, 0.22

    def __init__(self):
        super().__init__()
        self.bus = Bus()
        self.describe = nn.ModuleDict({'visible': Describe(), 'thermal': Describe()})
        self.search = Search()
        self.affine = AffineNet()
        self.deformable = DeformableNet()
        self.gaf = Gaf()
        self.describe['thermal'].load_state_dict(self.describe['visible'].state_dict())

    def descriptions(self, visible: Tensor, thermal: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return descriptions of both images, each B x 1 x H x W in [0, 1] with sides in multiples of 8."""
        images = torch.cat([visible, thermal])
        support = layers.content(images)
        return self.described(self.bus.encode(images, support), support)

    def described(self, features: list[Tensor], support: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return descriptions from the features of visible and thermal images, concatenated in that order."""
        count = len(support) // 2
        return (
            self.describe['visible']([f[:count] for f in features], support[:count]),
            self.describe['thermal']([f[count:] for f in features], support[count:]),
        )

    def compare(
        self,
        visible: list[Tensor],
        thermal: list[Tensor],
        start: Tensor | None = None,
        dense: bool = True,
    ) -> BusReFResult:
        """Register two lists of descriptions; with `dense` False the Deformable Net is skipped."""
        affine = model_of(visible)
        logits = None
        if start is None:
            logits, start = self.search(visible[-1], thermal[-1], affine)
        steps, measured = self.affine(visible, thermal, start, affine)
        base = affine.displacement(steps[-1].detach(), layers.centres(visible[-1], COARSEST))
        residual, sums = torch.zeros_like(base), ()
        if dense:
            residual, sums, seen = self.deformable(visible, thermal, base)
            measured += seen
        return BusReFResult(steps[-1], residual, logits, steps, sums, measured)

    def fusion_weights(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the weights of `blend`, B x 3 x H x W, for registered images of any size."""
        shape = visible.shape[-2:]
        images = layers.padded(torch.cat([visible, thermal]), COARSEST)
        features = self.bus.encode(images, layers.content(images), levels=2)
        count = len(visible)
        weights = self.gaf([f[:count] for f in features], [f[count:] for f in features])
        return weights[..., : shape[0], : shape[1]]

    def fuse(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse registered images, B x 1 x H x W in [0, 1]."""
        return blend(visible, thermal, self.fusion_weights(visible, thermal))


def blend(visible: Tensor, thermal: Tensor, weights: Tensor, detail: float = DETAIL) -> Tensor:
    """Fuse by the weights of `Gaf`, all on one grid; `detail`: the blur, in pixels, that separates detail."""
    share, visible_gain, thermal_gain = weights.split(1, 1)
    low_visible, low_thermal = layers.blur(visible, detail), layers.blur(thermal, detail)
    low = low_visible + share * (low_thermal - low_visible)
    high = visible_gain * (visible - low_visible) + thermal_gain * (thermal - low_thermal)
    return (low + high).clamp(0, 1)


def _perceptron(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 1), nn.LeakyReLU(layers.SLOPE), nn.Conv2d(WIDTH, WIDTH, 1)
    )

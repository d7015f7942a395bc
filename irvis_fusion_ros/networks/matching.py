"""
Matching of two feature pyramids: a global search, and steps that measure the remaining displacement.

A pyramid is a list of description maps. It starts with one map per stride of STRIDES, finest first; the
finest ones may be missing. The product of two descriptions says how similar two cells are. The last map, also
at stride COARSEST, is the one that the global search compares. layers.py defines cells, points and
displacements.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers, threads
from irvis_fusion_ros.networks.affine import Affine, similarity
from irvis_fusion_ros.networks.cross_correlation import correlate
from irvis_fusion_ros.networks.layers import conv

STRIDES = (1, 2, 4, 8)
COARSEST = STRIDES[-1]
# The hypotheses of the global search: rotations in degrees, logarithms of scale, shifts up to REACH coarsest
# cells.
ROTATIONS = (-9.0, -4.5, 0.0, 4.5, 9.0)
SCALES = (-0.22, -0.11, 0.0, 0.11, 0.22)
REACH = 7
WIDTH = 32
# Two hypotheses that `Search.others` returns differ by more than this many search steps along some axis.
SEPARATION = 2
# Stride at which an alignment is checked, and the shift error, in pixels, that halves the trust of a cell.
CHECK_STRIDE, TOLERANCE = 4, 4.0
# Excess correlation at which the shift measured in one cell counts half, and the softmax gain that selects
# it.
DISTINCT, SHARPNESS = 0.1, 20.0
# Gains of the similarity before a softmax, for a learned factor of 1.
SEARCH_GAIN, MATCH_GAIN = 10.0, 8.0


@dataclass(frozen=True)
class Measured:
    """
    What one step measured on the coarsest grid, before the fit.

    start: B x h x w x 2, the displacement that the step started from. shift: B x h x w x 2, the measured
    remaining displacement, pixels. scale: B x h x w, the expected error of `shift` (of a Laplace
    distribution, per axis), pixels. reach: the largest shift that the step can measure, pixels.
    """

    start: Tensor
    shift: Tensor
    scale: Tensor
    reach: float


@dataclass(frozen=True)
class Agreement:
    """
    How well two pyramids agree under an alignment.

    correlation: B, [-1, 1], the masked normalised correlation (MNCC, BusReF eq. 11) of the descriptions.
    trust: B x h x w on the coarsest grid, [0, 1]. It is high where the best shift of a cell is 0 and the
    match from visible to thermal and back ends where it started (forward-backward consistency), and 1 where a
    cell has no structure. None: not measured.
    """

    correlation: Tensor
    trust: Tensor | None


def agreement(visible: list[Tensor], thermal: list[Tensor], p: Tensor, residual: Tensor) -> Agreement:
    """Measure an alignment: P of `Affine`, B x 2 x 3, and a residual, B x h x w x 2, pixels."""
    reference, moving = _aligned(visible, thermal, p, residual)
    forward, distinct = _best_shift(reference, moving)
    backward, _ = _best_shift(moving, reference)
    error = ((forward**2).sum(1) + ((forward + backward) ** 2).sum(1)) * (CHECK_STRIDE / TOLERANCE) ** 2
    doubt = distinct * error / (1 + error)
    return Agreement(_correlation(reference, moving), 1 - doubt)


def correlation(visible: list[Tensor], thermal: list[Tensor], p: Tensor, residual: Tensor) -> Tensor:
    """Return `Agreement.correlation` alone, which takes a third of the time."""
    return _correlation(*_aligned(visible, thermal, p, residual))


def worth(
    described: list[list[Tensor]],
    found: tuple[Tensor, Tensor],
    start: Tensor,
    agreed: tuple[float, float],
    gained: tuple[float, float],
) -> Tensor:
    """
    Return how far a measured displacement can be used, B, [0, 1].

    described: the descriptions of both images. found: P and residual as for `agreement`; start: P without
    the displacement. agreed, gained: the correlation under it, and the share of that gained by it, from which
    it is used, each with the width of the transition.
    """
    moved = correlation(*described, *found)
    unmoved = correlation(*described, start, torch.zeros_like(found[1]))
    share = 1 - unmoved / moved.clamp(min=1e-3)
    return torch.sigmoid((moved - agreed[0]) / agreed[1]) * torch.sigmoid((share - gained[0]) / gained[1])


def _aligned(
    visible: list[Tensor], thermal: list[Tensor], p: Tensor, residual: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the descriptions of stride CHECK_STRIDE, those of the thermal image moved by an alignment."""
    # [-3] is the level at that stride: the two maps after it are both at stride COARSEST
    reference, moved = visible[-3], thermal[-3]
    points = layers.centres(reference, CHECK_STRIDE)
    field = model_of(visible).displacement(p, points) + layers.on_grid(residual, reference.shape[-2:])
    return reference, layers.sample(moved, points + field, CHECK_STRIDE)


def _correlation(reference: Tensor, moving: Tensor) -> Tensor:
    reference_energy, moving_energy = (reference**2).sum(1), (moving**2).sum(1)
    overlap = (reference_energy > 0) & (moving_energy > 0)
    product = (reference * moving).sum((1, 2, 3))
    power = (reference_energy * overlap).sum((1, 2)) * (moving_energy * overlap).sum((1, 2))
    return product / torch.sqrt(power + 1e-12)


def _best_shift(reference: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best shift of each coarsest cell, B x 2 x h x w in checked cells, and its distinctness."""
    pool = COARSEST // CHECK_STRIDE
    volume = F.avg_pool2d(layers.local_correlation(reference, moving, 2), pool)
    volume = layers.blur(volume, 0.8)
    share = torch.softmax(SHARPNESS * volume, 1)
    shift = torch.einsum('bnhw,nc->bchw', share, layers.shifts(2, volume))
    excess = volume.amax(1) - volume.mean(1)
    return shift, excess**2 / (excess**2 + DISTINCT**2)


def model_of(pyramid: list[Tensor]) -> Affine:
    """Return the affine model of the image that the pyramid describes."""
    height, width = pyramid[-1].shape[-2:]
    return Affine((height * COARSEST, width * COARSEST))


class Search(nn.Module):
    """
    Finds rotation, scale and shift of the whole image at once, by correlation of descriptions.

    It tries every rotation and scale at every shift up to REACH cells, through the Fourier transform.
    """

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.register_buffer('_rotations', torch.deg2rad(torch.tensor(ROTATIONS)), persistent=False)
        self.register_buffer('_scales', torch.tensor(SCALES), persistent=False)

    def forward(self, visible: Tensor, thermal: Tensor, affine: Affine) -> tuple[Tensor, Tensor]:
        """
        Return logits, B x rotations x scales x (2 REACH + 1) x (2 REACH + 1) (dy, dx), and the best affine.

        visible, thermal: descriptions of stride COARSEST.
        """
        logits = self.logits(visible, thermal)
        return logits, self.best(logits, affine)

    def logits(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the logit of every hypothesis."""
        return SEARCH_GAIN * self.gain * self.similarity(visible, thermal) + self.prior()

    def prior(self) -> Tensor:
        """Return log-probabilities that favour small motion: an image without structure yields no motion."""
        at = torch.arange(-REACH, REACH + 1, device=self._scales.device) / REACH
        turn, scale = self._rotations / self._rotations[-1], self._scales / self._scales[-1]
        return -0.5 * (turn[:, None, None, None] ** 2 + scale[:, None, None] ** 2 + at[:, None] ** 2 + at**2)

    def similarity(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the normalised correlation over the overlap, at most 1, of every hypothesis."""
        visible, thermal = visible.float(), thermal.float()
        batch, _, height, width = visible.shape
        points = self._hypothesis_points(visible)
        parts = points.chunk(2) if threads.divides() else (points,)
        found = threads.halves(lambda part: self._normalised(visible, thermal, part), parts)
        shape = (batch, len(ROTATIONS), len(SCALES), 2 * REACH + 1, 2 * REACH + 1)
        # evidence grows with the square root of the number of cells that agree
        return torch.cat(found, 1).reshape(shape) * (height * width / 64) ** 0.5

    @staticmethod
    def _normalised(visible: Tensor, thermal: Tensor, points: Tensor) -> Tensor:
        """Return the normalised correlation at all shifts, B x K x dy x dx, of hypotheses' points."""
        batch, channels = visible.shape[:2]
        count = len(points)
        grown = points.shape[1:3]
        points = points[None].expand(batch, *points.shape).flatten(0, 1)
        repeated = thermal[:, None].expand(batch, count, *thermal.shape[1:]).flatten(0, 1)
        turned = layers.sample(repeated, points, COARSEST).reshape(batch, count, channels, *grown)
        reference_energy = (visible * visible).sum(1, keepdim=True)
        energy = (turned * turned).sum(2, keepdim=True)

        def lags(own: Tensor, other: Tensor) -> Tensor:
            """Correlate B x C x h x w with B x K x C x h x w."""
            return correlate(own[:, None], other, 2 * REACH + 1)

        product = lags(visible, turned)
        cells = lags(reference_energy, (energy > 0).to(reference_energy)).clamp(min=0)
        norm = cells * lags(torch.ones_like(reference_energy), energy).clamp(min=0)
        # a small overlap can match by chance, so the norm also counts the area of the whole image
        whole = reference_energy.sum((1, 2, 3))[:, None, None, None]
        return product / (torch.sqrt(norm + 1e-12) + 0.1 * whole + 1e-6)

    def best(self, logits: Tensor, affine: Affine) -> Tensor:
        """Return P, B x 2 x 3, of the most likely hypothesis, interpolated between its neighbours."""
        flat = logits.flatten(1)
        share = torch.softmax(flat.masked_fill(~self._near(flat.argmax(1), logits, 1), float('-inf')), 1)
        at = torch.arange(-REACH, REACH + 1, device=flat.device, dtype=flat.dtype)
        values = (self._rotations, self._scales, at, at)
        grids = torch.meshgrid(*(value.to(flat) for value in values), indexing='ij')
        turn, scale, dy, dx = (share @ grid.flatten() for grid in grids)
        return similarity(turn, scale, dx * COARSEST, dy * COARSEST, affine)

    def others(self, logits: Tensor, affine: Affine, count: int) -> list[Tensor]:
        """Return P of the next best hypotheses, each far from the best one and from the earlier ones."""
        found = []
        for _ in range(count):
            near = self._near(logits.flatten(1).argmax(1), logits, SEPARATION)
            logits = logits.masked_fill(near.view_as(logits), float('-inf'))
            found.append(self.best(logits, affine))
        return found

    @staticmethod
    def _near(index: Tensor, logits: Tensor, reach: int) -> Tensor:
        """Return which hypotheses lie within `reach` steps of `index` on every axis, B x N bool."""
        axes = [torch.arange(size, device=logits.device) for size in logits.shape[1:]]
        near = torch.ones_like(logits.flatten(1), dtype=torch.bool)
        for grid in torch.meshgrid(*axes, indexing='ij'):
            at = grid.flatten()
            near = near & ((at[None] - at[index][:, None]).abs() <= reach)
        return near

    def hypotheses(self, affine: Affine) -> Tensor:
        """Return P of every hypothesis, N x 2 x 3, in the order of the logits."""
        at = torch.arange(-REACH, REACH + 1, device=self._scales.device, dtype=torch.float32) * COARSEST
        grids = torch.meshgrid(self._rotations, self._scales, at, at, indexing='ij')
        turn, scale, dy, dx = (grid.flatten() for grid in grids)
        return similarity(turn, scale, dx, dy, affine)

    def _hypothesis_points(self, features: Tensor) -> Tensor:
        """Return the points of a grid extended by REACH cells, per rotation and scale, K x h x w x 2."""
        height, width = features.shape[-2:]
        affine = Affine((height * COARSEST, width * COARSEST))
        grown = features.new_empty((1, 1, height + 2 * REACH, width + 2 * REACH))
        points = layers.centres(grown, COARSEST) - REACH * COARSEST
        grids = torch.meshgrid(self._rotations, self._scales, indexing='ij')
        turn, scale = (grid.flatten() for grid in grids)
        zero = torch.zeros_like(turn)
        return points + affine.displacement(similarity(turn, scale, zero, zero, affine), points)


class Registering(nn.Module):
    """A network that registers by comparing descriptions; a subclass has `descriptions` and `compare`."""

    def register(self, visible: Tensor, thermal: Tensor, start: Tensor | None = None):
        """
        Register thermal to visible, B x 1 x H x W in [0, 1] each, any size; return what `compare` returns.

        start: B x 2 x 3 (see `Affine`), from the previous frame; it replaces the global search. The residual
        is on the grid of the padded image.
        """
        visible, thermal = layers.padded(visible, COARSEST), layers.padded(thermal, COARSEST)
        return self.compare(*self.descriptions(visible, thermal), start=start)

    @staticmethod
    def field(found, shape: tuple[int, int]) -> Tensor:
        """Return the deformation, B x H x W x 2 in pixels, for an image of `shape`: affine plus residual."""
        height, width = found.residual.shape[1:3]
        full = (height * COARSEST, width * COARSEST)
        dense = layers.on_grid(found.residual, full)[:, : shape[0], : shape[1]]
        return Affine(full).displacement(found.affine, tensors.pixel_grid(*shape, dense)) + dense


def correlated(
    reference: Tensor, moving: Tensor, start: Tensor, stride: int, radius: int
) -> tuple[Tensor, Tensor]:
    """
    Correlate descriptions of one stride after warping by a start, B x h x w x 2 on the coarsest grid, pixels.

    Returns two means over each coarsest cell: of the correlation volume (`layers.local_correlation`), and of
    the squared length of both descriptions, B x 2.
    """
    field = start if stride == COARSEST else layers.on_grid(start, reference.shape[-2:])
    moving = layers.sample(moving, layers.centres(reference, stride) + field, stride)
    volume = layers.local_correlation(reference, moving, radius)
    seen = torch.cat([(reference**2).sum(1, keepdim=True), (moving**2).sum(1, keepdim=True)], 1)
    pool = COARSEST // stride
    return (F.avg_pool2d(volume, pool), F.avg_pool2d(seen, pool)) if pool > 1 else (volume, seen)


class Match(nn.Module):
    """
    Measures the remaining displacement of each coarsest cell from the correlation volume of one level.

    The correlation of fine cells is averaged over a coarsest cell and combined with that of its neighbours by
    a 7x7 and a dynamic convolution (Affine Net). The result is the expected shift (soft-argmax).
    """

    def __init__(self, level: int, radius: int):
        super().__init__()
        self.level, self.radius = level, radius
        self.stride = STRIDES[level]
        count = (2 * radius + 1) ** 2
        self.gain = nn.Parameter(torch.ones(()))
        self.enter = conv(count + 2, WIDTH)
        self.wide = conv(WIDTH, WIDTH, 7)
        self.dynamic = layers.DynamicConv(WIDTH)
        # zero at first: an untrained network decides by correlation alone
        self.head = layers.zeroed(nn.Conv2d(WIDTH, count + 1, 3, padding=1))

    def forward(self, visible: list[Tensor], thermal: list[Tensor], start: Tensor) -> Measured:
        """Measure the displacement that remains after `start`, B x h x w x 2 on the coarsest grid, pixels."""
        level = visible[self.level], thermal[self.level]
        volume, seen = correlated(*level, start, self.stride, self.radius)
        x = self.enter(torch.cat([volume * 4, seen], 1))
        x = x + self.wide(x)
        x = x + self.dynamic(x)
        out = self.head(x)
        share = torch.softmax(MATCH_GAIN * self.gain * layers.blur(volume, 1.0) + out[:, :-1], 1)
        shift = torch.einsum('bnhw,nc->bhwc', share, layers.shifts(self.radius, share)) * self.stride
        scale = self.stride * self.radius / 2 * torch.exp(4 * torch.tanh(out[:, -1] / 4))
        return Measured(start, shift, scale, self.stride * (self.radius + 0.5))

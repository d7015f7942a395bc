"""
Matching of two feature pyramids: a global search, and steps that measure what is left at one level.

A pyramid is a list of descriptions at STRIDES, or all but the finest of them, finest first, whose products
say how alike two cells are, and last, at stride COARSEST, those that the search compares; see layers.py for
cells, points and displacements.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.affine import Affine, similarity
from irvis_fusion_ros.networks.cross_correlation import correlate
from irvis_fusion_ros.networks.layers import conv

STRIDES = (1, 2, 4, 8)
COARSEST = STRIDES[-1]
# The global search: rotations in degrees, logarithms of scale, and shifts up to so many coarsest cells.
ROTATIONS = (-9.0, -4.5, 0.0, 4.5, 9.0)
SCALES = (-0.22, -0.11, 0.0, 0.11, 0.22)
REACH = 7
WIDTH = 32
# Steps of the search that two hypotheses are apart by, along one axis or another.
APART = 2
# Stride at which an alignment is checked, and the disagreement, in pixels, that halves the trust of a cell.
CHECKED, TOLERANCE = 4, 4.0
# Excess correlation at which a cell's own opinion counts half, and sharpness of its choice of a shift.
CLEAR, SHARPNESS = 0.1, 20.0
# Gains of the similarity before a softmax, for a learned factor of 1.
SEARCH_GAIN, MATCH_GAIN = 10.0, 8.0


@dataclass(frozen=True)
class Measured:
    """
    What one step saw on the coarsest grid, before it was fitted.

    start: B x h x w x 2, the displacement it started from. shift: likewise, what was left, pixels. scale:
    B x h x w, the expected error of `shift` (of a Laplace distribution, per axis), pixels.
    reach: the largest shift it can see, pixels.
    """

    start: Tensor
    shift: Tensor
    scale: Tensor
    reach: float


@dataclass(frozen=True)
class Agreement:
    """
    How far two pyramids agree under an alignment.

    correlation: B, masked and normalised (as MNCC, BusReF eq. 11), [-1, 1], of the descriptions. trust:
    B x h x w on the coarsest grid, [0, 1], how far the evidence of a cell stays where it is, from visible to
    thermal and back again; 1 without evidence.
    """

    correlation: Tensor
    trust: Tensor


def agreement(visible: list[Tensor], thermal: list[Tensor], p: Tensor, residual: Tensor) -> Agreement:
    """Measure an alignment: P of `Affine`, B x 2 x 3, and a residual, B x h x w x 2, pixels."""
    # before it in a pyramid come the finer ones, behind it the coarsest twice
    reference, moved, stride = visible[-3], thermal[-3], CHECKED
    points = layers.centres(reference, stride)
    field = model_of(visible).displacement(p, points) + layers.on_grid(residual, reference.shape[-2:])
    moving = layers.sample(moved, points + field, stride)
    there, back = (reference**2).sum(1), (moving**2).sum(1)
    seen = (there > 0) & (back > 0)
    product = (reference * moving).sum((1, 2, 3))
    power = (there * seen).sum((1, 2)) * (back * seen).sum((1, 2))
    forward, clear = _own_shift(reference, moving)
    backward, _ = _own_shift(moving, reference)
    error = ((forward**2).sum(1) + ((forward + backward) ** 2).sum(1)) * (stride / TOLERANCE) ** 2
    doubt = clear * error / (1 + error)
    return Agreement(product / torch.sqrt(power + 1e-12), 1 - doubt)


def _own_shift(reference: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
    """Each coarsest cell's own shift, B x 2 x h x w in cells of the checked level, and how clear it is."""
    pool = COARSEST // CHECKED
    volume = F.avg_pool2d(layers.local_correlation(reference, moving, 2), pool)
    volume = layers.blur(volume, 0.8)
    share = torch.softmax(SHARPNESS * volume, 1)
    shift = torch.einsum('bnhw,nc->bchw', share, layers.shifts(2, volume))
    excess = volume.amax(1) - volume.mean(1)
    return shift, excess**2 / (excess**2 + CLEAR**2)


def model_of(pyramid: list[Tensor]) -> Affine:
    """Return the affine model of the image that was described."""
    height, width = pyramid[-1].shape[-2:]
    return Affine((height * COARSEST, width * COARSEST))


class Search(nn.Module):
    """
    Looks for rotation, scale and shift over the whole image at once, by correlation of descriptions.

    Every rotation and scale is tried at every shift up to REACH cells, through the Fourier transform.
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
        """Return how likely every hypothesis is."""
        return SEARCH_GAIN * self.gain * self.similarity(visible, thermal) + self.prior()

    def prior(self) -> Tensor:
        """Small motion is likelier than large: keeps to none where nothing is to be seen."""
        at = torch.arange(-REACH, REACH + 1, device=self._scales.device) / REACH
        turn, scale = self._rotations / self._rotations[-1], self._scales / self._scales[-1]
        return -0.5 * (turn[:, None, None, None] ** 2 + scale[:, None, None] ** 2 + at[:, None] ** 2 + at**2)

    def similarity(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the normalised correlation over the overlap, at most 1, of every hypothesis."""
        visible, thermal = visible.float(), thermal.float()
        batch, channels, height, width = visible.shape
        points = self._hypothesis_points(visible)
        count = len(points)
        grown = points.shape[1:3]
        points = points[None].expand(batch, *points.shape).flatten(0, 1)
        repeated = thermal[:, None].expand(batch, count, *thermal.shape[1:]).flatten(0, 1)
        turned = layers.sample(repeated, points, COARSEST).reshape(batch, count, channels, *grown)
        there = (visible * visible).sum(1, keepdim=True)
        energy = (turned * turned).sum(2, keepdim=True)

        def lags(own: Tensor, other: Tensor) -> Tensor:
            """Correlate B x C x h x w with B x K x C x h x w."""
            return correlate(own[:, None], other, 2 * REACH + 1)

        product = lags(visible, turned)
        cells = lags(there, (energy > 0).to(there)).clamp(min=0)
        norm = cells * lags(torch.ones_like(there), energy).clamp(min=0)
        # a small overlap matches by chance: it is measured against the whole image
        whole = there.sum((1, 2, 3))[:, None, None, None]
        correlation = product / (torch.sqrt(norm + 1e-12) + 0.1 * whole + 1e-6)
        shape = (batch, len(ROTATIONS), len(SCALES), 2 * REACH + 1, 2 * REACH + 1)
        # evidence grows with the root of the cells that agree
        return correlation.reshape(shape) * (height * width / 64) ** 0.5

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
        """Return P of the next best hypotheses, each far from the best one and from those before it."""
        found = []
        for _ in range(count):
            near = self._near(logits.flatten(1).argmax(1), logits, APART)
            logits = logits.masked_fill(near.view_as(logits), float('-inf'))
            found.append(self.best(logits, affine))
        return found

    @staticmethod
    def _near(index: Tensor, logits: Tensor, reach: int) -> Tensor:
        """Say which hypotheses lie within so many steps of one, along every axis, B x N bool."""
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
        """Where the cells of a grid grown by REACH lie under every rotation and scale, K x h x w x 2."""
        height, width = features.shape[-2:]
        affine = Affine((height * COARSEST, width * COARSEST))
        grown = features.new_empty((1, 1, height + 2 * REACH, width + 2 * REACH))
        points = layers.centres(grown, COARSEST) - REACH * COARSEST
        grids = torch.meshgrid(self._rotations, self._scales, indexing='ij')
        turn, scale = (grid.flatten() for grid in grids)
        zero = torch.zeros_like(turn)
        return points + affine.displacement(similarity(turn, scale, zero, zero, affine), points)


class Registering(nn.Module):
    """A network that registers by descriptions; a subclass has `descriptions` and `compare`."""

    def register(self, visible: Tensor, thermal: Tensor, start: Tensor | None = None):
        """
        Register thermal to visible, B x 1 x H x W in [0, 1] each, any size; returns what `compare` does.

        start: B x 2 x 3 (see `Affine`), from the frame before, instead of the global search. The residual is
        on the grid of the padded image.
        """
        visible, thermal = layers.padded(visible, COARSEST), layers.padded(thermal, COARSEST)
        return self.compare(*self.descriptions(visible, thermal), start=start)

    @staticmethod
    def field(found, shape: tuple[int, int]) -> Tensor:
        """Return the deformation, B x H x W x 2 in pixels, of an image of `shape`: one composed field."""
        height, width = found.residual.shape[1:3]
        full = (height * COARSEST, width * COARSEST)
        dense = layers.on_grid(found.residual, full)[:, : shape[0], : shape[1]]
        return Affine(full).displacement(found.affine, tensors.pixel_grid(*shape, dense)) + dense


def correlated(
    reference: Tensor, moving: Tensor, start: Tensor, stride: int, radius: int
) -> tuple[Tensor, Tensor]:
    """
    Correlate descriptions of a stride after a start, B x h x w x 2 on the coarsest grid, pixels.

    Returns the means over a coarsest cell: of `layers.local_correlation`, and of how much both show, B x 2.
    """
    field = start if stride == COARSEST else layers.on_grid(start, reference.shape[-2:])
    moving = layers.sample(moving, layers.centres(reference, stride) + field, stride)
    volume = layers.local_correlation(reference, moving, radius)
    seen = torch.cat([(reference**2).sum(1, keepdim=True), (moving**2).sum(1, keepdim=True)], 1)
    pool = COARSEST // stride
    return (F.avg_pool2d(volume, pool), F.avg_pool2d(seen, pool)) if pool > 1 else (volume, seen)


class Match(nn.Module):
    """
    Says by how much each coarsest cell is still displaced, from the correlation of one level.

    The correlation of fine cells is pooled over a coarsest cell, weighed together with that of its neighbours
    by a 7x7 and a dynamic convolution (Affine Net), and the expected shift is taken.
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
        # before it has learned, correlation alone decides
        self.head = layers.zeroed(nn.Conv2d(WIDTH, count + 1, 3, padding=1))

    def forward(self, visible: list[Tensor], thermal: list[Tensor], start: Tensor) -> Measured:
        """Measure what is left after `start`, B x h x w x 2 on the coarsest grid, pixels."""
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

"""
From what every cell of a grid measured to one smooth field, by weighing all cells together.

A field is affine plus a residual. Of the residual a Gaussian-process prior says how large and how smooth it
is (Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, ch. 2): its cosine coefficients
are independent, with the variances of the spectrum of a squared exponential kernel (Solin & Sarkka, "Hilbert
space methods for reduced-rank Gaussian process regression", 2020). Cells and displacements as in layers.py;
a measurement is a mean, B x h x w x 2, and a precision, B x h x w x 3 (xx, yy, xy, per squared pixel).
"""

import math

import torch
from torch import Tensor, nn

from irvis_fusion_ros.networks import affine
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.tuning import ROBUST

ROUNDS = 2
# Standard deviation of the affine numbers (`Affine`), pixels: they are hardly pulled to 0.
FREE = 50.0
# Steps of conjugate gradients, and what they divide by at least.
ITERATIONS = 14
TINY = 1e-20


class SmoothFit(nn.Module):
    """
    Fits an affine, or an affine and a residual, to measurements.

    The prior is the sum of two kernels, one for what a lens or depth bends slowly and one for what bends
    within a few cells. Size in pixels and correlation length in cells of each are learned.
    """

    def __init__(self, sizes: tuple[float, float] = (2.0, 1.5), lengths: tuple[float, float] = (12.0, 3.0)):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(sizes).log())
        self.length = nn.Parameter(torch.tensor(lengths).log())

    def affine(self, mean: Tensor, precision: Tensor, points: Tensor, model: Affine, loose: float) -> Tensor:
        """
        Return P that fits best, B x 2 x 3.

        loose: what the residual may add to a measurement, pixels: its precision is no better than that.
        """
        capped = _capped(precision, loose)
        weight = torch.ones_like(mean[..., 0])
        for last in (False,) * (ROUNDS - 1) + (True,):
            p = _affine(model.basis(points), mean, capped * weight[..., None])
            if not last:
                weight = agreement(model.displacement(p, points) - mean, capped)
        return p

    def residual(self, mean: Tensor, precision: Tensor) -> Tensor:
        """Return the likeliest residual, B x h x w x 2, of measurements that the affine was taken off."""
        rows, columns = (_cosines(side, mean) for side in mean.shape[1:3])
        deviation = self._deviation(len(rows), len(columns), mean)
        weight = torch.ones_like(mean[..., 0])
        for last in (False,) * (ROUNDS - 1) + (True,):
            field = _likeliest(mean, precision * weight[..., None], rows, columns, deviation)
            if not last:
                weight = agreement(field - mean, precision)
        return field

    def _deviation(self, height: int, width: int, like: Tensor) -> Tensor:
        """Standard deviation of every cosine coefficient of the prior, height x width."""
        v = torch.arange(height, device=like.device)[:, None] * (math.pi / height)
        u = torch.arange(width, device=like.device) * (math.pi / width)
        square = u * u + v * v
        size, length = self.size.exp()[:, None, None], self.length.exp()[:, None, None]
        # the spectral density of the kernel, per cell
        density = size**2 * 2 * math.pi * length**2 * torch.exp(-0.5 * length**2 * square)
        # the steepest of them underflow, and the root of 0 has no slope
        return (density.sum(0) + 1e-12).sqrt()


def apply(precision: Tensor, vector: Tensor) -> Tensor:
    """Multiply by the symmetric 2x2 matrices, each B x h x w x (xx, yy, xy)."""
    xx, yy, xy = precision.unbind(-1)
    x, y = vector.unbind(-1)
    return torch.stack([xx * x + xy * y, xy * x + yy * y], -1)


def agreement(error: Tensor, precision: Tensor) -> Tensor:
    """Return the weight of each measurement under Student's t, B x h x w."""
    distance = (apply(precision, error) * error).sum(-1)
    return (ROBUST.tail + 2) / (ROBUST.tail + distance)


def _capped(precision: Tensor, deviation: float) -> Tensor:
    """Add `deviation` squared to the variance of measurements."""
    xx, yy, xy = precision.unbind(-1)
    extra = deviation**2
    # (P^-1 + e I)^-1 = (P + e det(P) I) / (1 + e tr(P) + e^2 det(P))
    determinant = (xx * yy - xy * xy).clamp(min=0)
    scale = 1 / (1 + extra * (xx + yy) + extra**2 * determinant)
    return torch.stack([xx + extra * determinant, yy + extra * determinant, xy], -1) * scale[..., None]


def _affine(basis: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    count = mean.shape[1] * mean.shape[2]
    u = basis.flatten(1, 2).expand(len(mean), -1, -1)
    xx, yy, xy = (part.flatten(1)[..., None] for part in precision.unbind(-1))
    ridge = affine.unit(3, u) / (count * FREE**2)
    xx, yy, xy = ((u * part).transpose(1, 2) @ u / count for part in (xx, yy, xy))
    right = u.transpose(1, 2) @ apply(precision, mean).flatten(1, 2) / count
    # the numbers of x in terms of those of y, and then those of y
    of_x = affine.solve(xx + ridge, torch.cat([xy, right[..., :1]], 2))
    of_y = affine.solve(yy + ridge - xy @ of_x[..., :3], right[..., 1:] - xy @ of_x[..., 3:])
    return torch.cat([of_x[..., 3:] - of_x[..., :3] @ of_y, of_y], 2).transpose(1, 2)


def _likeliest(mean: Tensor, precision: Tensor, rows: Tensor, columns: Tensor, deviation: Tensor) -> Tensor:
    """Minimise `sum (field - mean)' P (field - mean) + |z|^2`, field the transform of `deviation z`."""
    system = _System(precision.detach(), rows, columns, deviation.detach())
    exact = _System(precision, rows, columns, deviation)
    right = exact.adjoint(apply(precision, mean))
    z = system.solve(right.detach())
    if torch.is_grad_enabled():
        # What learns is told by the equation that z solves, not by the steps that led there: they are many,
        # and where they have converged they divide by nothing.
        z = z + _Inverse.apply(right - exact(z), system)
    return exact.field_of(z)


class _System:
    """The equation `z + A' P A z = right` of the coefficients z, B x 2 x h x w, A from them to a field."""

    def __init__(self, precision: Tensor, rows: Tensor, columns: Tensor, deviation: Tensor):
        xx, yy, xy = precision.unbind(-1)
        # B x h x w x 2 x 2: a product and a sum apply it
        self._matrices = torch.stack([xx, xy, xy, yy], -1).unflatten(-1, (2, 2))
        self._rows, self._columns = rows, columns
        self._deviation = deviation

    def field_of(self, z: Tensor) -> Tensor:
        return (self._rows.T @ (self._deviation * z) @ self._columns).movedim(1, -1)

    def adjoint(self, field: Tensor) -> Tensor:
        return self._deviation * (self._rows @ field.movedim(-1, 1) @ self._columns.T)

    def __call__(self, z: Tensor) -> Tensor:
        return z + self.adjoint((self._matrices * self.field_of(z)[..., None, :]).sum(-1))

    def solve(self, right: Tensor) -> Tensor:
        """
        Return z by preconditioned conjugate gradients.

        No matrix is built, and every step is four products of small matrices.
        """
        # as if every measurement were as precise as the mean of them: what the prior spreads is undone
        usual = self._matrices.diagonal(dim1=-2, dim2=-1).mean((1, 2, 3))[:, None, None, None]
        condition = 1 / (1 + usual * self._deviation**2)
        left, z = right, torch.zeros_like(right)
        better = condition * left
        step, power = better, _dot(left, better)
        for _ in range(ITERATIONS):
            moved = self(step)
            length = power / _dot(step, moved).clamp(min=TINY)
            z, left = z + length * step, left - length * moved
            better = condition * left
            before, power = power, _dot(left, better)
            step = better + power / before.clamp(min=TINY) * step
        return z


class _Inverse(torch.autograd.Function):
    """Applies the inverse of a system, which is symmetric: so is its gradient."""

    @staticmethod
    def forward(ctx, right: Tensor, system: _System) -> Tensor:
        ctx.system = system
        return system.solve(right)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.system.solve(gradient), None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2, 3), keepdim=True)


def _cosines(count: int, like: Tensor) -> Tensor:
    """The orthonormal cosine transform of `count` cells, frequencies x cells."""
    at = torch.arange(count, device=like.device, dtype=like.dtype)
    table = torch.cos(math.pi / count * at[:, None] * (at + 0.5)) * (2 / count) ** 0.5
    return torch.cat([table[:1] * 0.5**0.5, table[1:]])

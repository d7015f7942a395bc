"""
Fits one smooth field to the measurements of all cells of a grid.

A field is an affine plus a residual. A Gaussian-process prior (Rasmussen & Williams, "Gaussian Processes for
Machine Learning", 2006, ch. 2) limits the size and roughness of the residual. Its cosine coefficients are
independent, with the variances of the spectrum of a squared exponential kernel (Solin & Sarkka, "Hilbert
space methods for reduced-rank Gaussian process regression", 2020). Cells and displacements are as in
layers.py. A measurement is a mean, B x h x w x 2, and a precision, B x h x w x 3 (xx, yy, xy, per squared
pixel).
"""

import math

import torch
from torch import Tensor, nn

from irvis_fusion_ros.networks import affine
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.tuning import ROBUST

ROUNDS = 2
# Prior standard deviation of the affine numbers (`Affine`), pixels: so wide that they hardly shrink to 0.
AFFINE_DEVIATION = 50.0
# Steps of conjugate gradients, and the smallest denominator in them.
ITERATIONS = 14
TINY = 1e-20


class SmoothFit(nn.Module):
    """
    Fits an affine, or an affine and a residual, to measurements.

    The prior is the sum of two kernels: one for the slow bending by lenses and depth, one for bending within
    a few cells. The size in pixels and the correlation length in cells of each are learned.
    """

    def __init__(self, sizes: tuple[float, float] = (2.0, 1.5), lengths: tuple[float, float] = (12.0, 3.0)):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(sizes).log())
        self.length = nn.Parameter(torch.tensor(lengths).log())

    def affine(self, mean: Tensor, precision: Tensor, points: Tensor, model: Affine, loose: float) -> Tensor:
        """
        Return the best-fitting P, B x 2 x 3.

        loose: standard deviation, pixels, that the residual adds to every measurement; it limits the
        precision.
        """
        capped = _capped(precision, loose)
        weight = torch.ones_like(mean[..., 0])
        for last in (False,) * (ROUNDS - 1) + (True,):
            p = _affine(model.basis(points), mean, capped * weight[..., None])
            if not last:
                weight = agreement(model.displacement(p, points) - mean, capped)
        return p

    def residual(self, mean: Tensor, precision: Tensor) -> Tensor:
        """Return the most likely residual, B x h x w x 2, of measurements without their affine part."""
        rows, columns = (_cosines(side, mean) for side in mean.shape[1:3])
        deviation = self._deviation(len(rows), len(columns), mean)
        weight = torch.ones_like(mean[..., 0])
        for last in (False,) * (ROUNDS - 1) + (True,):
            field = _fit_residual(mean, precision * weight[..., None], rows, columns, deviation)
            if not last:
                weight = agreement(field - mean, precision)
        return field

    def _deviation(self, height: int, width: int, like: Tensor) -> Tensor:
        """Return the standard deviation of every cosine coefficient of the prior, height x width."""
        v = torch.arange(height, device=like.device)[:, None] * (math.pi / height)
        u = torch.arange(width, device=like.device) * (math.pi / width)
        square = u * u + v * v
        size, length = self.size.exp()[:, None, None], self.length.exp()[:, None, None]
        # the spectral density of the kernel, per cell
        density = size**2 * 2 * math.pi * length**2 * torch.exp(-0.5 * length**2 * square)
        # the steepest coefficients underflow, and the square root has no gradient at 0
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
    ridge = affine.unit(3, u) / (count * AFFINE_DEVIATION**2)
    xx, yy, xy = ((u * part).transpose(1, 2) @ u / count for part in (xx, yy, xy))
    right = u.transpose(1, 2) @ apply(precision, mean).flatten(1, 2) / count
    # the numbers of x in terms of those of y, and then those of y
    of_x = affine.solve(xx + ridge, torch.cat([xy, right[..., :1]], 2))
    of_y = affine.solve(yy + ridge - xy @ of_x[..., :3], right[..., 1:] - xy @ of_x[..., 3:])
    return torch.cat([of_x[..., 3:] - of_x[..., :3] @ of_y, of_y], 2).transpose(1, 2)


def _fit_residual(
    mean: Tensor, precision: Tensor, rows: Tensor, columns: Tensor, deviation: Tensor
) -> Tensor:
    """Minimise `sum (field - mean)' P (field - mean) + |z|^2`, field the transform of `deviation z`."""
    system = _System(precision.detach(), rows, columns, deviation.detach())
    exact = _System(precision, rows, columns, deviation)
    right = exact.adjoint(apply(precision, mean))
    z = system.solve(right.detach())
    if torch.is_grad_enabled():
        # The gradient comes from the equation that z solves, not from the steps of the solver: those are
        # many, and divide by 0 once they have converged.
        z = z + _Inverse.apply(right - exact(z), system)
    return exact.field_of(z)


class _System:
    """The equation `z + A' P A z = right` of coefficients z, B x 2 x h x w; A maps them to a field."""

    def __init__(self, precision: Tensor, rows: Tensor, columns: Tensor, deviation: Tensor):
        xx, yy, xy = precision.unbind(-1)
        # B x h x w x 2 x 2, so that a product and a sum apply it
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

        It builds no matrix; every step is four products of small matrices.
        """
        # preconditioner: the inverse of the system if every measurement had the mean precision
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
    """Applies the inverse of a symmetric system; its gradient is the same inverse."""

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
    """Return the orthonormal cosine transform of `count` cells, frequencies x cells."""
    at = torch.arange(count, device=like.device, dtype=like.dtype)
    table = torch.cos(math.pi / count * at[:, None] * (at + 0.5)) * (2 / count) ** 0.5
    return torch.cat([table[:1] * 0.5**0.5, table[1:]])

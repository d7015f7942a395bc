"""Affine displacements of a grid: six numbers in pixels, and their least-squares fit."""

import torch
from torch import Tensor


class Affine:
    """
    Affine displacements of a grid, `d(x) = P (u, 1)` in pixels, u = (x - centre) / length.

    P is B x 2 x 3; zeros move nothing. Scaling by `length`, half the longer side, makes all six numbers
    displacements of the border in pixels.
    """

    def __init__(self, shape: tuple[int, int]):
        height, width = shape
        self.centre = ((width - 1) / 2, (height - 1) / 2)
        self.length = max(height, width) / 2

    def displacement(self, p: Tensor, points: Tensor) -> Tensor:
        """Return d at points, B x H x W x 2."""
        u = self.basis(points)
        return torch.einsum('bij,bhwj->bhwi', p, u.expand(p.shape[0], *u.shape[1:]))

    def basis(self, points: Tensor) -> Tensor:
        """Return (u, 1) at points."""
        x, y = ((points[..., axis] - self.centre[axis]) / self.length for axis in (0, 1))
        return torch.stack([x, y, torch.ones_like(x)], -1)

    def matrix(self, p: Tensor) -> Tensor:
        """Return the backward 3x3 matrix in pixels, `x -> x + d(x)`, B x 3 x 3."""
        linear = p[..., :2] / self.length
        shift = p[..., 2] - (linear @ p.new_tensor(self.centre))
        top = torch.cat([unit(2, p) + linear, shift[..., None]], -1)
        return torch.cat([top, p.new_tensor((0, 0, 1.0)).expand(p.shape[0], 1, 3)], 1)

    def after(self, p: Tensor, step: Tensor) -> Tensor:
        """Return P of the composition of `step`, then `p`: `step(x) + p(x + step(x))`."""
        return p + step + p[..., :2] @ step / self.length

    def fit(self, field: Tensor, weight: Tensor, points: Tensor) -> Tensor:
        """Return the least-squares P of a field, B x h x w x 2, with a slight ridge towards 0."""
        u = self.basis(points).flatten(1, 2)
        w = (weight / (weight.mean((1, 2), keepdim=True) + 1e-12)).flatten(1)[..., None] / u.shape[1]
        u = u.expand(w.shape[0], -1, -1)
        normal = (u * w).transpose(1, 2) @ u + 1e-3 * unit(3, u)
        right = (u * w).transpose(1, 2) @ field.flatten(1, 2)
        return solve(normal, right).transpose(1, 2)


def similarity(turn: Tensor, scale: Tensor, dx: Tensor, dy: Tensor, affine: Affine) -> Tensor:
    """Return P of `x -> s R (x + t)` about the centre; `scale` is the logarithm of s."""
    cosine, sine = torch.exp(scale) * torch.cos(turn), torch.exp(scale) * torch.sin(turn)
    linear = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    shift = linear @ torch.stack([dx, dy], -1)[..., None]
    return torch.cat([(linear - unit(2, linear)) * affine.length, shift], -1)


def unit(size: int, like: Tensor) -> Tensor:
    """Return the unit matrix, created on the device of `like`, which avoids a copy."""
    return torch.eye(size, dtype=like.dtype, device=like.device)


def solve(normal: Tensor, right: Tensor) -> Tensor:
    """
    Solve symmetric 3x3 systems, B x 3 x 3, for right sides, B x 3 x N.

    It uses cofactors, which can be exported, and are exact enough for the scaling of `Affine`.
    """
    rows = normal.unbind(-2)
    cofactors = torch.stack([torch.linalg.cross(rows[(i + 1) % 3], rows[(i + 2) % 3]) for i in range(3)], -1)
    determinant = (rows[0] * cofactors[..., 0]).sum(-1)[..., None, None]
    return cofactors @ right / determinant

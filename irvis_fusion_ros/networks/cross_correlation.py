"""
Correlation of maps at many shifts through the discrete Fourier transform.

Exported networks support neither complex numbers nor fast transforms. There the transform is two matrix
products with the same result; for maps of a few dozen cells they take half as long again.
"""

import math

import torch
from torch import Tensor


def correlate(own: Tensor, other: Tensor, count: int) -> Tensor:
    """
    Return `sum_c sum_x own_c(x) other_c(x + s)` for shifts s of 0 to `count` - 1 along both axes.

    own: ... x C x h x w. other: ... x C x (h + count - 1) x (w + count - 1) at most, 0 beyond. They are
    broadcast against each other; the result is ... x count x count, (dy, dx).
    """
    size = tuple(side + count - 1 for side in own.shape[-2:])
    if torch.compiler.is_compiling():
        return _by_matrices(own, other, size, count)
    size = tuple(_fast(side) for side in size)
    cross = (torch.fft.rfft2(own, s=size).conj() * torch.fft.rfft2(other, s=size)).sum(-3)
    return torch.fft.irfft2(cross, s=size)[..., :count, :count]


def _fast(side: int) -> int:
    """Return the next even length that is a product of 2, 3, 5 and 7, which suits the fast transform."""
    length = side + side % 2
    while math.gcd(length, 2**16 * 3**10 * 5**7 * 7**6) != length:
        length += 2
    return length


def _by_matrices(own: Tensor, other: Tensor, size: tuple[int, int], count: int) -> Tensor:
    (own_real, own_imaginary), (real, imaginary) = (_transformed(maps, size) for maps in (own, other))
    cross = (
        (own_real * real + own_imaginary * imaginary).sum(-3),
        (own_real * imaginary - own_imaginary * real).sum(-3),
    )
    height, width = size
    half = width // 2 + 1
    cosine, sine = (table.T for table in _table(count, height, height, real))
    rows = cross[0] @ cosine - cross[1] @ sine, cross[1] @ cosine + cross[0] @ sine
    # a real map has a mirrored spectrum, so half of it suffices; only the first column, and the last one of
    # an even width, have no mirror image
    k = torch.arange(half, device=real.device)
    twice = torch.where((k == 0) | (2 * k == width), 1.0, 2.0)
    cosine, sine = (table * twice for table in _table(count, half, width, real))
    return (cosine @ rows[0] - sine @ rows[1]).transpose(-1, -2) / (height * width)


def _transformed(maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return real and imaginary part, ... x (size[1] // 2 + 1) x size[0], by products of two matrices."""
    height, width = maps.shape[-2:]
    half = size[1] // 2 + 1
    along = (maps @ torch.cat(_table(width, half, size[1], maps), 1)).transpose(-1, -2)
    down = along @ torch.cat(_table(height, size[0], size[0], maps), 1)
    (cc, cs), (sc, ss) = (part.split(size[0], -1) for part in down.split(half, -2))
    return cc - ss, -(cs + sc)


def _table(count: int, frequencies: int, size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of `2 pi x k / size`, count x frequencies."""
    x = torch.arange(count, device=like.device)[:, None]
    k = torch.arange(frequencies, device=like.device)
    # reduce the product modulo `size` as integers, because large angles lose digits in floating point
    angle = (x * k % size).to(like.dtype) * (2 * math.pi / size)
    return torch.cos(angle), torch.sin(angle)

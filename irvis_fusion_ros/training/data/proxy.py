"""
Proxy data of B-SR (section 3.1): images cut into patches that are flipped and rotated, and the inverse.

PDG is `Proxy.apply_images`, IPDG is `Proxy.invert_images`; both use the same random operations. For a field,
both positions and vectors change, so that `warp(P(I), P(phi)) = P(warp(I, phi))` except near the edges of
patches, where a displacement reaches into the next patch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Proxy:
    """
    Operations on each of N x N patches of each image: a flip left to right, then quarter turns.

    flips: B x N x N bool. turns: B x N x N, 0 to 3, counter-clockwise.
    """

    flips: Tensor
    turns: Tensor

    @staticmethod
    def draw(batch: int, patches: int, square: bool) -> 'Proxy':
        """Draw random operations; patches that are not square only get half turns, which keep their shape."""
        flips = torch.rand(batch, patches, patches) < 0.5
        turns = torch.randint(0, 4, (batch, patches, patches))
        return Proxy(flips, turns if square else turns // 2 * 2)

    def repeat_for(self, times: int) -> 'Proxy':
        """Return the operations for a batch that repeats the same images."""
        return Proxy(self.flips.repeat(times, 1, 1), self.turns.repeat(times, 1, 1))

    def apply_images(self, image: Tensor) -> Tensor:
        """Return P(I) of B x C x H x W; sides must be multiples of N. Raises ValueError for others."""
        return self._map_patches(image, _transform)

    def invert_images(self, image: Tensor) -> Tensor:
        """Return IP(I), the inverse of `apply_images`."""
        return self._map_patches(image, _invert)

    def apply_fields(self, field: Tensor) -> Tensor:
        """Return P(phi) of a deformation, B x H x W x 2, (dx, dy)."""
        return self._map_patches(field.movedim(-1, 1), _transform_field).movedim(1, -1)

    def invert_fields(self, field: Tensor) -> Tensor:
        """Return IP(phi), the inverse of `apply_fields`."""
        return self._map_patches(field.movedim(-1, 1), _invert_field).movedim(1, -1)

    def inner(self, like: Tensor, band: int) -> Tensor:
        """Return 1 where a pixel of B x C x H x W is `band` pixels or more from every edge of a patch."""
        rows, columns = (side // self.flips.shape[1] for side in like.shape[-2:])
        y, x = (torch.arange(side, device=like.device) for side in like.shape[-2:])
        y, x = (
            (at % side - (side - 1) / 2).abs() <= (side - 1) / 2 - band
            for at, side in ((y, rows), (x, columns))
        )
        return (y[:, None] & x).to(like)[None, None]

    def _map_patches(self, image: Tensor, change) -> Tensor:
        count = self.flips.shape[1]
        height, width = image.shape[-2:]
        if height % count or width % count or (height != width and bool((self.turns % 2).any())):
            raise ValueError(
                f'pictures of {width}x{height} have no {count} x {count} patches that can be turned'
            )
        pictures = []
        for picture, flips, turns in zip(image, self.flips.tolist(), self.turns.tolist(), strict=True):
            rows = []
            for row, *options in zip(picture.chunk(count, 1), flips, turns, strict=True):
                patches = zip(row.chunk(count, 2), *options, strict=True)
                rows.append(torch.cat([change(*patch) for patch in patches], 2))
            pictures.append(torch.cat(rows, 1))
        return torch.stack(pictures)


def _transform(patch: Tensor, flip: bool, turns: int) -> Tensor:
    return torch.rot90(patch.flip(2) if flip else patch, turns, (1, 2))


def _invert(patch: Tensor, flip: bool, turns: int) -> Tensor:
    patch = torch.rot90(patch, -turns, (1, 2))
    return patch.flip(2) if flip else patch


def _transform_field(patch: Tensor, flip: bool, turns: int) -> Tensor:
    dx, dy = _transform(patch, flip, turns)
    if flip:
        dx = -dx
    # rot90 moves the right-hand side of a patch to the top
    for _ in range(turns):
        dx, dy = dy, -dx
    return torch.stack([dx, dy])


def _invert_field(patch: Tensor, flip: bool, turns: int) -> Tensor:
    dx, dy = _invert(patch, flip, turns)
    for _ in range(turns):
        dx, dy = -dy, dx
    return torch.stack([-dx if flip else dx, dy])

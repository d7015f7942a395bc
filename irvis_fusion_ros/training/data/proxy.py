"""
Proxy data of B-SR (section 3.1): pictures cut into patches that are flipped and turned, and the way back.

PDG is `Proxy.images`, IPDG `Proxy.undone`; both take what was drawn once for a picture. A field is turned in
place and in its vectors, so that `warp(P(I), P(phi)) = P(warp(I, phi))` but near the edges of patches, where
a displacement reaches into another one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Proxy:
    """
    What is done to each of N x N patches of each picture: a flip left to right, then quarter turns.

    flips: B x N x N bool. turns: B x N x N, 0 to 3, counter-clockwise.
    """

    flips: Tensor
    turns: Tensor

    @staticmethod
    def drawn(batch: int, patches: int, square: bool) -> 'Proxy':
        """Draw what to do; patches that are not square keep their sides: half turns only."""
        flips = torch.rand(batch, patches, patches) < 0.5
        turns = torch.randint(0, 4, (batch, patches, patches))
        return Proxy(flips, turns if square else turns // 2 * 2)

    def repeated(self, times: int) -> 'Proxy':
        """Return what is done to the same pictures, concatenated so often."""
        return Proxy(self.flips.repeat(times, 1, 1), self.turns.repeat(times, 1, 1))

    def images(self, image: Tensor) -> Tensor:
        """Return P(I) of B x C x H x W; sides must be multiples of N. Raises ValueError for others."""
        return self._patched(image, _done)

    def undone(self, image: Tensor) -> Tensor:
        """Return IP(I): what `images` was given."""
        return self._patched(image, _undone)

    def fields(self, field: Tensor) -> Tensor:
        """Return P(phi) of a deformation, B x H x W x 2, (dx, dy)."""
        return self._patched(field.movedim(-1, 1), _field_done).movedim(1, -1)

    def fields_undone(self, field: Tensor) -> Tensor:
        """Return IP(phi): what `fields` was given."""
        return self._patched(field.movedim(-1, 1), _field_undone).movedim(1, -1)

    def inner(self, like: Tensor, band: int) -> Tensor:
        """Return 1 where a pixel of B x C x H x W is `band` pixels or more from every edge of a patch."""
        rows, columns = (side // self.flips.shape[1] for side in like.shape[-2:])
        y, x = (torch.arange(side, device=like.device) for side in like.shape[-2:])
        y, x = (
            (at % side - (side - 1) / 2).abs() <= (side - 1) / 2 - band
            for at, side in ((y, rows), (x, columns))
        )
        return (y[:, None] & x).to(like)[None, None]

    def _patched(self, image: Tensor, change) -> Tensor:
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


def _done(patch: Tensor, flip: bool, turns: int) -> Tensor:
    return torch.rot90(patch.flip(2) if flip else patch, turns, (1, 2))


def _undone(patch: Tensor, flip: bool, turns: int) -> Tensor:
    patch = torch.rot90(patch, -turns, (1, 2))
    return patch.flip(2) if flip else patch


def _field_done(patch: Tensor, flip: bool, turns: int) -> Tensor:
    dx, dy = _done(patch, flip, turns)
    if flip:
        dx = -dx
    # a quarter turn brings what lay to the right to the top
    for _ in range(turns):
        dx, dy = dy, -dx
    return torch.stack([dx, dy])


def _field_undone(patch: Tensor, flip: bool, turns: int) -> Tensor:
    dx, dy = _undone(patch, flip, turns)
    for _ in range(turns):
        dx, dy = -dy, dx
    return torch.stack([-dx if flip else dx, dy])

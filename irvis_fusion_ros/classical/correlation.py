"""
Correlation surfaces: how well each tile of a level matches the thermal image at every small shift.

They are a cost volume: later steps use only these surfaces, and combine the evidence of all tiles instead of
relying on the best shift of each.
"""

import functools
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from irvis_fusion_ros.classical.pyramid import Level

# Energy per pixel at which the correlation of weak maps fades to zero.
LEAST_ENERGY = 0.02


@dataclass(frozen=True)
class Tiles:
    """
    Overlapping square windows on a level, each of `span` x `span` blocks of `spacing` pixels.

    rows and columns count the tiles; top and left are the position of the first block.
    """

    spacing: int
    span: int
    rows: int
    columns: int
    top: int
    left: int

    @property
    def x(self) -> np.ndarray:
        """Column of every tile's centre, level pixels."""
        return self.left + (np.arange(self.columns) + self.span / 2) * self.spacing - 0.5

    @property
    def y(self) -> np.ndarray:
        """Row of every tile's centre, level pixels."""
        return self.top + (np.arange(self.rows) + self.span / 2) * self.spacing - 0.5

    def at(self, values: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return values of tiles, rows x columns, interpolated at points, H x W x 2 level pixels."""
        at = ((points - [self.x[0], self.y[0]]) / self.spacing).astype(np.float32)
        return cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def spanning(self, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return values of tiles, rows x columns, on a grid that spans the level, H x W, edge to edge."""
        height, width = shape
        centres = np.meshgrid(np.arange(0, width, 8) + 3.5, np.arange(0, height, 8) + 3.5)
        return self.at(values, np.stack(centres, -1))

    @property
    def blocks(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.rows + self.span - 1, self.columns + self.span - 1


def tiles(level: Level, spacing: int, span: int) -> Tiles:
    """Return the tiles of a level: as many as fit, centred."""
    height, width = level.shape
    spacing = max(2, min(spacing, min(height, width) // span))
    rows, columns = height // spacing, width // spacing
    top, left = (height - rows * spacing) // 2, (width - columns * spacing) // 2
    return Tiles(spacing, span, rows - span + 1, columns - span + 1, top, left)


@dataclass(frozen=True)
class Surfaces:
    """
    values: n x n x rows x columns float32, correlation in [-1, 1] of each tile at shifts (dy, dx), each from
    -radius to radius. energy: rows x columns float32, the structure of both images in the tile. cover: rows x
    columns float32, the share of the tile that the thermal image covers.
    """

    values: np.ndarray
    energy: np.ndarray
    cover: np.ndarray

    @property
    def radius(self) -> int:
        """Largest shift, in level pixels."""
        return self.values.shape[0] // 2

    def within(self, radius: int) -> 'Surfaces':
        """Return the same surfaces without shifts beyond `radius`."""
        kept = slice(self.radius - radius, self.radius + radius + 1)
        return replace(self, values=self.values[kept, kept])


def correlate(
    level: Level,
    grid: Tiles,
    backward: np.ndarray,
    residual: np.ndarray | None,
    radius: int,
    pool: Executor | None = None,
) -> Surfaces:
    """Correlate the tiles of a level with the thermal image warped by `backward` and `residual`."""
    moving, seen = level.moving(backward, residual, radius)
    blocks_y, blocks_x = grid.blocks
    height, width = blocks_y * grid.spacing, blocks_x * grid.spacing
    window = (slice(grid.top, grid.top + height), slice(grid.left, grid.left + width))
    reference = np.ascontiguousarray(level.maps[:, window[0], window[1]])
    around = (
        slice(grid.top, grid.top + height + 2 * radius),
        slice(grid.left, grid.left + width + 2 * radius),
    )
    products = _block_correlations(reference, moving[:, around[0], around[1]], grid, pool)
    reference_energy, moving_energy = _energy(reference), _energy(moving)
    inside = np.ascontiguousarray(seen[radius:, radius:][window])
    norm = np.sqrt(
        np.maximum(_tile_means(_shifted_block_means(moving_energy, grid, 2 * radius + 1), grid), 0)
        * _tile_means(_block_means(reference_energy * inside, grid), grid)
    )
    return Surfaces(
        values=_tile_means(products, grid) / (norm + np.float32(LEAST_ENERGY)),
        energy=norm[radius, radius],
        cover=_tile_means(_block_means(inside, grid), grid),
    )


def _block_correlations(
    reference: np.ndarray, moving: np.ndarray, grid: Tiles, pool: Executor | None
) -> np.ndarray:
    """
    Return the mean product of each block with each shift of it, n x n x blocks down x blocks along.

    reference: K x h x w, of whole blocks. moving: K x (h + n - 1) x (w + n - 1).

    For each shift down, the columns of a block are multiplied with all columns that some shift along leads
    to, as matrices. The products of one shift lie on a diagonal, and a second matrix sums them. Matrix
    products take half the time of single sums, though they compute more than is used.
    """
    spacing, count = grid.spacing, moving.shape[1] - reference.shape[1] + 1
    blocks_y, blocks_x = grid.blocks
    rows, reached = len(reference) * spacing, spacing + count - 1
    diagonals = _diagonals(spacing, count)
    found = np.empty((count, count, blocks_y, blocks_x), np.float32)

    def correlate_row(block: int) -> None:
        top = block * spacing
        # all maps of a row of pixels in sequence, so that the maps and rows of a block are one axis
        own = np.ascontiguousarray(reference[:, top : top + spacing].transpose(1, 0, 2)).reshape(rows, -1)
        other = np.ascontiguousarray(moving[:, top : top + reached].transpose(1, 0, 2))
        down, row, along = other.strides
        columns = own.reshape(rows, blocks_x, spacing).transpose(1, 2, 0)
        shifted = np.lib.stride_tricks.as_strided(
            other,
            (count, blocks_x, rows, reached),
            (down, spacing * along, row, along),
            writeable=False,
        )
        pairs = np.matmul(columns, shifted).reshape(count, blocks_x, spacing * reached)
        found[:, :, block] = np.matmul(pairs, diagonals).transpose(0, 2, 1)

    list((pool.map if pool else map)(correlate_row, range(blocks_y)))
    return found


@functools.cache
def _diagonals(spacing: int, count: int) -> np.ndarray:
    """Return what averages each diagonal of a product of columns, (spacing * columns) x count."""
    found = np.zeros((spacing, spacing + count - 1, count), np.float32)
    for shift in range(count):
        column = np.arange(spacing)
        found[column, column + shift, shift] = 1 / spacing**2
    return found.reshape(-1, count)


def _energy(maps: np.ndarray) -> np.ndarray:
    total = maps[0] * maps[0]
    for plane in maps[1:]:
        cv2.accumulateSquare(plane, total)
    return total


def _block_means(plane: np.ndarray, grid: Tiles) -> np.ndarray:
    """Return the mean of every block of a plane that is cropped to the blocks."""
    rows, columns = grid.blocks
    sums = plane.reshape(rows, grid.spacing, -1).sum(1).reshape(rows, columns, grid.spacing).sum(2)
    return sums / np.float32(grid.spacing**2)


def _shifted_block_means(plane: np.ndarray, grid: Tiles, count: int) -> np.ndarray:
    """Return the block means of a padded plane at every shift, count x count x block rows x block columns."""
    integral = cv2.integral(plane, sdepth=cv2.CV_64F)
    rows, columns = grid.blocks
    step = grid.spacing
    # a strided view of the corners of every block at every shift, without a copy
    down, along = integral.strides
    corners = np.lib.stride_tricks.as_strided(
        integral[grid.top :, grid.left :],
        (count, count, rows + 1, columns + 1),
        (down, along, step * down, step * along),
        writeable=False,
    )
    return (np.diff(np.diff(corners, axis=2), axis=3) / step**2).astype(np.float32)


def _tile_means(blocks: np.ndarray, grid: Tiles) -> np.ndarray:
    """Average span x span neighbouring blocks, on the last two axes."""
    rows = sum(blocks[..., k : k + grid.rows, :] for k in range(grid.span))
    return sum(rows[..., k : k + grid.columns] for k in range(grid.span)) / np.float32(grid.span**2)

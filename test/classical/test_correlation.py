"""The cost volume is what single sums give."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from irvis_fusion_ros.classical.correlation import LEAST_ENERGY, correlate, tiles
from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid

RADIUS = 2


def summed(level, grid, moving, seen, row, column, shift):
    """Return the correlation of one tile at one shift (dx, dy), pixel by pixel."""
    side = grid.span * grid.spacing
    top, left = grid.top + row * grid.spacing, grid.left + column * grid.spacing
    here = np.s_[..., top : top + side, left : left + side]
    dx, dy = shift[0] + RADIUS, shift[1] + RADIUS
    there = np.s_[..., top + dy : top + dy + side, left + dx : left + dx + side]
    inside = seen[RADIUS:, RADIUS:][here]
    energies = (moving[there] ** 2).sum(0).mean(), ((level.maps[here] ** 2).sum(0) * inside).mean()
    return (level.maps[here] * moving[there]).sum(0).mean() / (np.sqrt(np.prod(energies)) + LEAST_ENERGY)


@pytest.mark.parametrize('threads', [0, 2])
@pytest.mark.parametrize('shape', [(61, 75), (48, 96)])
def test_every_tile_at_every_shift(shape, threads):
    rng = np.random.default_rng(shape[0])
    thermal, visible = rng.random((2, *shape), np.float32)
    level = Level(visible, ThermalPyramid(thermal), visible.size)
    grid = tiles(level, 7, 3)
    backward = np.array([[1, 0.02, 1.5], [-0.02, 1, -0.7], [0, 0, 1]])
    pool = ThreadPoolExecutor(threads) if threads else None
    found = correlate(level, grid, backward, None, RADIUS, pool)
    assert found.values.shape == (5, 5, grid.rows, grid.columns)
    moving, seen = level.moving(backward, None, RADIUS)
    for row, column in ((0, 0), (grid.rows - 1, grid.columns - 1), (1, 2)):
        for dx, dy in ((0, 0), (-2, 1), (2, 2), (1, -2)):
            expected = summed(level, grid, moving, seen, row, column, (dx, dy))
            assert found.values[dy + RADIUS, dx + RADIUS, row, column] == pytest.approx(expected, abs=1e-5)

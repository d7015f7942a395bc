"""
Local trust: where the alignment found for the whole frame can be believed.

Every tile is asked for its own best shift, there and back again. A tile with clear structure whose own shift
comes back to where it started, but differs from the frame's displacement (parallax, a moving object),
lowers trust; so does one that does not come back (occlusion). A tile without structure has no say, the
frame's alignment holds there.
"""

import cv2
import numpy as np

from irvis_fusion_ros.classical.correlation import Surfaces, Tiles
from irvis_fusion_ros.tuning import TRACKING

SHARPNESS = 40.0
# Excess correlation at which a tile's own opinion counts half.
CLEAR = 0.25


def local_trust(surfaces: Surfaces, grid: Tiles, displacement: np.ndarray, tolerance: float) -> np.ndarray:
    """
    Return trust of every tile, rows x columns float32 in [TRACKING.least_trust, 1].

    displacement: rows x columns x 2, level pixels, of the whole frame's fit within these surfaces.
    tolerance: level pixels of disagreement that halve the trust of a tile with clear structure.
    """
    forward, peak = _own_shift(surfaces.values)
    backward, _ = _own_shift(_seen_from_thermal(surfaces, grid, forward))
    disagreement = np.linalg.norm(forward - displacement, axis=-1)
    no_return = np.linalg.norm(forward + backward, axis=-1)
    error = (disagreement**2 + no_return**2) / tolerance**2
    excess = np.maximum(peak - surfaces.values.mean((0, 1)), 0) * np.sqrt(surfaces.energy)
    clear = excess**2 / (excess**2 + CLEAR**2)
    doubt = clear * error / (1 + error)
    trust = np.clip(1 - doubt, TRACKING.least_trust, 1).astype(np.float32)
    return cv2.GaussianBlur(trust, (0, 0), 0.7)


def _own_shift(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each tile's best shift (rows x columns x 2: dx, dy), sub-pixel, and the correlation there."""
    count = values.shape[0]
    shifts = np.arange(count, dtype=np.float32) - count // 2
    peak = values.max((0, 1))
    density = np.exp(np.float32(SHARPNESS) * (values - peak))
    total = density.sum((0, 1))
    dx = np.tensordot(shifts, density.sum(0), 1) / total
    dy = np.tensordot(shifts, density.sum(1), 1) / total
    return np.stack([dx, dy], -1), peak


def _seen_from_thermal(surfaces: Surfaces, grid: Tiles, forward: np.ndarray) -> np.ndarray:
    """
    Return the surfaces of the tiles that `forward` leads to on the thermal image, over the visible image.

    Thermal tile y matches visible tile y - s as visible tile y - s matches thermal tile y: the same
    surfaces, read at another place (between tiles, linearly) and with the shift reversed.
    """
    count = surfaces.values.shape[0]
    radius = surfaces.radius
    shift = np.arange(count)
    dx, dy = (shift - radius)[None, :, None, None], (shift - radius)[:, None, None, None]
    x = np.arange(grid.columns) + (forward[..., 0] - dx) / grid.spacing
    y = np.arange(grid.rows)[:, None] + (forward[..., 1] - dy) / grid.spacing
    x, y = np.clip(x, 0, grid.columns - 1), np.clip(y, 0, grid.rows - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, low = np.minimum(left + 1, grid.columns - 1), np.minimum(top + 1, grid.rows - 1)
    x_share, y_share = (x - left).astype(np.float32), (y - top).astype(np.float32)
    i, j = shift[:, None, None, None], shift[None, :, None, None]
    values = surfaces.values
    upper = values[i, j, top, left] * (1 - x_share) + values[i, j, top, right] * x_share
    lower = values[i, j, low, left] * (1 - x_share) + values[i, j, low, right] * x_share
    return (upper * (1 - y_share) + lower * y_share)[::-1, ::-1]

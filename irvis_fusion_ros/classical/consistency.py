"""
Local trust: how far the alignment of the whole frame is reliable at each tile.

For every tile the best shift is measured forward, from visible to thermal, and backward. A tile with clear
structure loses trust if its shift differs from the displacement of the frame (parallax, a moving object) or
fails the forward-backward consistency check (occlusion). A tile without structure keeps full trust.
"""

import cv2
import numpy as np

from irvis_fusion_ros.classical.correlation import Surfaces, Tiles
from irvis_fusion_ros.tuning import TRACKING

SHARPNESS = 40.0
# Excess correlation at which the shift measured in a tile counts half.
DISTINCT = 0.25


def local_trust(surfaces: Surfaces, grid: Tiles, displacement: np.ndarray, tolerance: float) -> np.ndarray:
    """
    Return trust of every tile, rows x columns float32 in [TRACKING.least_trust, 1].

    displacement: rows x columns x 2, level pixels, the displacement of the fit within these surfaces.
    tolerance: level pixels of shift error that halve the trust of a tile with clear structure.
    """
    forward, peak = _best_shift(surfaces.values)
    backward, _ = _best_shift(_reverse_surfaces(surfaces, grid, forward))
    disagreement = np.linalg.norm(forward - displacement, axis=-1)
    round_trip = np.linalg.norm(forward + backward, axis=-1)
    error = (disagreement**2 + round_trip**2) / tolerance**2
    excess = np.maximum(peak - surfaces.values.mean((0, 1)), 0) * np.sqrt(surfaces.energy)
    distinct = excess**2 / (excess**2 + DISTINCT**2)
    doubt = distinct * error / (1 + error)
    trust = np.clip(1 - doubt, TRACKING.least_trust, 1).astype(np.float32)
    return cv2.GaussianBlur(trust, (0, 0), 0.7)


def _best_shift(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each tile's best shift (rows x columns x 2: dx, dy), sub-pixel, and the correlation there."""
    count = values.shape[0]
    shifts = np.arange(count, dtype=np.float32) - count // 2
    peak = values.max((0, 1))
    density = np.exp(np.float32(SHARPNESS) * (values - peak))
    total = density.sum((0, 1))
    dx = np.tensordot(shifts, density.sum(0), 1) / total
    dy = np.tensordot(shifts, density.sum(1), 1) / total
    return np.stack([dx, dy], -1), peak


def _reverse_surfaces(surfaces: Surfaces, grid: Tiles, forward: np.ndarray) -> np.ndarray:
    """
    Return the surfaces from thermal to visible, at the thermal tiles that `forward` leads to.

    Thermal tile y matches visible tile y - s as well as visible tile y - s matches thermal tile y. So these
    are the same surfaces, read at another place (interpolated between tiles) and with the shift reversed.
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

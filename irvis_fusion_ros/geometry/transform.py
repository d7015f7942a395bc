"""
3x3 transforms between pixel grids.

Points are (x, y) with pixel centres at integers. Shapes are NumPy shapes, (height, width).
The *stretched* thermal image is the thermal image stretched over the visible grid, corner pixel
centre to corner pixel centre; a *backward* transform maps visible pixels to stretched pixels.
"""

import numpy as np


def stretch(from_shape: tuple[int, ...], to_shape: tuple[int, ...]) -> np.ndarray:
    """
    Return the 3x3 that maps corner pixel centres of one grid to those of another.

    `stretch(visible_shape, thermal_shape)` takes a stretched pixel to the original thermal pixel.
    """
    (from_h, from_w), (to_h, to_w) = from_shape[:2], to_shape[:2]
    return np.diag([(to_w - 1) / max(from_w - 1, 1), (to_h - 1) / max(from_h - 1, 1), 1.0])


def resize_transform(from_shape: tuple[int, ...], to_shape: tuple[int, ...]) -> np.ndarray:
    """
    Return the 3x3 from pixels of an image to pixels of its `cv2.resize` to `to_shape`.

    `cv2.resize` aligns pixel *edges*, so the half-pixel offsets have to be carried along.
    """
    sx, sy = to_shape[1] / from_shape[1], to_shape[0] / from_shape[0]
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])


def backward_from_calibration(
    calibration: np.ndarray, thermal_shape: tuple[int, ...], visible_shape: tuple[int, ...]
) -> np.ndarray:
    """Turn a calibration `p_visible ~ H p_thermal` into a backward transform for these shapes."""
    thermal_to_stretched = stretch(thermal_shape, visible_shape)
    return normalised(thermal_to_stretched @ np.linalg.inv(calibration))


def normalised(matrix: np.ndarray) -> np.ndarray:
    """Scale a 3x3 so that its last element is one."""
    return matrix / matrix[2, 2]


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points `(..., 2)` through a 3x3."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return mapped[..., :2] / mapped[..., 2:]


def linear_part(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the 2x2 by which a transform moves what is around the centre of an image, H x W."""
    centre = (np.array(shape[1::-1]) - 1) / 2
    origin = apply(matrix, centre)
    return np.stack([apply(matrix, centre + step) - origin for step in np.eye(2)], -1)


def pixel_grid(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """Return the (x, y) of every pixel centre, H x W x 2."""
    height, width = shape[:2]
    grid = np.empty((height, width, 2), dtype)
    grid[..., 0] = np.arange(width, dtype=dtype)
    grid[..., 1] = np.arange(height, dtype=dtype)[:, None]
    return grid


def displacement(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `matrix(p) - p` for every pixel p of a grid, H x W x 2 float32."""
    height, width = shape[:2]
    m = normalised(np.asarray(matrix, np.float64))
    x = np.arange(width)
    # (a.p - p w) / w with w = c.p: the small difference is taken before the division, which keeps it exact.
    moved = np.zeros((3, width, 2))
    moved[0] = np.stack([m[0, 0] * x + m[0, 2] - x * (m[2, 0] * x + 1), m[1, 0] * x + m[1, 2]], -1)
    moved[1] = np.stack([m[0, 1] - m[2, 1] * x, m[1, 1] - 1 - m[2, 0] * x], -1)
    moved[2, :, 1] = -m[2, 1]
    return _over_w(moved, m, height)


def mapped(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `matrix(p)` for every pixel p of a grid, H x W x 2 float32."""
    height, width = shape[:2]
    m = normalised(np.asarray(matrix, np.float64))
    x = np.arange(width)[:, None]
    return _over_w(np.stack([m[:2, 0] * x + m[:2, 2], np.broadcast_to(m[:2, 1], (width, 2))]), m, height)


def _over_w(numerator: np.ndarray, m: np.ndarray, height: int) -> np.ndarray:
    """
    Divide a polynomial by w of a 3x3, for every pixel, height x W x 2 float32.

    numerator: coefficients of 1, y, y * y ..., each W x 2. A product of small matrices evaluates it.
    """
    count, width, _ = numerator.shape
    powers = np.vander(np.arange(height, dtype=np.float64), count, increasing=True).astype(np.float32)
    out = powers @ numerator.reshape(count, -1).astype(np.float32)
    if not np.allclose(m[2], (0, 0, 1), rtol=0, atol=1e-12):
        # w once for each axis
        along = np.stack([m[2, 0] * np.arange(width) + 1, np.full(width, m[2, 1])]).repeat(2, -1)
        out /= powers[:, :2] @ along.astype(np.float32)
    return out.reshape(height, width, 2)

"""
Known warps T, for measuring and for training: `moved(x) = thermal(T(x))`.

T is an affine map about the image centre plus an optional smooth elastic displacement. Points are
(x, y), pixel centres at integers.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.geometry import transform, warp


@dataclass(frozen=True)
class WarpRange:
    """
    Uniform ranges that a random warp is drawn from (magnitudes are symmetric about nothing moved).

    rotation and shear in degrees, shift in pixels per axis, scale as (smallest, largest) factor,
    elastic as the peak displacement in pixels of a field smoothed with `elastic_sigma` pixels.
    """

    rotation: float = 0.0
    shift: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    elastic: float = 0.0
    elastic_sigma: float = 24.0


@dataclass(frozen=True)
class KnownWarp:
    """
    One drawn T on a grid of `shape`: `T(x) = matrix x + elastic(x)`.

    matrix is 3x3 in pixels; elastic is H x W x 2 float32 in pixels or None, constant beyond the border.
    """

    shape: tuple[int, int]
    matrix: np.ndarray
    elastic: np.ndarray | None = None

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points `(..., 2)`."""
        mapped = transform.apply(self.matrix, points)
        if self.elastic is not None:
            mapped = mapped + self._elastic_at(points)
        return mapped

    def _elastic_at(self, points: np.ndarray) -> np.ndarray:
        # exact bilinear: cv2.remap rounds coordinates to 1/32 px, too coarse for the truth
        height, width = self.elastic.shape[:2]
        x = np.clip(points[..., 0], 0, width - 1)
        y = np.clip(points[..., 1], 0, height - 1)
        left = np.minimum(x.astype(np.int32), width - 2)
        top = np.minimum(y.astype(np.int32), height - 2)
        right_share, low_share = (x - left)[..., None], (y - top)[..., None]
        # take on flat indices: twice as fast as indexing by row and column
        vectors, corner = self.elastic.reshape(-1, 2), top * width + left
        upper_left, upper_right = vectors.take(corner, 0), vectors.take(corner + 1, 0)
        lower_left, lower_right = vectors.take(corner + width, 0), vectors.take(corner + width + 1, 0)
        upper = upper_left + (upper_right - upper_left) * right_share
        lower = lower_left + (lower_right - lower_left) * right_share
        return upper + (lower - upper) * low_share

    def move(self, thermal: np.ndarray) -> np.ndarray:
        """Return `moved(x) = thermal(T(x))`, zero where T leaves the image, dtype kept."""
        points = self(transform.pixel_grid(self.shape)).astype(np.float32)
        moved = warp.sample(thermal, points)
        moved[~warp.inside(points, thermal.shape)] = 0
        return moved

    def truth(self, tolerance: float = 0.01, iterations: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the exact deformation of the moved image, and where it is defined.

        The deformation d (H x W x 2 float32) solves `T(x + d) = x` by a fixed point whose residual is
        below `tolerance` pixels; the mask (H x W bool) is the part of the reference that the moved
        image still shows. Raises ValueError if T folds, so that no inverse exists.
        """
        grid = transform.pixel_grid(self.shape, np.float64)
        inverse = np.linalg.inv(self.matrix)
        points = transform.apply(inverse, grid)
        for _ in range(iterations):
            residual = self(points) - grid
            shown = warp.inside(points, self.shape)
            if not shown.any() or np.linalg.norm(residual[shown], axis=-1).max() < tolerance:
                return (points - grid).astype(np.float32), shown
            points = points - residual @ inverse[:2, :2].T
        raise ValueError(f'the known warp has no inverse within {tolerance} px: it folds')


def affine_about_centre(
    shape: tuple[int, int], rotation: float, scale: float, shear: float, shift: tuple[float, float]
) -> np.ndarray:
    """Return the 3x3 of `x -> A (x - c) + c + shift`, A = rotation (degrees) x scale x shear (degrees)."""
    angle, slant = np.deg2rad(rotation), np.tan(np.deg2rad(shear))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1, slant], [0, 1]])
    centre = np.array([shape[1] - 1, shape[0] - 1]) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ centre + shift
    return matrix


def draw(ranges: WarpRange, shape: tuple[int, int], rng: np.random.Generator) -> KnownWarp:
    """Draw a warp for an image of `shape` (height, width)."""
    rotation, shear = rng.uniform(-1, 1, 2) * (ranges.rotation, ranges.shear)
    shift = rng.uniform(-1, 1, 2) * ranges.shift
    matrix = affine_about_centre(shape, rotation, rng.uniform(*ranges.scale), shear, shift)
    elastic = None
    if ranges.elastic > 0:
        elastic = _elastic(shape, ranges.elastic, ranges.elastic_sigma, rng)
    return KnownWarp(tuple(shape[:2]), matrix, elastic)


def _elastic(shape: tuple[int, int], peak: float, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Smoothed white noise whose longest vector is `peak` pixels, H x W x 2 float32."""
    noise = rng.standard_normal((*shape[:2], 2)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return smooth * (peak / np.linalg.norm(smooth, axis=-1).max())

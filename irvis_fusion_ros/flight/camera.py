"""
Pinhole cameras with Brown-Conrady distortion (the plumb_bob of CameraInfo), and where they are.

Camera axes are x right, y down, z forward (REP 103, optical frame); pixel centres are at integers.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Pose:
    """Where a camera is: camera axes in the world (columns of a 3x3), and its centre in metres."""

    rotation: np.ndarray
    centre: np.ndarray

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Take world points (..., 3) to camera coordinates."""
        return rotated(points - self.centre, self.rotation)

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Take camera coordinates (..., 3) to the world."""
        return rotated(points, self.rotation.T) + self.centre


def rotated(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return `vectors @ matrix` for vectors (..., 3); as one product, which is much faster than a stack."""
    return (vectors.reshape(-1, 3) @ matrix).reshape(vectors.shape)


@dataclass(frozen=True)
class Camera:
    """Intrinsics: size (width, height), focal length and principal point in pixels, (k1, k2, p1, p2, k3)."""

    size: tuple[int, int]
    focal: float
    principal: tuple[float, float]
    distortion: tuple[float, float, float, float, float]

    @property
    def matrix(self) -> np.ndarray:
        """The 3x3 K."""
        cx, cy = self.principal
        return np.array([[self.focal, 0, cx], [0, self.focal, cy], [0, 0, 1.0]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels (..., 2) of points in camera coordinates, which must be in front of it."""
        x, y = self._distort(points[..., 0] / points[..., 2], points[..., 1] / points[..., 2])
        return np.stack([x * self.focal + self.principal[0], y * self.focal + self.principal[1]], -1)

    @lru_cache(maxsize=128)  # noqa: B019  (a flight has two cameras, or one and the bands of the other)
    def rays(self, samples: float = 1) -> tuple[np.ndarray, np.ndarray]:
        """
        Return x/z and y/z of the ray of every sample, each float64 of the shape `sampled(samples)`.

        The image is cut into cells, `samples` a pixel along each side, and a ray goes through each centre.
        """
        height, width = self.sampled(samples)
        u = (np.arange(width) + 0.5) * (self.size[0] / width) - 0.5
        v = (np.arange(height) + 0.5) * (self.size[1] / height) - 0.5
        x = (u - self.principal[0]) / self.focal
        y = (v - self.principal[1]) / self.focal
        return self._undistort(*np.meshgrid(x, y))

    def sampled(self, samples: float) -> tuple[int, int]:
        """Return how many (rows, columns) of rays `samples` a pixel along each side make."""
        return round(self.size[1] * samples), round(self.size[0] * samples)

    def project_sampled(self, points: np.ndarray, samples: float) -> np.ndarray:
        """Return the column and row (..., 2) of the rays through points in camera coordinates."""
        height, width = self.sampled(samples)
        return (self.project(points) + 0.5) * (width / self.size[0], height / self.size[1]) - 0.5

    def _distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k1, k2, p1, p2, k3 = self.distortion
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        )

    def _undistort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # the lenses are mild, so that a plain fixed point gains a digit at each step
        straight_x, straight_y = x, y
        for _ in range(40):
            bent_x, bent_y = self._distort(straight_x, straight_y)
            error_x, error_y = x - bent_x, y - bent_y
            straight_x, straight_y = straight_x + error_x, straight_y + error_y
            error = max(np.abs(error_x).max(), np.abs(error_y).max())
            if error < 1e-12:
                return straight_x, straight_y
            if not error < 10:
                break
        raise ValueError(f'the distortion {self.distortion} folds the image')

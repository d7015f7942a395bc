"""
Lens distortion: between the rays of a pinhole camera and the pixels of the image as it was taken.

The models are those of sensor_msgs/distortion_models.hpp. A ray is (x, y) at depth 1. What a model says
beyond the angle at which it folds back on itself is meaningless: there is no pixel and no ray there (NaN).
"""

from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.geometry import transform

PLUMB_BOB, RATIONAL, EQUIDISTANT = 'plumb_bob', 'rational_polynomial', 'equidistant'
# Coefficients that a model may have; those that are missing are zero.
MODELS = {PLUMB_BOB: 5, RATIONAL: 8, EQUIDISTANT: 4}
# The table by which the model is inverted: angles up to here, so fine that a pixel is exact to 1e-5.
_WIDEST = np.radians(89)
_SAMPLES = 8192
# The tangential part is small: it changes by less than 1e-6 after these.
_ITERATIONS = 8


@dataclass(frozen=True)
class Lens:
    """k: 3x3 intrinsics, in pixels. model: of MODELS. coefficients: as CameraInfo has them in D."""

    k: np.ndarray
    model: str
    coefficients: tuple[float, ...]

    def to_pixels(self, rays: np.ndarray) -> np.ndarray:
        """Return where rays (..., 2) are seen, in pixels; NaN where the model does not reach."""
        radius = np.linalg.norm(rays, axis=-1)
        angle = np.arctan(radius)
        seen = self._distorted_radius(angle)
        scale = np.divide(seen, radius, out=np.ones_like(radius), where=radius > 1e-12)
        points = rays * scale[..., None] + self._tangential(rays)
        points[angle > self._table()[0][-1]] = np.nan
        return points @ self.k[:2, :2].T + self.k[:2, 2]

    def to_rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return the rays of pixels (..., 2); NaN where no ray leads."""
        points = (pixels - self.k[:2, 2]) @ np.linalg.inv(self.k[:2, :2]).T
        angles, radii = self._table()
        rays = points
        for _ in range(_ITERATIONS if any(self._padded()[2:4]) and self.model != EQUIDISTANT else 1):
            radial = points - self._tangential(rays)
            seen = np.linalg.norm(radial, axis=-1)
            radius = np.tan(np.interp(seen, radii, angles))
            rays = radial * np.divide(radius, seen, out=np.ones_like(seen), where=seen > 1e-12)[..., None]
        rays[seen > radii[-1]] = np.nan
        return rays

    def resized(self, stated: tuple[int, int], shape: tuple[int, int]) -> 'Lens':
        """Return the lens of the same image in another size; stated, shape: height and width of both."""
        return replace(self, k=transform.resize_transform(stated, shape) @ self.k)

    def before(self, turn: np.ndarray) -> 'Lens':
        """Return the lens of the images that `turn`, 3x3 of turn.to_turned, turns into those of this one."""
        axes = turn.copy()
        axes[:2, 2] = 0
        padded = self._padded()
        if self.model != EQUIDISTANT:
            # (p2, p1) is a direction in the image
            padded[[3, 2]] = axes[:2, :2].T @ padded[[3, 2]]
        k = np.linalg.inv(turn) @ self.k @ axes
        return replace(self, k=k, coefficients=tuple(float(value) for value in padded))

    def _padded(self) -> np.ndarray:
        return np.pad(
            np.array(self.coefficients, np.float64), (0, MODELS[self.model] - len(self.coefficients))
        )

    def _distorted_radius(self, angle: np.ndarray) -> np.ndarray:
        d = self._padded()
        if self.model == EQUIDISTANT:
            square = angle * angle
            return angle * (1 + square * (d[0] + square * (d[1] + square * (d[2] + square * d[3]))))
        radius = np.tan(angle)
        square = radius * radius
        factor = 1 + square * (d[0] + square * (d[1] + square * d[4]))
        if self.model == RATIONAL:
            factor /= 1 + square * (d[5] + square * (d[6] + square * d[7]))
        return radius * factor

    def _tangential(self, rays: np.ndarray) -> np.ndarray:
        if self.model == EQUIDISTANT:
            return np.zeros_like(rays)
        p1, p2 = self._padded()[2:4]
        x, y = rays[..., 0], rays[..., 1]
        square = x * x + y * y
        across = 2 * p1 * x * y + p2 * (square + 2 * x * x)
        down = p1 * (square + 2 * y * y) + 2 * p2 * x * y
        return np.stack((across, down), axis=-1)

    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return angles and the radii at which they are seen, as far as these grow."""
        angles = np.linspace(0, _WIDEST, _SAMPLES)
        radii = self._distorted_radius(angles)
        folds = np.flatnonzero(~(np.diff(radii) > 0))
        end = folds[0] + 1 if folds.size else _SAMPLES
        return angles[:end], radii[:end]

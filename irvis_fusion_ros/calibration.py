"""
Calibration files: a fixed transform of a rig, measured once, as YAML.

    matrix: [1.02, 0.0, -14.5, 0.0, 1.02, 8.0, 0.0, 0.0, 1.0]  # 3x3 row by row, p_visible ~ H p_thermal
    thermal_size: [640, 512]                                   # width, height the matrix was measured for
    visible_size: [1280, 720]
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import plausible, transform
from irvis_fusion_ros.geometry.lens import Lens
from irvis_fusion_ros.io import yaml_file

# Far outside any image.
_NOWHERE = 1e6
KEYS = ('matrix', 'thermal_size', 'visible_size')


@dataclass(frozen=True)
class Calibration:
    """
    A fixed 3x3, `p_visible ~ H p_thermal` in 0-based pixels, stated for these shapes (height, width).

    thermal_lens, visible_lens: the distortion of images that have some; H is then between the pixels that
    pinhole cameras of the same intrinsics would have.
    """

    matrix: np.ndarray
    thermal_shape: tuple[int, int]
    visible_shape: tuple[int, int]
    thermal_lens: Lens | None = None
    visible_lens: Lens | None = None

    def backward(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> np.ndarray:
        """Return the backward transform for images of these shapes: the same field of view, resized."""
        to_stated_thermal = transform.resize_transform(thermal_shape, self.thermal_shape)
        from_stated_visible = transform.resize_transform(self.visible_shape, visible_shape)
        matrix = from_stated_visible @ self.matrix @ to_stated_thermal
        return transform.backward_from_calibration(matrix, thermal_shape, visible_shape)

    def alignment(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> Alignment:
        """Return how a thermal image of this shape lies on a visible one; lenses make the residual."""
        backward = self.backward(thermal_shape, visible_shape)
        residual = None
        if self.thermal_lens or self.visible_lens:
            points = transform.pixel_grid(visible_shape, np.float64)
            residual = self._stretched_pixels(points, thermal_shape, visible_shape) - points
            residual -= transform.displacement(backward, visible_shape)
            residual = np.nan_to_num(residual.astype(np.float32), nan=_NOWHERE)
        return Alignment(backward, confidence=1.0, source='calibration', residual=residual)

    def _stretched_pixels(
        self, points: np.ndarray, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]
    ) -> np.ndarray:
        """Return where visible pixels lie in the stretched thermal image; NaN where a lens does not reach."""
        points = transform.apply(transform.resize_transform(visible_shape, self.visible_shape), points)
        if self.visible_lens:
            points = transform.apply(self.visible_lens.k, self.visible_lens.to_rays(points))
        points = transform.apply(np.linalg.inv(self.matrix), points)
        if self.thermal_lens:
            rays = transform.apply(np.linalg.inv(self.thermal_lens.k), points)
            points = self.thermal_lens.to_pixels(rays)
        points = transform.apply(transform.resize_transform(self.thermal_shape, thermal_shape), points)
        return transform.apply(transform.stretch(thermal_shape, visible_shape), points)


def load(path: Path) -> Calibration:
    """
    Return the calibration in a file; images of other sizes than the stated ones may be used with it.

    Raises FileError, naming the file, the key and the remedy.
    """
    content = yaml_file.read(path, 'calibration file')
    if not isinstance(content, dict):
        raise FileError(f'{path}: a calibration file needs the keys {", ".join(KEYS)}')
    for key in (*KEYS, *content):
        if key not in content:
            raise FileError(f"{path}: key '{key}' is missing; needed are {', '.join(KEYS)}")
        if key not in KEYS:
            raise FileError(f"{path}: unknown key '{key}'; known are {', '.join(KEYS)}")
    matrix = _numbers(path, content, 'matrix', 9, '9 numbers, the 3x3 row by row').reshape(3, 3)
    shapes = [_shape(path, content, key) for key in ('thermal_size', 'visible_size')]
    if problem := plausible.problem_of_homography(matrix, *shapes):
        raise FileError(f"{path}: 'matrix' {problem}; it has to map thermal to visible pixels")
    return Calibration(matrix, *shapes)


def _shape(path: Path, content: dict, key: str) -> tuple[int, int]:
    width, height = _numbers(path, content, key, 2, 'width and height in pixels, such as [640, 512]')
    if problem := plausible.problem_of_size(width, height):
        raise FileError(f"{path}: '{key}' is {str(content[key])[:60]}; it {problem}")
    return int(height), int(width)


def _numbers(path: Path, content: dict, key: str, count: int, wanted: str) -> np.ndarray:
    try:
        values = np.array(content[key], np.float64).ravel()
    except (ValueError, TypeError, OverflowError):
        values = np.empty(0)
    if values.size != count or not np.isfinite(values).all():
        raise FileError(f"{path}: '{key}' has to be {wanted}")
    return values

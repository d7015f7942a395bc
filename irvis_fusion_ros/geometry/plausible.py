"""
Whether numbers of a rig can be true: sizes, homographies, intrinsics, rotations.

Files and messages can hold any number. Each function says what is wrong, as the end of a sentence that
begins with the name of what was looked at, or returns None. The limits are far outside of real rigs: what
they refuse would give a transform that no image fits, with full confidence.
"""

import numpy as np

from irvis_fusion_ros.geometry.lens import Lens

# cv2.remap takes no larger images.
LARGEST_SIDE = 32766
# How much larger or smaller than the other image a part of the picture can be, along any direction, when both
# images are taken as squares of side one. The strongest zoom of a camera is about 40.
_LARGEST_SCALE = 100.0
# How much nearer the near side of a plane can be than the far side. Below this, the horizon is close.
_NEAREST = 0.02
# Beyond this, in unit squares, the inverse has no digits that are right.
_LARGEST_CONDITION = 1e8
# Focal lengths, as parts of the longer side: a fisheye has about 0.3, a tele lens of 3 degrees about 20.
_FOCAL_LENGTHS = (0.01, 1000.0)
# How far outside the image the principal point can lie, in longer sides: images are cut out of larger ones.
_FARTHEST_CENTRE = 20.0
# How far from orthogonal unit vectors the rows of a rotation can be: files round to a few digits.
_ROUNDING = 0.01
# What a lens has to show at least: this share of its image, and rays so many times nearer or farther from the
# axis than without distortion.
_SHOWN = 0.1
_LARGEST_DISTORTION = 20.0
_CORNERS = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64)


def problem_of_size(width: float, height: float) -> str | None:
    """Say what is wrong with the size of an image, in pixels."""
    if not all(side >= 2 and not side % 1 for side in (width, height)):
        return 'has to be width and height in whole pixels'
    if max(width, height) > LARGEST_SIDE:
        return f'has to be width and height in pixels, at most {LARGEST_SIDE} a side'
    return None


def problem_of_homography(
    matrix: np.ndarray, thermal_shape: tuple[int, ...], visible_shape: tuple[int, ...]
) -> str | None:
    """Say what is wrong with a 3x3 from thermal to visible pixels, for images of these shapes."""
    matrix = np.asarray(matrix, np.float64)
    if not np.isfinite(matrix).all():
        return 'has numbers that are not finite'
    with np.errstate(all='ignore'):
        unit = np.linalg.inv(_from_unit(visible_shape)) @ matrix @ _from_unit(thermal_shape)
        unit /= np.abs(unit).max()
        if not np.isfinite(unit).all() or np.linalg.cond(unit) > _LARGEST_CONDITION:
            return 'cannot be inverted, or nearly not'
        return _problem_of_unit(unit, 'thermal') or _problem_of_unit(np.linalg.inv(unit), 'visible')


def problem_of_intrinsics(k: np.ndarray, shape: tuple[int, ...]) -> str | None:
    """Say what is wrong with the 3x3 intrinsics, in pixels, of a camera with images of `shape`."""
    k, side = np.asarray(k, np.float64), max(shape[:2])
    if not np.isfinite(k).all():
        return 'has numbers that are not finite'
    if k[1, 0] or k[2, 0] or k[2, 1] or not k[2, 2] > 0:
        return 'is no camera matrix [fx 0 cx; 0 fy cy; 0 0 1]'
    with np.errstate(all='ignore'):
        k = k / k[2, 2]
    low, high = (limit * side for limit in _FOCAL_LENGTHS)
    for name, value in (('fx', k[0, 0]), ('fy', k[1, 1])):
        if not low <= value <= high:
            return f'has {name} = {value:g} pixels for an image of {shape[1]}x{shape[0]}'
    if not abs(k[0, 1]) <= k[0, 0]:
        return f'has a skew of {k[0, 1]:g}'
    for name, value in (('cx', k[0, 2]), ('cy', k[1, 2])):
        if not abs(value) <= _FARTHEST_CENTRE * side:
            return f'has {name} = {value:g} for an image of {shape[1]}x{shape[0]}'
    return None


def problem_of_rotation(rotation: np.ndarray) -> str | None:
    """Say what is wrong with a 3x3 rotation."""
    rotation = np.asarray(rotation, np.float64)
    if not np.isfinite(rotation).all():
        return 'has numbers that are not finite'
    if np.abs(rotation).max() > 2 or np.abs(rotation @ rotation.T - np.eye(3)).max() > _ROUNDING:
        return 'is no rotation (its rows are not orthogonal unit vectors)'
    if np.linalg.det(rotation) < 0:
        return 'is no rotation but a mirror'
    return None


def problem_of_lens(lens: Lens, shape: tuple[int, ...]) -> str | None:
    """Say what is wrong with the distortion of a lens for images of `shape`."""
    rows, columns = np.linspace(0, shape[0] - 1, 16), np.linspace(0, shape[1] - 1, 16)
    pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    with np.errstate(all='ignore'):
        rays = lens.to_rays(pixels)
        straight = (pixels - lens.k[:2, 2]) @ np.linalg.inv(lens.k[:2, :2]).T
        stretch = np.linalg.norm(rays, axis=-1) / np.linalg.norm(straight, axis=-1)
    good = (stretch > 1 / _LARGEST_DISTORTION) & (stretch < _LARGEST_DISTORTION)
    return None if good.mean() >= _SHOWN else 'leaves next to nothing of the image'


def _from_unit(shape: tuple[int, ...]) -> np.ndarray:
    """Return the 3x3 from the square [0, 1] x [0, 1] to the pixel centres of an image."""
    return np.diag([max(shape[1] - 1, 1), max(shape[0] - 1, 1), 1.0])


def _problem_of_unit(matrix: np.ndarray, name: str) -> str | None:
    """Say what is wrong with a homography of unit squares; name: of the image that it maps."""
    mapped = _CORNERS @ matrix.T
    depths = mapped[:, 2] / mapped[np.abs(mapped[:, 2]).argmax(), 2]
    if not min(depths) > _NEAREST:
        return f'has its horizon across the {name} image'
    points = mapped[:, :2] / mapped[:, 2:]
    for point, depth in zip(points, mapped[:, 2], strict=True):
        jacobian = (matrix[:2, :2] - np.outer(point, matrix[2, :2])) / depth
        largest, smallest = np.linalg.svd(jacobian, compute_uv=False)
        if not 1 / _LARGEST_SCALE <= smallest <= largest <= _LARGEST_SCALE:
            return f'scales parts of the {name} image by {smallest:.2g} to {largest:.2g} of the image'
    overlap = np.minimum(points.max(0), 1) - np.maximum(points.min(0), 0)
    return None if min(overlap) > 0 else f'maps the {name} image beside the other one'

"""
CameraInfo: for images of another size, and as the calibration of a rig.

K and P of a CameraInfo are those of the whole sensor; its images are the part that ROI says, reduced by the
binning. Lens distortion (D) is a function of rays, so that it stays the same whatever is cut and resized.
"""

import copy
from typing import TYPE_CHECKING

import numpy as np

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.geometry import lens, plausible
from irvis_fusion_ros.geometry.transform import normalised, resize_transform

if TYPE_CHECKING:  # those of a bag do as well, where there is no ROS
    from sensor_msgs.msg import CameraInfo


_FIELDS = ('width', 'height', 'distortion_model', 'binning_x', 'binning_y', 'roi')
# The longest that OpenCV knows: rational, thin prism and tilted.
_LONGEST_D = 14


def shape_of(info: 'CameraInfo') -> tuple[int, int]:
    """Return (height, width) of the images that a CameraInfo describes."""
    _, _, width, height = _region(info)
    return height // max(info.binning_y, 1), width // max(info.binning_x, 1)


def problem_of(info: 'CameraInfo') -> str | None:
    """
    Say what is wrong with a CameraInfo, whatever it is used for, or None: not finite numbers, an absurd size.

    A camera that is not calibrated has no problem. What is wrong with a calibration, `calibration` says.
    """
    for name in 'kdrp':
        if not np.isfinite(getattr(info, name)).all():
            return f'has numbers in {name.upper()} that are not finite'
    if len(info.d) > _LONGEST_D:
        return f'has {len(info.d)} numbers in D; no distortion model has more than {_LONGEST_D}'
    if info.width and info.height:
        problem = plausible.problem_of_size(info.width, info.height)
        if problem:
            return f'states a size of {info.width}x{info.height}; it {problem}'
    return _problem_of_region(info)


def same(one: 'CameraInfo', other: 'CameraInfo') -> bool:
    """Say whether two messages say the same of a camera, whenever they were sent."""
    return all(getattr(one, name) == getattr(other, name) for name in _FIELDS) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in 'kdrp'
    )


def for_image(info: 'CameraInfo', shape: tuple[int, int]) -> 'CameraInfo':
    """
    Return a copy for an image of shape (height, width) with the same view.

    Where the image is not of the size that is described, K and P become those of the image itself, without
    ROI and binning. Raises ValueError for a ROI outside the sensor.
    """
    scaled = copy.deepcopy(info)
    if not info.height or not info.width:
        scaled.height, scaled.width = shape
        return scaled
    if shape == shape_of(info) and not _problem_of_region(info):
        return scaled
    to_image = resize_transform(shape_of(info), shape) @ _to_described(info)
    scaled.k = (to_image @ np.reshape(info.k, (3, 3))).ravel()
    scaled.p = (to_image @ np.reshape(info.p, (3, 4))).ravel()
    scaled.height, scaled.width = shape
    scaled.binning_x = scaled.binning_y = 0
    scaled.roi = type(info.roi)(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return scaled


def calibration(thermal: 'CameraInfo', visible: 'CameraInfo') -> Calibration:
    """
    Return the homography of two cameras at one place, H = K_visible R_visible^T R_thermal K_thermal^-1.

    R is the rectification rotation that a stereo calibration of the two gives, or the identity. The
    baseline, which matters for near scenes, is left out. Raises ValueError, saying what is wrong, for a
    camera that is not calibrated or whose calibration cannot be used.
    """
    for name, info in (('thermal', thermal), ('visible', visible)):
        problem = _problem(info)
        if problem:
            raise ValueError(f'the {name} camera_info {problem}')
    (k_thermal, r_thermal), (k_visible, r_visible) = (
        (_to_described(info) @ np.reshape(info.k, (3, 3)), _rotation(info)) for info in (thermal, visible)
    )
    matrix = k_visible @ r_visible.T @ r_thermal @ np.linalg.inv(k_thermal)
    problem = plausible.problem_of_homography(matrix, shape_of(thermal), shape_of(visible))
    if problem:
        raise ValueError(f'the transform of the thermal and the visible camera_info {problem}')
    return Calibration(
        normalised(matrix),
        shape_of(thermal),
        shape_of(visible),
        _lens(thermal, k_thermal),
        _lens(visible, k_visible),
    )


def _problem(info: 'CameraInfo') -> str | None:
    problem = problem_of(info)
    if problem:
        return problem
    if not info.k[0] > 0 or not info.k[4] > 0 or not info.height or not info.width:
        return 'holds no calibration (K or the image size is zero)'
    if not info.k[8]:
        return 'holds no calibration (the last number of K is zero)'
    shape = info.height, info.width
    problem = plausible.problem_of_intrinsics(np.reshape(info.k, (3, 3)), shape)
    if problem:
        return f'is wrong: K {problem}'
    problem = np.any(info.r) and plausible.problem_of_rotation(np.reshape(info.r, (3, 3)))
    if problem:
        return f'is wrong: R {problem}'
    if np.any(info.d):
        most = lens.MODELS.get(info.distortion_model)
        if most is None:
            known = ', '.join(lens.MODELS)
            return f"has the distortion model '{info.distortion_model}'; known are {known}"
        if np.any(info.d[most:]):
            return f'has {len(info.d)} numbers in D, but {info.distortion_model} has {most}'
        problem = plausible.problem_of_lens(_lens(info, np.reshape(info.k, (3, 3))), shape)
        if problem:
            return f'is wrong: D {problem}'
    return None


def _problem_of_region(info: 'CameraInfo') -> str | None:
    x, y, width, height = _region(info)
    if x + width > info.width or y + height > info.height:
        return (
            f'has a ROI of {width}x{height} at ({x}, {y}), which lies not in its {info.width}x{info.height}; '
            f'its width and height have to be those of the whole sensor'
        )
    return None


def _region(info: 'CameraInfo') -> tuple[int, int, int, int]:
    """Return x, y, width and height of the part of the sensor that is in the images."""
    roi = info.roi
    if not roi.width or not roi.height:  # not filled in: all of it
        return 0, 0, info.width, info.height
    return roi.x_offset, roi.y_offset, roi.width, roi.height


def _to_described(info: 'CameraInfo') -> np.ndarray:
    """Return the 3x3 from pixels of the whole sensor to those of the images that are described."""
    problem = _problem_of_region(info)
    if problem:
        raise ValueError(f'camera_info {problem}')
    x, y, _, _ = _region(info)
    binning = max(info.binning_x, 1), max(info.binning_y, 1)
    cut = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
    return resize_transform(binning[::-1], (1, 1)) @ cut


def _lens(info: 'CameraInfo', k: np.ndarray) -> lens.Lens | None:
    if not np.any(info.d):
        return None
    coefficients = tuple(float(value) for value in info.d[: lens.MODELS[info.distortion_model]])
    return lens.Lens(k / k[2, 2], info.distortion_model, coefficients)


def _rotation(info: 'CameraInfo') -> np.ndarray:
    rotation = np.reshape(info.r, (3, 3))
    return rotation if rotation.any() else np.eye(3)

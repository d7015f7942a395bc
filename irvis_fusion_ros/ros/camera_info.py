"""CameraInfo: for images of another size, and as the calibration of a rig."""

import copy
from typing import TYPE_CHECKING

import numpy as np

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.geometry.transform import normalised, resize_transform

if TYPE_CHECKING:  # those of a bag do as well, where there is no ROS
    from sensor_msgs.msg import CameraInfo


def for_image(info: 'CameraInfo', shape: tuple[int, int]) -> 'CameraInfo':
    """Return a copy for an image of shape (height, width) with the same view: K and P are scaled."""
    scaled = copy.deepcopy(info)
    height, width = shape
    if (height, width) == (info.height, info.width) or not info.height or not info.width:
        scaled.height, scaled.width = height, width
        return scaled
    resize = resize_transform((info.height, info.width), shape)
    scaled.k = (resize @ np.reshape(info.k, (3, 3))).ravel()
    scaled.p = (resize @ np.reshape(info.p, (3, 4))).ravel()
    scaled.height, scaled.width = height, width
    scaled.binning_x = scaled.binning_y = 0
    scaled.roi = type(info.roi)(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return scaled


def calibration(thermal: 'CameraInfo', visible: 'CameraInfo') -> Calibration:
    """
    Return the homography of two cameras at one place, H = K_visible R_visible^T R_thermal K_thermal^-1.

    R is the rectification rotation that a stereo calibration of the two gives, or the identity. The
    baseline, which matters for near scenes, is left out. Raises ValueError, saying what is missing, for a
    camera that is not calibrated.
    """
    for name, info in (('thermal', thermal), ('visible', visible)):
        if not info.k[0] > 0 or not info.k[4] > 0 or not info.height or not info.width:
            raise ValueError(f'the {name} camera_info holds no calibration (K or the image size is zero)')
    (k_thermal, r_thermal), (k_visible, r_visible) = (
        (np.reshape(info.k, (3, 3)), _rotation(info)) for info in (thermal, visible)
    )
    matrix = k_visible @ r_visible.T @ r_thermal @ np.linalg.inv(k_thermal)
    return Calibration(normalised(matrix), (thermal.height, thermal.width), (visible.height, visible.width))


def _rotation(info: 'CameraInfo') -> np.ndarray:
    rotation = np.reshape(info.r, (3, 3))
    return rotation if rotation.any() else np.eye(3)

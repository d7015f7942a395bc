"""CameraInfo for other sizes and as a calibration."""

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed (extra `ros`)')

from sensor_msgs.msg import CameraInfo

from irvis_fusion_ros.geometry.transform import apply
from irvis_fusion_ros.ros.camera_info import calibration, for_image


def info(width, height, focal, rotation=None):
    k = [focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1]
    message = CameraInfo(width=width, height=height, k=[float(value) for value in k])
    message.p = [*k[:3], -focal * 0.1, *k[3:6], 0.0, *k[6:], 0.0]
    if rotation is not None:
        message.r = rotation.ravel()
    return message


def rotation(axis, degrees):
    import cv2

    return cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])[0]


def test_the_same_size_is_a_copy():
    original = info(640, 512, 500)
    copied = for_image(original, (512, 640))
    assert copied == original and copied is not original


def test_another_size_sees_the_same_rays():
    original = info(640, 512, 500)
    original.roi.width = 10
    scaled = for_image(original, (256, 1280))
    assert (scaled.width, scaled.height, scaled.roi.width) == (1280, 256, 0)
    corners = np.array([[-0.5, -0.5], [639.5, 511.5]])  # the edges of the image stay its edges
    rays = apply(np.linalg.inv(original.k.reshape(3, 3)), corners)
    np.testing.assert_allclose(
        apply(scaled.k.reshape(3, 3), rays), [[-0.5, -0.5], [1279.5, 255.5]], atol=1e-9
    )
    np.testing.assert_allclose(scaled.p.reshape(3, 4)[:, :3], scaled.k.reshape(3, 3))
    assert scaled.p[3] == pytest.approx(2 * original.p[3])


def test_rotated_cameras_at_one_place_see_the_same_points():
    # rectification turns both cameras into one common frame
    r_thermal, r_visible = rotation(1, 3) @ rotation(2, 5), rotation(0, -2)
    thermal, visible = info(320, 256, 300, r_thermal), info(640, 512, 900, r_visible)
    result = calibration(thermal, visible)
    assert (result.thermal_shape, result.visible_shape) == ((256, 320), (512, 640))
    directions = np.array([[0.1, 0.05, 1], [-0.05, 0.1, 1], [0, 0, 1]])  # in the common frame
    seen = []
    for message, turn in ((thermal, r_thermal), (visible, r_visible)):
        points = directions @ turn @ message.k.reshape(3, 3).T  # rows: K R^T d
        seen.append(points[:, :2] / points[:, 2:])
    np.testing.assert_allclose(apply(result.matrix, seen[0]), seen[1], atol=1e-9)


def test_without_a_rotation_the_axes_are_parallel():
    thermal, visible = info(320, 256, 300), info(640, 512, 900)
    thermal.r = np.zeros(9)  # not filled in
    centre = apply(calibration(thermal, visible).matrix, np.array([[159.5, 127.5]]))
    np.testing.assert_allclose(centre, [[319.5, 255.5]])


@pytest.mark.parametrize('name', ['thermal', 'visible'])
def test_a_camera_that_is_not_calibrated_is_named(name):
    infos = {'thermal': info(320, 256, 300), 'visible': info(640, 512, 900)} | {name: CameraInfo()}
    with pytest.raises(ValueError, match=f'the {name} camera_info holds no calibration'):
        calibration(**infos)

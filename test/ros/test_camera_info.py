"""CameraInfo for other sizes and as a calibration."""

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed (extra `ros`)')

from sensor_msgs.msg import CameraInfo

from irvis_fusion_ros.geometry.transform import apply, resize_transform, stretch
from irvis_fusion_ros.geometry.warp import mark_outside
from irvis_fusion_ros.ros.camera_info import calibration, for_image, problem_of, same, shape_of


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


def with_roi(message, x, y, width, height, binning=1):
    roi = message.roi
    roi.x_offset, roi.y_offset, roi.width, roi.height = x, y, width, height
    message.binning_x = message.binning_y = binning
    return message


def test_a_region_is_where_it_lies_on_the_sensor():
    whole, part = info(640, 480, 500), with_roi(info(640, 480, 500), 160, 120, 320, 240)
    assert (shape_of(part), shape_of(whole)) == ((240, 320), (480, 640))
    corner = np.array([[0.0, 0.0]])
    found = calibration(part, whole)
    assert found.thermal_shape == (240, 320)
    np.testing.assert_allclose(apply(found.matrix, corner), [[160, 120]])
    np.testing.assert_allclose(apply(calibration(whole, part).matrix, corner), [[-160, -120]])


def test_binning_reduces_the_images():
    whole, binned = info(640, 480, 500), with_roi(info(640, 480, 500), 0, 0, 0, 0, binning=2)
    assert shape_of(binned) == (240, 320)
    edge = np.array([[-0.5, 239.5]])  # edges of pixels stay edges
    np.testing.assert_allclose(apply(calibration(binned, whole).matrix, edge), [[-0.5, 479.5]])
    both = with_roi(info(640, 480, 500), 160, 120, 320, 240, binning=2)
    assert shape_of(both) == (120, 160)
    np.testing.assert_allclose(apply(calibration(both, whole).matrix, edge), [[159.5, 599.5]])


@pytest.mark.parametrize('shape', [(240, 320), (120, 160), (480, 640)])
def test_what_is_published_again_sees_the_same_rays(shape):
    """Whether it keeps the whole sensor and its ROI, or describes the image alone."""
    original = with_roi(info(640, 480, 500), 160, 120, 320, 240)
    published = for_image(original, shape)
    assert shape_of(published) == shape
    centre = np.array([[(shape[1] - 1) / 2, (shape[0] - 1) / 2]])
    np.testing.assert_allclose(apply(calibration(published, original).matrix, centre), [[159.5, 119.5]])


def test_a_region_outside_the_sensor_is_refused():
    wrong = with_roi(info(320, 240, 500), 160, 120, 320, 240)
    with pytest.raises(ValueError, match=r'visible camera_info has a ROI of 320x240 at \(160, 120\)'):
        calibration(info(320, 256, 300), wrong)
    with pytest.raises(ValueError, match='ROI'):
        for_image(wrong, (240, 320))


def distorted(message, model, *coefficients):
    message.distortion_model, message.d = model, [float(value) for value in coefficients]
    return message


@pytest.mark.parametrize(
    'change',
    [
        lambda message: distorted(message, 'ftheta', 0.1),
        lambda message: distorted(message, 'plumb_bob', *np.ones(8)),
        lambda message: distorted(message, 'plumb_bob', np.nan),
        lambda message: setattr(message, 'k', [60, 0, np.nan, 0, 60, 32, 0, 0, 1.0]),
    ],
)
def test_a_calibration_that_cannot_be_used_is_refused(change):
    thermal = info(320, 256, 300)
    change(thermal)
    with pytest.raises(ValueError, match='the thermal camera_info'):
        calibration(thermal, info(640, 512, 900))


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'k': [60, 0, np.nan, 0, 60, 32, 0, 0, 1.0]}, 'numbers in K that are not finite'),
        ({'p': [np.inf] * 12}, 'numbers in P that are not finite'),
        ({'r': [np.nan] * 9}, 'numbers in R that are not finite'),
        ({'d': [np.nan]}, 'numbers in D that are not finite'),
        ({'d': [0.0] * 100_000}, '100000 numbers in D'),
        ({'width': 1 << 31}, 'a size of 2147483648x256'),
    ],
)
def test_what_no_camera_can_have_is_refused_whatever_it_is_for(changes, words):
    message = info(320, 256, 300)
    for name, value in changes.items():
        setattr(message, name, value)
    assert words in problem_of(message)
    with pytest.raises(ValueError, match=words):
        calibration(info(320, 256, 300), message)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'k': [1e12, 0, 160, 0, 1e12, 128, 0, 0, 1.0]}, r'K has fx = 1e\+12 pixels'),
        ({'k': [300, 0, 1e9, 0, 300, 128, 0, 0, 1.0]}, r'K has cx = 1e\+09'),
        ({'k': [300, 0, 160, 5, 300, 128, 1, 0, 1.0]}, 'K is no camera matrix'),
        ({'r': [1.0] * 9}, 'R is no rotation'),
        ({'r': [1, 0, 0, 0, 1, 0, 0, 0, -1.0]}, 'R is no rotation but a mirror'),
        ({'r': [0, 0, 1, 0, 1, 0, -1, 0, 0.0]}, 'transform of the thermal and the visible'),  # looks sideways
        ({'distortion_model': 'plumb_bob', 'd': [1e30]}, 'D leaves next to nothing'),
        ({'distortion_model': 'plumb_bob', 'd': [-1e30]}, 'D leaves next to nothing'),
    ],
)
def test_absurd_calibrations_are_refused_by_name(changes, words):
    message = info(320, 256, 300)
    for name, value in changes.items():
        setattr(message, name, value)
    assert problem_of(message) is None, 'it may be published again'
    with pytest.raises(ValueError, match=words):
        calibration(message, info(320, 256, 300))


def test_a_camera_without_calibration_has_no_problem():
    assert problem_of(CameraInfo()) is None
    assert problem_of(CameraInfo(width=640, height=480)) is None


def test_messages_are_the_same_whenever_they_were_sent():
    one, other = info(640, 512, 500), info(640, 512, 500)
    other.header.stamp.sec = 7
    assert same(one, other)
    assert not same(one, info(640, 512, 501))
    assert not same(one, with_roi(info(640, 512, 500), 1, 0, 10, 10))


@pytest.mark.parametrize('shape', [(512, 640), (256, 320)])
def test_distortion_is_in_the_deformation(shape):
    """Where both cameras see a far point, the deformation leads from one pixel to the other."""
    import cv2

    thermal = distorted(info(320, 256, 300, rotation(1, 3)), 'plumb_bob', -0.3, 0.08, 0.001, 0, 0)
    visible = distorted(info(640, 512, 640), 'rational_polynomial', 0.2, 0.01, 0, 0, 0, 0.3, 0.02, 0)
    found = calibration(thermal, visible).alignment((256, 320), shape)
    rays = np.array([[0.1, 0.05, 1], [-0.3, 0.2, 1], [0.35, -0.3, 1], [0, 0, 1]])
    seen = []
    for message, turn in ((thermal, rotation(1, 3)), (visible, np.eye(3))):
        zero, points, d = np.zeros(3), rays @ turn, np.array(message.d)
        seen.append(cv2.projectPoints(points, zero, zero, message.k.reshape(3, 3), d)[0][:, 0])
    at = apply(resize_transform((512, 640), shape), seen[1])
    stretched = apply(stretch((256, 320), shape), seen[0])
    np.testing.assert_allclose(found.deformation_at(at, shape), stretched - at, atol=0.02)


def test_beyond_the_reach_of_a_lens_nothing_is_registered():
    visible = distorted(info(320, 256, 200), 'plumb_bob', -0.4)
    found = calibration(info(320, 256, 200), visible)
    marked = mark_outside(found.alignment((256, 320), (256, 320)).deformation((256, 320)), (256, 320))
    assert np.isnan(marked[0, 0]).all() and np.isfinite(marked[128, 160]).all()

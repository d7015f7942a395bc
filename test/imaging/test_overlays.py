import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.imaging.fill import fill
from irvis_fusion_ros.imaging.overlays import common

THERMAL, VISIBLE = (image if image.ndim == 2 else image[..., 1].copy() for image in pair((480, 640)))


def labelled(image, value=255):
    """An image with a date, a cross and a logo of one value, and where they are."""
    overlay = np.zeros(image.shape, np.uint8)
    cv2.putText(overlay, '2023-06-01 12:00:06', (15, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
    cv2.drawMarker(overlay, (320, 240), 255, cv2.MARKER_CROSS, 40, 2)
    cv2.circle(overlay, (60, 420), 30, 255, -1)
    share = overlay / np.float32(255)
    return np.rint(image + share * (value - np.float32(image))).astype(np.uint8), overlay > 0


def compressed(image, quality=85):
    return cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


@pytest.mark.parametrize('recorded', [np.array, compressed])
def test_what_both_images_carry_is_found(recorded):
    (thermal, where), (visible, _) = labelled(THERMAL // 2), labelled(VISIBLE // 2)
    found = common(recorded(thermal), recorded(visible))
    assert found[where].mean() > 0.97
    # little else is
    near = cv2.dilate(where.astype(np.uint8), np.ones((33, 33), np.uint8)) > 0
    assert found[~near].mean() < 0.002


@pytest.mark.parametrize(('thermal_value', 'visible_value'), [(200, 255), (0, 0), (255, 0), (190, 230)])
def test_its_brightness_may_be_another_one_in_each_image(thermal_value, visible_value):
    # the scene lies between
    (thermal, where), (visible, _) = (
        labelled(image // 2 + 40, value)
        for image, value in ((THERMAL, thermal_value), (VISIBLE, visible_value))
    )
    found = common(compressed(thermal, 95), compressed(visible, 95))
    assert found[where].mean() > 0.9
    assert found[cv2.dilate(where.astype(np.uint8), np.ones((33, 33), np.uint8)) == 0].mean() < 0.002


def test_a_single_short_line_is_found():
    where = cv2.putText(np.zeros(THERMAL.shape, np.uint8), '12:00:06', (15, 30), 0, 0.5, 255, 1) > 128
    thermal, visible = (np.where(where, 255, image // 2).astype(np.uint8) for image in (THERMAL, VISIBLE))
    assert common(thermal, visible)[where].mean() > 0.9


def test_what_one_image_carries_is_not():
    assert common(labelled(THERMAL)[0], VISIBLE) is None
    assert common(THERMAL, labelled(VISIBLE)[0]) is None


def test_a_scene_is_none():
    assert common(THERMAL, VISIBLE) is None
    dark = np.zeros_like(THERMAL)
    assert common(dark, dark) is None


def test_only_what_is_asked_for_is_looked_at():
    within = np.zeros(THERMAL.shape, np.uint8)
    assert common(labelled(THERMAL // 2)[0], labelled(VISIBLE // 2)[0], within) is None


def test_fill_is_smooth_and_leaves_the_rest():
    y, x = np.mgrid[:97, :131].astype(np.float32)
    plane = x / 200 + y / 300
    hole = np.zeros(plane.shape, np.uint8)
    hole[30:50, 20:60] = 1
    broken = np.where(hole, np.float32(1), plane)
    filled = fill(broken, hole)
    np.testing.assert_allclose(filled[hole == 0], plane[hole == 0], atol=1e-6)
    assert np.abs(filled - plane)[hole > 0].max() < 0.08
    assert np.abs(np.diff(filled, axis=0)).max() < 0.03
    np.testing.assert_array_equal(fill(broken, np.ones_like(hole)), broken)

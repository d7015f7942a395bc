import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.geometry.margins import NONE, Margins
from irvis_fusion_ros.imaging.borders import as_byte, corners, find

THERMAL, VISIBLE = (image if image.ndim == 2 else image[..., 1].copy() for image in pair((240, 320)))


def bordered(image, value, left=0, top=0, right=0, bottom=0):
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=value)


def compressed(image, quality):
    return cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


@pytest.mark.parametrize('value', [0, 90, 255])
@pytest.mark.parametrize(
    'sides', [(40, 40, 40, 40), (0, 30, 0, 30), (60, 0, 60, 0), (0, 0, 0, 24), (7, 0, 0, 0)]
)
def test_a_border_of_any_brightness_is_found_to_the_pixel(value, sides):
    assert find(bordered(THERMAL, value, *sides)) == [Margins(*sides)]


@pytest.mark.parametrize('quality', [60, 90])
def test_compression_does_not_hide_a_border(quality):
    image = compressed(bordered(VISIBLE, 255, 40, 40, 40, 40), quality)
    assert find(image) == [Margins(40, 40, 40, 40)]


def test_a_frame_around_a_letterbox_is_found_with_it():
    image = bordered(bordered(THERMAL, 0, top=30, bottom=30), 255, 20, 20, 20, 20)
    assert find(image) == [Margins(20, 50, 20, 50)]


def test_the_text_of_a_caption_is_part_of_its_bar():
    image = bordered(VISIBLE, 20, bottom=40)
    cv2.putText(image, 'ALT 30.1 m  SPD 4.2 m/s', (10, 267), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    assert find(image) == [Margins(bottom=40)]


def test_a_scene_has_no_border():
    assert find(THERMAL, VISIBLE) == [NONE, NONE]
    assert find(np.zeros((100, 120), np.uint8)) == [NONE]


def with_sky(image, value):
    """An image with a sky of one brightness that ends at roofs, each of its own height."""
    image, rng = image.copy(), np.random.default_rng(3)
    for left in range(0, image.shape[1], 20):
        image[: rng.integers(40, 110), left : left + 20] = value
    return image


@pytest.mark.parametrize('sky', [0, 255])
def test_a_sky_that_ends_at_a_skyline_is_scene(sky):
    assert find(with_sky(THERMAL, sky)) == [NONE]


def test_a_bright_sky_does_not_hide_a_white_border():
    image = bordered(with_sky(VISIBLE, 255), 255, 30, 30, 30, 30)
    assert find(image) == [Margins(30, 30, 30, 30)]


def test_a_black_border_of_a_dark_scene_is_known_by_the_opposite_side():
    scene = VISIBLE.copy()
    scene[:, :200] = 2
    sides = find(bordered(scene, 0, top=30, bottom=30))[0]
    assert (sides.top, sides.bottom) == (30, 30)


def test_depth_is_no_matter():
    deep = bordered(THERMAL.astype(np.uint16) * 20 + 28000, 65535, 40, 40, 40, 40)
    assert find(as_byte(deep)) == [Margins(40, 40, 40, 40)]
    holes = bordered(THERMAL.astype(np.float32), 0, 40, 40, 40, 40)
    holes[:40] = holes[-40:] = holes[:, :40] = holes[:, -40:] = np.nan
    assert find(as_byte(holes)) == [Margins(40, 40, 40, 40)]


@pytest.mark.parametrize('value', [0, 255])
def test_rounded_corners(value):
    radius = 40
    image = np.clip(VISIBLE, 60, 200)
    y, x = np.mgrid[:240, :320]
    beyond = np.hypot(
        np.maximum(np.abs(x - 159.5) - (159.5 - radius), 0),
        np.maximum(np.abs(y - 119.5) - (119.5 - radius), 0),
    )
    image[beyond > radius] = value
    # as the pixels of a message are
    image.flags.writeable = False
    np.testing.assert_array_equal(corners(image), beyond > radius)
    image = image.copy()
    # a scene that is as dark at one corner does not hide the others
    image[:120, :100] = value
    np.testing.assert_array_equal(corners(image), beyond > radius)


def test_a_scene_has_no_rounded_corners():
    assert corners(THERMAL) is None and corners(VISIBLE) is None
    turned = cv2.warpAffine(VISIBLE, cv2.getRotationMatrix2D((160, 120), 1, 1), (320, 240))
    assert corners(turned) is None
    assert corners(np.zeros((100, 120), np.uint8)) is None
    assert corners(np.zeros((1, 1), np.uint8)) is None


def test_margins():
    image = np.arange(48).reshape(6, 8)
    margins = Margins(1, 2, 3, 0)
    np.testing.assert_array_equal(margins.inner(image), image[2:, 1:5])
    assert margins.shape_of((6, 8)) == (4, 4)
    assert margins.around(np.float32(image)[2:, 1:5]).shape == (6, 8)
    assert margins and not NONE

import numpy as np
import pytest

from irvis_fusion_ros.systems.target_contrast import DisplayConfig
from irvis_fusion_ros.systems.target_display import TargetDisplay

SMALL, LARGE = (64, 80), (256, 320)
TRUSTED = np.ones(LARGE, np.float32)


def block(shape, rows, columns, value, ground):
    """Return an image with a block; rows and columns are shares of its sides."""
    image = np.full(shape, ground, np.float32)
    top, bottom = (round(share * shape[0]) for share in rows)
    left, right = (round(share * shape[1]) for share in columns)
    image[top:bottom, left:right] = value
    return image


def shown(warm, seen, level=0.4, sign=1):
    """Show what is seen, given as rows and columns, of a thermal image; return picture and places."""
    picture, where = np.full(LARGE, level, np.float32), np.zeros(LARGE, np.float32)
    thermal, warmth = (block(shape, *warm, 0.9, 0.3) for shape in (LARGE, SMALL))
    believed = block(SMALL, *seen, 1, 0)
    TargetDisplay(sign, DisplayConfig()).show(picture, thermal, TRUSTED, believed, warmth, where)
    return picture, where


TARGET = (0.4, 0.6), (0.45, 0.55)


@pytest.mark.parametrize(('sign', 'lighter'), [(1, True), (-1, False)])
def test_a_target_comes_out_warm_bright_and_cold_dark(sign, lighter):
    picture, where = shown(TARGET, TARGET, sign=sign)
    assert (picture[128, 160] > 0.6) == lighter and (picture[128, 160] < 0.2) != lighter
    assert where[128, 160] > 0.9
    np.testing.assert_array_equal(picture[where == 0], np.float32(0.4))


def test_a_piece_of_a_hot_road_is_no_target():
    road = (0.4, 0.6), (0, 1)
    picture, where = shown(road, TARGET)
    np.testing.assert_array_equal(picture, np.float32(0.4))
    assert not where.any()


def test_a_target_at_the_edge_of_the_image():
    edge = (0.8, 1), (0.9, 1)
    picture, _ = shown(edge, edge)
    assert picture[-2, -2] > 0.6
    assert abs(picture[-2, 200] - 0.4) < 0.01


def test_nothing_is_dark_around_a_target():
    picture, _ = shown(TARGET, TARGET)
    assert picture.min() > 0.39


@pytest.mark.parametrize('source', ['picture', 'thermal'])
def test_a_target_keeps_the_texture_of_both_images(source):
    images = {'picture': np.full(LARGE, 0.4, np.float32), 'thermal': block(LARGE, *TARGET, 0.8, 0.3)}
    textured = images[source]
    textured[110:146:4, 148:172] += 0.1
    seen = block(SMALL, *TARGET, 1, 0)
    warmth = block(SMALL, *TARGET, 0.8, 0.3)
    TargetDisplay(1, DisplayConfig()).show(images['picture'], images['thermal'], TRUSTED, seen, warmth)
    assert images['picture'][126, 160] - images['picture'][128, 160] > 0.03


def test_a_target_of_strong_contrast_is_not_white_all_over():
    picture, _ = shown(TARGET, TARGET, level=0.2)
    assert 0.6 < picture[128, 160] < 0.9

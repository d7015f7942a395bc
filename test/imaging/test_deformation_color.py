"""The picture of a deformation."""

import numpy as np

from irvis_fusion_ros.imaging.deformation_color import colored


def test_zero_is_white_outside_is_black_and_directions_differ():
    field = np.zeros((40, 60, 2), np.float32)
    field[:, 20:40] = (10, 0)
    field[:, 40:] = (-10, 0)
    field[:8] = np.nan
    picture = colored(field)
    assert picture.dtype == np.uint8 and picture.shape == (40, 60, 3)
    assert (picture[:8] == 0).all()
    assert (picture[20, 5] == 255).all()
    assert (picture[20, 30].astype(int) - picture[20, 50]).__abs__().max() > 200


def test_longer_is_more_colourful_and_the_scale_can_be_fixed():
    field = np.zeros((40, 40, 2), np.float32)
    field[..., 1] = np.linspace(0, 20, 40)
    spread = np.ptp(colored(field, largest=20).astype(int), axis=2)[10]
    assert (np.diff(spread) >= -1).all() and spread[-1] > 250
    np.testing.assert_array_equal(colored(field), colored(field, largest=20))


def test_a_small_change_of_the_longest_leaves_the_picture_alone():
    field = np.full((40, 40, 2), 3, np.float32)
    other = field.copy()
    other[:20] = 3.5
    np.testing.assert_array_equal(colored(field)[30], colored(other)[30])
    assert np.isfinite(colored(np.full((40, 40, 2), np.nan, np.float32))).all()

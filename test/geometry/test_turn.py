import numpy as np
import pytest

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.geometry import transform, turn
from irvis_fusion_ros.geometry.lens import EQUIDISTANT, PLUMB_BOB, RATIONAL, Lens

SHAPE = (48, 64)


@pytest.mark.parametrize('by', turn.TURNS)
@pytest.mark.parametrize('shape', [(5, 8), (7, 3, 3)])
def test_pixels_go_where_it_says(by, shape):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    made = turn.turned(image, by)
    x, y = np.round(transform.apply(turn.to_turned(by, shape), transform.pixel_grid(shape))).astype(int).T
    np.testing.assert_array_equal(made[y, x].swapaxes(0, 1), image)
    assert made.flags.c_contiguous


def test_degrees_are_clockwise():
    image = np.array([[1, 2, 3], [4, 5, 6]])
    assert turn.turned(image, '90').tolist() == [[4, 1], [5, 2], [6, 3]]


@pytest.mark.parametrize('by', turn.TURNS)
@pytest.mark.parametrize(
    'lens',
    [
        None,
        (PLUMB_BOB, (-0.2, 0.05, 0.01, -0.02, 0.0)),
        (RATIONAL, (-0.2, 0.05, 0.01, -0.02, 0.0, 0.1)),
        (EQUIDISTANT, (-0.02, 0.01)),
    ],
)
def test_a_calibration_of_turned_images_is_one_of_the_images_as_they_come(by, lens):
    upright = turn.turned(np.zeros(SHAPE), by).shape
    k = np.array([[70.0, 0, upright[1] / 2 + 3], [0, 66, upright[0] / 2 - 2], [0, 0, 1]])
    matrix = np.array([[1.9, 0.1, 4], [-0.08, 2.1, -3], [1e-4, 0, 1]])
    visible = (100, 130)
    of_turned = Calibration(matrix, upright, visible, thermal_lens=lens and Lens(k, *lens))
    as_it_comes = of_turned.before_turn(by)
    assert as_it_comes.thermal_shape == SHAPE
    points = transform.pixel_grid(visible, np.float64)

    def thermal_pixels(rig, shape):
        field = rig.alignment(shape, visible).deformation(visible)
        return transform.apply(transform.stretch(visible, shape), points + field)

    expected = transform.apply(turn.to_turned(by, SHAPE), thermal_pixels(as_it_comes, SHAPE))
    inside = np.abs(expected) < 500
    assert inside.mean() > 0.9
    np.testing.assert_allclose(thermal_pixels(of_turned, upright)[inside], expected[inside], atol=2e-3)

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.geometry import transform

PROJECTIVE = np.array([[1.1, 0.05, -7.0], [-0.03, 0.95, 4.0], [1e-4, -2e-4, 1.0]])
SHAPES = [((480, 640), (512, 640)), ((33, 47), (101, 60)), ((101, 60), (33, 47)), ((2, 2), (7, 5))]


@pytest.mark.parametrize(('from_shape', 'to_shape'), SHAPES)
def test_stretch_maps_corners_to_corners(from_shape, to_shape):
    matrix = transform.stretch(from_shape, to_shape)
    corners = np.array([[0, 0], [from_shape[1] - 1, from_shape[0] - 1]], float)
    np.testing.assert_allclose(
        transform.apply(matrix, corners), [[0, 0], [to_shape[1] - 1, to_shape[0] - 1]], atol=1e-9
    )
    back = transform.stretch(to_shape, from_shape)
    np.testing.assert_allclose(matrix @ back, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(('from_shape', 'to_shape'), SHAPES)
def test_resize_transform_is_what_cv2_resize_does(from_shape, to_shape):
    # a linear ramp says which source coordinate each resized pixel shows
    ramp = transform.pixel_grid(from_shape)
    resized = cv2.resize(ramp, to_shape[::-1], interpolation=cv2.INTER_LINEAR)
    back = np.linalg.inv(transform.resize_transform(from_shape, to_shape))
    source = transform.apply(back, transform.pixel_grid(to_shape, np.float64))
    inner = ((source >= 0) & (source <= np.array(from_shape[::-1]) - 1)).all(-1)
    np.testing.assert_allclose(resized[inner], source[inner], atol=2e-3)


@pytest.mark.parametrize('matrix', [np.eye(3), PROJECTIVE, np.diag([2.0, 0.5, 1.0])])
@pytest.mark.parametrize('shape', [(1, 1), (7, 5), (480, 641)])
def test_displacement_is_the_transform_minus_the_place(matrix, shape):
    grid = transform.pixel_grid(shape, np.float64)
    expected = transform.apply(matrix, grid) - grid
    found = transform.displacement(matrix * 3, shape)  # a homography has no scale
    mapped = transform.mapped(matrix * 3, shape)
    assert found.dtype == mapped.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(mapped, expected + grid, atol=1e-3)


def test_apply_inverts():
    points = np.random.default_rng(0).uniform(0, 600, (50, 2))
    there = transform.apply(PROJECTIVE, points)
    np.testing.assert_allclose(transform.apply(np.linalg.inv(PROJECTIVE), there), points, atol=1e-8)


@pytest.mark.parametrize(('thermal_shape', 'visible_shape'), SHAPES)
def test_calibration_becomes_a_backward_transform(thermal_shape, visible_shape):
    scale = np.diag([visible_shape[1] / thermal_shape[1], visible_shape[0] / thermal_shape[0], 1])
    calibration = scale @ np.array([[1.02, 0.01, 0.5], [0.0, 0.97, -0.3], [1e-5, 0, 1]])
    backward = transform.backward_from_calibration(calibration, thermal_shape, visible_shape)
    assert backward[2, 2] == 1
    thermal_points = np.random.default_rng(1).uniform(0, 1, (20, 2)) * (np.array(thermal_shape[::-1]) - 1)
    visible_points = transform.apply(calibration, thermal_points)
    stretched = transform.apply(backward, visible_points)
    original = transform.apply(transform.stretch(visible_shape, thermal_shape), stretched)
    np.testing.assert_allclose(original, thermal_points, atol=1e-8)

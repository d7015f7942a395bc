import cv2
import numpy as np
import pytest

from irvis_fusion_ros.geometry import transform, warp

RNG = np.random.default_rng(2)
SIZES = [((480, 640), (480, 640)), ((33, 47), (101, 60)), ((101, 61), (34, 47)), ((64, 80), (65, 79))]


def ramp(shape):
    """An image whose value at a pixel is its own coordinate, so that a sample tells where it was taken."""
    return transform.pixel_grid(shape)


@pytest.mark.parametrize(('thermal_shape', 'visible_shape'), SIZES)
def test_a_sample_is_taken_where_the_convention_says(thermal_shape, visible_shape):
    deformation = RNG.uniform(-3, 3, (*visible_shape, 2)).astype(np.float32)
    height, width = visible_shape
    grid = transform.pixel_grid(visible_shape, np.float64)
    # architecture: ((x + dx) (Wt - 1) / (Wv - 1), (y + dy) (Ht - 1) / (Hv - 1))
    scale = ((thermal_shape[1] - 1) / (width - 1), (thermal_shape[0] - 1) / (height - 1))
    expected = (grid + deformation) * scale
    np.testing.assert_allclose(warp.sampling_map(deformation, thermal_shape), expected, atol=1e-3)
    registered = warp.warp(ramp(thermal_shape), deformation, outside=np.nan)
    inside = ((expected >= 0) & (expected <= np.array(thermal_shape[::-1]) - 1)).all(-1)
    # bilinear weights of cv2.remap come in steps of 1/32
    np.testing.assert_allclose(registered[inside], expected[inside], atol=1 / 32)


@pytest.mark.parametrize(('thermal_shape', 'visible_shape'), SIZES)
def test_no_deformation_shows_the_whole_image_corner_to_corner(thermal_shape, visible_shape):
    still = np.zeros((*visible_shape, 2), np.float32)
    assert not np.isnan(warp.mark_outside(still, thermal_shape)).any()
    registered = warp.warp(ramp(thermal_shape), still)
    np.testing.assert_allclose(registered[0, 0], (0, 0), atol=1e-3)
    np.testing.assert_allclose(registered[-1, -1], (thermal_shape[1] - 1, thermal_shape[0] - 1), atol=1e-3)


def test_nan_exactly_where_the_sample_lies_outside():
    deformation = np.zeros((10, 20, 2), np.float32)
    deformation[..., 0] = 4
    marked = warp.mark_outside(deformation, (10, 20))
    assert not np.isnan(marked[:, :16]).any()
    assert np.isnan(marked[:, 16:]).all()
    assert not np.isnan(deformation).any()
    deformation[..., 0] = np.nan
    assert np.isnan(warp.mark_outside(deformation, (10, 20))).all()


def test_edge_of_the_image_is_inside():
    edge = np.float32([[[0, 0], [19, 9], [19.01, 9], [-0.01, 0], [np.nan, 3]]])
    np.testing.assert_array_equal(warp.inside(edge, (10, 20)), [[True, True, False, False, False]])


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_dtype_is_kept_and_identity_changes_nothing(dtype):
    image = RNG.integers(0, 255, (31, 45)).astype(dtype) * dtype(100 if dtype == np.uint16 else 1)
    registered = warp.warp(image, np.zeros((31, 45, 2), np.float32))
    assert registered.dtype == dtype
    np.testing.assert_array_equal(registered, image)


def test_no_dark_rim_is_blended_in():
    bright = np.full((20, 30), 60000, np.uint16)
    registered = warp.warp(bright, np.full((20, 30, 2), 2.5, np.float32))
    assert set(np.unique(registered)) == {0, 60000}


def test_a_displacement_field_undoes_the_transform_that_moved_an_image():
    shape = (101, 131)
    image = cv2.GaussianBlur(RNG.random(shape, np.float32), (0, 0), 3)
    matrix = np.array([[1.03, 0.04, -5.0], [-0.05, 0.98, 6.0], [1e-4, -1e-4, 1.0]])
    moved = warp.warp(image, transform.displacement(matrix, shape))
    back = transform.displacement(np.linalg.inv(matrix), shape)
    registered = warp.warp(moved, back, outside=np.nan)
    inner = registered[15:-15, 15:-15]
    assert np.nanmax(np.abs(inner - image[15:-15, 15:-15])) < 0.05 * np.ptp(image)

import numpy as np
import pytest

from irvis_fusion_ros.geometry import transform, warp
from irvis_fusion_ros.geometry.random_warp import KnownWarp, WarpRange, affine_about_centre, draw

EVERYTHING = WarpRange(rotation=6, shift=8, scale=(0.9, 1.15), shear=3, elastic=6)


@pytest.mark.parametrize('shape', [(97, 131), (64, 64), (41, 200)])
@pytest.mark.parametrize('seed', range(4))
def test_truth_registers_the_moved_image(shape, seed):
    rng = np.random.default_rng(seed)
    known = draw(EVERYTHING, shape, rng)
    truth, shown = known.truth()
    grid = transform.pixel_grid(shape, np.float64)
    assert np.linalg.norm(known(grid + truth) - grid, axis=-1)[shown].max() < 0.01
    # deformation -> sampling -> truth: a coordinate image moved and registered shows its own coordinates.
    # Only where every moved pixel that is blended lies inside; cv2.remap blends in steps of 1/32.
    coordinates = grid.astype(np.float32)
    registered = warp.warp(known.move(coordinates), truth)
    whole = warp.warp(known.move(np.ones((*shape, 1), np.float32)), truth) > 0.999
    checked = shown & whole
    assert checked.mean() > 0.5
    np.testing.assert_allclose(registered[checked], coordinates[checked], atol=0.1)


def test_shown_is_what_the_moved_image_still_shows():
    known = KnownWarp((40, 60), affine_about_centre((40, 60), 0, 1, 0, (15, 0)))
    _, shown = known.truth()
    assert shown[:, 15:].all()
    assert not shown[:, :15].any()


def test_elastic_is_interpolated_exactly_and_held_beyond_the_border():
    elastic = np.zeros((5, 6, 2), np.float32)
    elastic[..., 0] = np.arange(6)
    elastic[..., 1] = np.arange(5)[:, None] * 10
    known = KnownWarp((5, 6), np.eye(3), elastic)
    points = np.array([[1.3, 2.6], [0, 0], [5, 4], [-7, 2], [9, 99]])
    np.testing.assert_allclose(
        known(points) - points, [[1.3, 26], [0, 0], [5, 40], [0, 20], [5, 40]], atol=1e-6
    )


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_moving_keeps_depth_and_blackens_the_outside(dtype):
    known = KnownWarp((40, 60), affine_about_centre((40, 60), 0, 1, 0, (15, 0)))
    moved = known.move(np.full((40, 60), 200, dtype))
    assert moved.dtype == dtype
    assert (moved[:, :45] == 200).all()
    assert not moved[:, 45:].any()


def test_affine_is_about_the_centre():
    matrix = affine_about_centre((41, 61), rotation=30, scale=1.2, shear=5, shift=(3, -2))
    np.testing.assert_allclose(transform.apply(matrix, np.array([30.0, 20.0])), (33, 18))
    assert np.linalg.det(matrix[:2, :2]) == pytest.approx(1.44)


def test_a_warp_that_folds_has_no_truth():
    elastic = np.zeros((40, 60, 2), np.float32)
    elastic[:, ::2, 0] = 9
    with pytest.raises(ValueError, match='it folds'):
        KnownWarp((40, 60), np.eye(3), elastic).truth()

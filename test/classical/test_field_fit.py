import cv2
import numpy as np
import pytest

from irvis_fusion_ros.classical.consistency import local_trust
from irvis_fusion_ros.classical.correlation import Surfaces, correlate, tiles
from irvis_fusion_ros.classical.field_fit import CosineBasis, FitConfig, fit, tile_evidence
from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid
from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.tuning import TRACKING

SHAPE = (180, 240)
SCENE = textured(SHAPE).astype(np.float32) / 255


def level_of(thermal):
    return Level(SCENE, ThermalPyramid(thermal), SHAPE[0] * SHAPE[1])


def fitted(thermal, config, basis=None):
    level = level_of(thermal)
    grid = tiles(level, 14, 2)
    surfaces = correlate(level, grid, np.eye(3), None, 4)
    return grid, surfaces, fit(level, grid, surfaces, config, basis)


@pytest.mark.parametrize('model', ['similarity', 'affine', 'homography'])
def test_recovers_a_small_transform(model):
    known = KnownWarp(SHAPE, affine_about_centre(SHAPE, 0.6, 1.01, 0, (1.4, -1.1)))
    _, _, found = fitted(known.move(SCENE), FitConfig(model))
    truth, shown = known.truth()
    error = transform.displacement(found.step, SHAPE) - truth
    assert np.linalg.norm(error[shown], axis=-1).mean() < 0.15
    assert found.score > 0.2


def test_a_homography_is_a_homography():
    matrix = affine_about_centre(SHAPE, 0, 1, 0, (0, 0))
    matrix[2, :2] = 8e-5, -6e-5
    known = KnownWarp(SHAPE, matrix)
    truth, shown = known.truth()
    errors = {}
    for model in ('affine', 'homography'):
        step = fitted(known.move(SCENE), FitConfig(model))[2].step
        errors[model] = np.linalg.norm((transform.displacement(step, SHAPE) - truth)[shown], axis=-1).mean()
    assert errors['homography'] < 0.25 < errors['affine']


def test_the_residual_follows_a_bulge_and_stays_still_without_evidence():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    bulge = np.exp(-((x - 90) ** 2 + (y - 80) ** 2) / (2 * 30**2))
    elastic = (np.stack([2 * bulge, -1.5 * bulge], -1)).astype(np.float32)
    known = KnownWarp(SHAPE, np.eye(3), elastic)
    basis = CosineBasis(SHAPE, 35.0, 2.0)
    _, _, found = fitted(known.move(SCENE), FitConfig('affine', sharpness=15), basis)
    truth, _ = known.truth()
    field = basis.field(found.residual) + transform.displacement(found.step, SHAPE)
    assert np.linalg.norm(field - truth, axis=-1).mean() < 0.35
    assert np.linalg.norm((field - truth)[80, 90]) < 1.0 < np.linalg.norm(truth[80, 90])
    _, _, nothing = fitted(np.full(SHAPE, 0.5, np.float32), FitConfig('affine', sharpness=15), basis)
    assert np.abs(basis.field(nothing.residual)).max() < 0.01 and nothing.score == 0


def test_tiles_that_contradict_the_others_lose_weight_and_trust():
    """A part of the picture is of something nearer: moved by parallax."""
    thermal = SCENE.copy()
    thermal[:, 190:] = np.roll(SCENE, 3, 1)[:, 190:]
    grid, surfaces, found = fitted(thermal, FitConfig('similarity'))
    near = grid.x > 205
    far = grid.x < 150
    assert np.linalg.norm(found.displacement[:, far], axis=-1).mean() < 0.6
    assert found.weight[:, near].mean() < 0.6 * found.weight[:, far].mean()
    trust = local_trust(surfaces, grid, found.displacement, 1.0)
    assert trust[:, far].min() > 0.7 and trust[:, near].mean() < 0.55
    assert trust.min() >= TRACKING.least_trust - 1e-6


def test_a_tile_without_structure_has_no_say():
    thermal = SCENE.copy()
    thermal[:, 120:] = 0.5
    grid, surfaces, found = fitted(thermal, FitConfig('similarity'))
    trust = local_trust(surfaces, grid, found.displacement, 1.0)
    assert trust[:, grid.x > 150].min() > 0.9


@pytest.mark.parametrize('centre', [(0.0, 0.0), (2.5, -1.5)])
def test_a_flat_surface_tells_nothing_wherever_it_is_looked_at(centre):
    flat = Surfaces(np.full((7, 7, 1, 1), 0.3, np.float32), *np.ones((2, 1, 1), np.float32))
    _, precision = tile_evidence(flat, np.array(centre).reshape(1, 1, 2), 1.5, 15.0)
    assert np.abs(precision).max() < 1e-3


def test_a_peak_is_measured_where_it_is_from_a_distance():
    shifts = np.arange(-3, 4)
    squares = (shifts[:, None] + 1.2) ** 2 + (shifts - 1.8) ** 2
    values = (0.5 - 0.02 * squares).astype(np.float32)[..., None, None]
    seen = Surfaces(values, *np.ones((2, 1, 1), np.float32))
    for centre in ((0.0, 0.0), (1.8, -1.2)):
        mean, precision = tile_evidence(seen, np.array(centre).reshape(1, 1, 2), 1.5, 15.0)
        assert mean[0] == pytest.approx((1.8, -1.2), abs=0.3)
        assert precision[0, :2] == pytest.approx(0.6, rel=0.4)


def test_slow_bending_costs_less_than_fast_bending_where_the_prior_is_of_both():
    basis, fast = CosineBasis(SHAPE, 35.0, 2.0, (120.0, 4.0)), CosineBasis(SHAPE, 35.0, 2.0)
    gain = basis.variance / fast.variance
    assert len(gain) == len(fast.variance)
    assert (gain >= 1).all()
    # the slowest mode may be many times as large, the fastest is what it was
    assert gain.max() > 10
    assert gain.min() == pytest.approx(1, abs=1e-3)


def test_a_field_is_carried_to_a_basis_on_another_grid():
    coarse, fine = CosineBasis((130, 174), 14.0, 1.0), CosineBasis((240, 321), 25.9, 1.0)
    coefficients = np.random.default_rng(0).normal(size=(2, len(coarse.variance))) * coarse.variance**0.5
    there = coarse.field(coefficients)
    carried = fine.field(coarse.carried(coefficients, fine))
    small = cv2.resize(carried, there.shape[1::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(small[2:-2, 2:-2], there[2:-2, 2:-2], atol=0.05)

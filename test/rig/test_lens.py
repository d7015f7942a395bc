"""Lenses of a rig: flat images and back again, and the lens that many frames show."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.geometry import transform, warp
from irvis_fusion_ros.geometry.lens import Lens
from irvis_fusion_ros.rig import lens
from irvis_fusion_ros.rig.estimate import Gathering
from irvis_fusion_ros.rig.lens import Flat
from irvis_fusion_ros.rig.refiner import JUMPED, Refiner

SHAPES = (120, 161), (150, 200)
THERMAL = Lens(np.array([[150.0, 0, 82], [0, 150, 58], [0, 0, 1]]), 'plumb_bob', (-0.2, 0.05))
VISIBLE = Lens(np.array([[190.0, 0, 97], [0, 190, 77], [0, 0, 1]]), 'plumb_bob', (-0.08,))
MATRIX = np.array([[1.2, 0.02, 4.0], [-0.02, 1.2, 2.0], [0, 0, 1]])


@pytest.mark.parametrize('thermal_lens', [None, THERMAL])
@pytest.mark.parametrize('visible_lens', [None, VISIBLE])
@pytest.mark.parametrize('scale', [1, 2])
def test_an_alignment_of_flat_images_is_bent_as_the_calibration_says(thermal_lens, visible_lens, scale):
    rig = Calibration(MATRIX, *SHAPES, thermal_lens, visible_lens)
    shapes = [(height * scale, width * scale) for height, width in SHAPES]
    flat = Alignment(rig.backward(*shapes), 1.0, 'track')
    bent = Flat(rig, *shapes).bent(flat).deformation(shapes[1])
    expected = rig.alignment(*shapes).deformation(shapes[1])
    inside = warp.inside(warp.sampling_map(expected, shapes[0]), shapes[0])
    assert inside.mean() > 0.5
    error = np.abs(bent - expected)[inside]
    assert error.mean() < 0.005
    # half a cell at the edge, where a residual is constant
    assert error.max() < 0.2


def test_what_regions_differ_by_is_bent_along():
    rig = Calibration(MATRIX, *SHAPES, THERMAL)
    moved = np.full((*SHAPES[1], 2), (3.0, -2.0), np.float32)
    plain, shifted = (Alignment(rig.backward(*SHAPES), 1.0, 'track', residual=r) for r in (None, moved))
    one, other = (Flat(rig, *SHAPES).bent(each).deformation(SHAPES[1]) for each in (plain, shifted))
    # the lens magnifies the middle as it is
    np.testing.assert_allclose((other - one)[75, 100], (3, -2), atol=0.1)


def test_images_are_made_flat():
    rig = Calibration(MATRIX, *SHAPES, THERMAL)
    image = np.zeros(SHAPES[0], np.float32)
    ray = np.array([0.4, 0.2])
    x, y = THERMAL.to_pixels(ray[None])[0]
    cv2.circle(image, (round(x), round(y)), 2, 1.0, -1)
    flat, visible = Flat(rig, *SHAPES).images(image, np.zeros(SHAPES[1], np.float32))
    assert visible.shape == SHAPES[1]
    at = np.argwhere(flat > 0.5).mean(0)[::-1]
    np.testing.assert_allclose(at, transform.apply(THERMAL.k, ray), atol=0.7)


def test_the_lens_is_told_from_the_transform_that_lies_over_it():
    true = Lens(lens.unbent(SHAPES[0]).k, 'plumb_bob', (-0.1, 0.02))
    backward = Calibration(MATRIX, *SHAPES).backward(*SHAPES)
    with_lens = Calibration(MATRIX, *SHAPES, true).alignment(*SHAPES)
    residual = with_lens.residual
    # whatever a transform does beside it is not the lens
    tilt = np.eye(3)
    tilt[0, 2], tilt[0, 0] = 1.5, 1.01
    residual = residual + transform.displacement(tilt, SHAPES[1])
    rng = np.random.default_rng(0)
    pairs = [
        SimpleNamespace(residual=residual + rng.normal(0, 0.3, residual.shape).astype(np.float32))
        for _ in range(9)
    ]
    found = lens.find(pairs, np.ones(9, bool), backward, SHAPES, None)
    radius = np.array([0.2, 0.4, 0.55])

    def bends(each):
        k1, k2 = np.pad(each.coefficients, (0, 2))[:2]
        bend = k1 * radius**3 + k2 * radius**5
        # beside a change of scale
        return bend - radius * (bend @ radius) / (radius @ radius)

    np.testing.assert_allclose(bends(found), bends(true), atol=0.0015)


def scene(number, rig):
    """Return brightness of a pair of this rig."""
    shape = rig.visible_shape
    thermal, visible = pair(shape, number)
    points = transform.pixel_grid(rig.thermal_shape, np.float64)
    if rig.thermal_lens:
        points = transform.apply(rig.thermal_lens.k, rig.thermal_lens.to_rays(points))
    at = transform.apply(rig.matrix, points).astype(np.float32)
    taken = cv2.remap(thermal.astype(np.float32), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    low, high = np.percentile(taken, (1, 99))
    bright = np.clip((taken - low) / (high - low), 0, 1).astype(np.float32)
    return bright, cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255


@pytest.mark.slow
@pytest.mark.parametrize('k1', [-0.15, 0.0])
def test_a_rig_gets_a_lens_where_its_pairs_show_one(k1):
    shapes = (180, 240), (240, 320)
    true = Lens(lens.unbent(shapes[0]).k, 'plumb_bob', (k1,))
    rig = Calibration(np.diag([1.25, 1.25, 1]), *shapes, true)
    gathering = Gathering()
    for number in range(10):
        gathering.pair(*scene(number, rig), float(number))
    found = gathering.estimate().calibration
    assert (found.thermal_lens is not None) == bool(k1)
    expected, got = (each.alignment(*shapes).deformation(shapes[1]) for each in (rig, found))
    inside = warp.inside(warp.sampling_map(expected, shapes[0]), shapes[0])
    error = np.linalg.norm(got - expected, axis=-1)[inside]
    assert error.mean() < 0.5


@pytest.mark.parametrize('lens_of_rig', [None, Lens(lens.unbent((150, 200)).k, 'plumb_bob', (-0.1,))])
def test_a_knock_is_followed_within_some_frames(lens_of_rig):
    shapes = (150, 200), (225, 300)
    rig = Calibration(np.diag([1.4, 1.4, 1]), *shapes, lens_of_rig, spread=(0.5,) * 5)
    shift = np.eye(3)
    shift[0, 2] = 9.0
    knocked = Calibration(shift @ rig.matrix, *shapes, lens_of_rig)
    refiner = Refiner(rig, temporal=True)
    for _ in range(4):
        before = refiner.register(*scene(3, rig))
    assert before.notes == ()
    after = [refiner.register(*scene(3, knocked)) for _ in range(8)]
    told = [k for k, each in enumerate(after) if JUMPED in each.notes]
    assert len(told) == 1
    assert told[0] <= 4
    expected = knocked.alignment(*shapes).deformation(shapes[1])
    inside = warp.inside(warp.sampling_map(expected, shapes[0]), shapes[0])
    for each in after[told[0] :]:
        error = np.linalg.norm(each.deformation(shapes[1]) - expected, axis=-1)[inside]
        assert np.median(error) < 1
    assert refiner.place.calibration is not rig

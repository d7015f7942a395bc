"""A rig from many pairs: found, told from what is none, and what is said of bad input."""

import numpy as np
import pytest
from made_rigs import SHAPE, error, frame, known

from irvis_fusion_ros.imaging.brightness import Brightness
from irvis_fusion_ros.rig import fitted
from irvis_fusion_ros.rig.estimate import LEAST, Gathering
from irvis_fusion_ros.rig.views import view
from irvis_fusion_ros.systems.classical import Classical

RIG = known()


def gathered(frames, most=60):
    gathering = Gathering(most)
    for number, (thermal, visible) in enumerate(frames):
        gathering.pair(thermal, visible, float(number), f'pair {number}')
    return gathering


def codes(estimate):
    return [note.code for note in estimate.notes]


def test_a_rig_is_found_and_its_frames_are_told():
    shifts = [(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5), (0, 0), (0.3, 0.3)]
    found = gathered(frame(seed, RIG, shift) for seed, shift in enumerate(shifts)).estimate()
    assert error(found.calibration.alignment(SHAPE, SHAPE).deformation(SHAPE), RIG) < 0.6
    assert found.confidence > 0.9 and found.used == found.seen == len(shifts)
    assert found.uncertainty < 0.5
    assert [each.name for each in found.residuals] == [f'pair {number}' for number in range(len(shifts))]
    assert codes(found) == []


@pytest.mark.slow
def test_weak_frames_add_up():
    frames = [frame(seed, RIG, noise=1.2) for seed in range(12)]
    single = [Classical(temporal=False).register(*each) for each in frames[:3]]
    # none of them is found by itself
    assert {one.source for one in single} == {'identity'}
    found = gathered(frames).estimate()
    assert error(found.calibration.alignment(SHAPE, SHAPE).deformation(SHAPE), RIG) < 2


def test_pairs_that_do_not_belong_together_make_no_rig():
    thermal = [frame(seed, RIG)[0] for seed in range(8)]
    visible = [frame(seed + 100, RIG)[1] for seed in range(8)]
    found = gathered(zip(thermal, visible, strict=True)).estimate()
    assert found.calibration is None and found.confidence < 0.5
    assert codes(found) == ['no_texture']


def test_too_few_flat_and_other_pairs_are_told_and_the_others_used():
    gathering = gathered(frame(seed, RIG) for seed in range(LEAST - 1))
    flat = np.full(SHAPE, 0.5, np.float32)
    gathering.pair(flat, flat, 10.0)
    gathering.pair(flat[:100], flat[:100], 11.0)
    found = gathering.estimate()
    assert found.calibration is None
    assert set(codes(found)) == {'too_few_frames', 'no_texture', 'other_sizes'}
    gathering.pair(*frame(LEAST, RIG), 12.0)
    found = gathering.estimate()
    assert found.calibration is not None
    assert set(codes(found)) == {'no_texture', 'other_sizes'}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('other', 'code'), [(known(shift=(-14.0, 10.0), rotation=-3), 'two_rigs'), (known(scale=1.25), 'zoom')]
)
@pytest.mark.parametrize('first', [True, False])
def test_another_rig_in_the_recording_is_told(other, code, first):
    frames = [frame(seed, RIG if seed < 8 else other) for seed in range(15)]
    found = gathered(frames if first else frames[::-1]).estimate()
    assert error(found.calibration.alignment(SHAPE, SHAPE).deformation(SHAPE), RIG) < 1.5
    assert codes(found) == [code]
    assert ('from 8.0 s on' if first else 'until 6.0 s') in found.notes[0].text
    if code == 'zoom':
        # visible pixels of a thermal one, later over earlier
        assert f'changes by {1.25 / 1.05 if first else 1.05 / 1.25:.2f}' in found.notes[0].text


def test_of_a_long_flight_pairs_are_kept_evenly():
    image = np.random.default_rng(0).random(SHAPE, np.float32)
    gathering = gathered(((image, image) for _ in range(100)), most=8)
    stamps = [each.stamp for each in gathering.views]
    assert len(stamps) <= 16 and np.ptp(np.diff(stamps)) == 0 and stamps[-1] > 80


def test_the_same_view_again_and_again_is_one_view():
    thermal, visible = frame(0, RIG)
    same = [view(thermal, visible, float(number)) for number in range(6)]
    assert fitted.independent_views(same) == pytest.approx(1, abs=0.01)
    others = [view(*frame(seed, RIG), float(seed)) for seed in range(6)]
    assert fitted.independent_views(others) > 4


def test_the_stated_error_is_that_of_pairs_which_differ():
    rng = np.random.default_rng(0)
    shifts = rng.normal(0, 1.5, (8, 2))
    found = gathered(frame(seed, RIG, tuple(shift)) for seed, shift in enumerate(shifts)).estimate()
    true = error(found.calibration.alignment(SHAPE, SHAPE).deformation(SHAPE), RIG)
    # of the median of so many
    expected = 1.25 * np.sqrt(2) * 1.5 / np.sqrt(len(shifts))
    assert expected / 2 < found.uncertainty < 2 * expected
    assert true < 3 * found.uncertainty


def test_reset_forgets():
    gathering = gathered(frame(seed, RIG) for seed in range(LEAST))
    gathering.reset()
    assert codes(gathering.estimate()) == ['too_few_frames']


def test_borders_and_overlays_take_no_part():
    bright, gathering = Brightness(), Gathering()
    for seed in range(LEAST + 1):
        thermal, visible = (np.rint(255 * image).astype(np.uint8) for image in frame(seed, RIG))
        thermal[:20] = thermal[-12:] = thermal[:, :24] = 255
        visible[:14] = visible[:, -30:] = 255
        seen = bright.pair(thermal, visible)
        gathering.pair(seen.bright, seen.luma, float(seed), scenes=seen.scenes)
    found = gathering.estimate()
    assert found.calibration.thermal_shape == found.calibration.visible_shape == SHAPE
    assert error(found.calibration.alignment(SHAPE, SHAPE).deformation(SHAPE), RIG) < 0.6
    assert codes(found) == []
    at = np.concatenate([each.at for each in found.residuals])
    assert at[:, 0].max() < SHAPE[1] - 30 and at[:, 1].min() > 14
    assert bright.of('visible', visible).shape == (SHAPE[0] - 14, SHAPE[1] - 30)

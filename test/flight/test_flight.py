"""A flight as its users see it: shots, frames, faults; the same whoever renders it."""

import itertools

import numpy as np
import pytest

from irvis_fusion_ros.flight import FlightConfig
from irvis_fusion_ros.flight.config import EPOCH


def shots(flight, **options):
    return list(flight.shots(**options))


@pytest.mark.slow
def test_several_processes_render_the_same_flight(fly):
    options = {'seconds': 0.8, 'rate': 5, 'shutters': 0}
    alone = shots(fly(**options))
    together = shots(fly(**options), workers=2)
    assert [s.exposure for s in alone] == [s.exposure for s in together]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert (one.truth is None) == (other.truth is None)
        if one.truth is not None:
            np.testing.assert_array_equal(one.truth, other.truth)
    assert sum(s.truth is not None for s in alone) == 2


@pytest.mark.slow
def test_frames_pair_each_visible_image_with_the_thermal_one_taken_with_it(flight):
    frames = list(itertools.islice(flight.frames(every_truth=True), 8))
    for number, frame in enumerate(frames):
        assert frame.visible.shape == (129, 161, 3)
        assert frame.visible.dtype == np.uint8
        assert frame.thermal.shape == (81, 100)
        assert frame.thermal.dtype == np.uint16
        assert frame.truth.shape == (129, 161, 2)
        assert frame.truth.dtype == np.float32
        assert abs(frame.visible_stamp - frame.thermal_stamp) < 10_000_000
        assert abs(frame.visible_stamp - EPOCH - number * 200_000_000) < 10_000_000
    # it moves
    assert np.mean(frames[0].visible != frames[-1].visible) > 0.5


@pytest.mark.slow
def test_no_thermal_image_during_a_calibration(fly):
    frames = list(fly(seconds=2, rate=5, shutters=1, shutter_seconds=0.5).frames(every_truth=True))
    missing = [k for k, frame in enumerate(frames) if frame.thermal is None]
    assert missing == [6, 7, 8]
    assert all((frame.truth is None) == (frame.thermal is None) for frame in frames)


@pytest.mark.slow
def test_a_frozen_camera_repeats_its_image_with_new_stamps(fly):
    frozen = fly(seconds=2, rate=5, shutters=1, shutter_seconds=0.5, freeze=True)
    thermal = [s for s in shots(frozen) if s.exposure.camera == 'thermal']
    same = [np.array_equal(a.image, b.image) for a, b in itertools.pairwise(thermal)]
    assert [k for k, repeated in enumerate(same, 1) if repeated] == [6, 7, 8]
    assert np.all(np.diff([s.exposure.stamp for s in thermal]) > 0)


@pytest.mark.slow
def test_eight_bits_use_their_range(fly):
    for shot in shots(fly(seconds=0.5, rate=4, shutters=0, thermal_depth=8, time='night')):
        if shot.exposure.camera == 'thermal':
            assert shot.image.dtype == np.uint8
            assert np.ptp(shot.image) > 150


def test_radiometric_images_are_plausible_temperatures(flight):
    celsius = next(flight.frames()).thermal / 100 - 273.15
    assert 10 < celsius.min() < celsius.max() < 90
    assert 20 < np.median(celsius) < 40


def test_a_jump_changes_the_truth_at_half_time_and_no_earlier(fly):
    options = {'seconds': 4, 'rate': 5, 'shutters': 0}
    steady, jumping = fly(**options), fly(**options, jump=True)
    np.testing.assert_array_equal(steady.deformation(9), jumping.deformation(9))
    change = jumping.deformation(10) - steady.deformation(10)
    # tens of pixels of a 640 px image
    assert np.nanmedian(np.linalg.norm(change, axis=-1)) > 0.02 * 161


@pytest.mark.slow
def test_a_seed_is_a_flight(fly):
    one, other = (next(fly(seconds=0.3, seed=seed).frames()).visible for seed in (0, 1))
    assert np.mean(one != other) > 0.5


@pytest.mark.parametrize(
    ('option', 'value'),
    [('seconds', 0), ('rate', -1), ('time', 'noon'), ('thermal_depth', 12), ('width', 10), ('seed', -1)],
)
def test_a_wrong_option_is_named(option, value):
    with pytest.raises(ValueError, match=option):
        FlightConfig(**{option: value})

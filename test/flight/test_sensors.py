"""Sensors: counts, noise, fixed patterns, gain control."""

import numpy as np
import pytest

from irvis_fusion_ros.flight import config, light, rig, sensors
from irvis_fusion_ros.flight.config import FlightConfig

STILL = np.zeros(2)


@pytest.fixture
def thermal(small):
    settings = FlightConfig(**small)
    return sensors.ThermalSensor(settings, rig.build(settings).thermal)


def test_counts_are_hundredths_of_a_kelvin(thermal):
    image = thermal.expose(np.full((81, 100), 20.0, np.float32), 0, 0.0, STILL)
    assert image.dtype == np.uint16
    assert image.mean() == pytest.approx(29315, abs=2)
    assert 3 < image.std() < 12  # the noise of a good microbolometer


def test_the_fixed_pattern_stays_and_grows_until_the_next_calibration(thermal):
    scene = np.full((81, 100), 20.0, np.float32)

    def pattern(seconds):
        images = [thermal.expose(scene, k, seconds, STILL).astype(float) for k in range(20)]
        return np.mean(images, 0) - np.mean(images)

    fresh, old, older = pattern(0), pattern(20), pattern(60)
    assert fresh.std() < 0.5 * old.std() < old.std() < older.std()
    assert np.corrcoef(old.ravel(), older.ravel())[0, 1] > 0.95


def test_noise_depends_on_the_number_of_the_image(thermal):
    scene = np.full((81, 100), 20.0, np.float32)
    first, again, other = (thermal.expose(scene, k, 0, STILL) for k in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize('motion', [(0.1, 0.0), (3.3, -1.7), (-6.0, 2.5)])
def test_motion_smears_to_both_sides_alike(motion):
    picture = np.zeros((41, 41), np.float32)
    picture[20, 20] = 1
    moved = sensors._moved(picture, np.array(motion))
    rows, columns = np.mgrid[:41, :41]
    assert moved.sum() == pytest.approx(1, abs=1e-5)
    assert (moved * rows).sum() == pytest.approx(20, abs=1e-4)
    assert (moved * columns).sum() == pytest.approx(20, abs=1e-4)
    spread = np.sqrt((moved * (columns - 20) ** 2).sum())
    # a uniform smear of length L has a standard deviation of L / sqrt(12)
    assert spread == pytest.approx(abs(motion[0]) / np.sqrt(12), abs=0.45)


def test_gain_control_uses_the_range_and_follows_slowly():
    gain = sensors.GainControl()
    rng = np.random.default_rng(0)
    scene = rng.integers(29000, 30000, (80, 100)).astype(np.uint16)
    first = gain.apply(scene)
    assert first.dtype == np.uint8
    assert np.ptp(first) > 230
    hot = scene.copy()
    hot[:20] = 36000
    changed = gain.apply(hot)
    # something hot enters: the rest of the picture does not go black at once
    assert np.abs(changed[30:].astype(int) - first[30:].astype(int)).mean() < 60


def test_gain_by_the_histogram_spreads_what_is_most_of_the_image():
    rng = np.random.default_rng(0)
    scene = rng.normal(29500, 100, (80, 100)).clip(0, 65535).astype(np.uint16)
    scene[:4] = 36000
    levels = [sensors.GainControl(gain).apply(scene)[4:].astype(float).std() for gain in config.GAINS]
    assert levels[1] > 2 * levels[0]


def test_black_hot_turns_bright_and_dark_round():
    scene = np.random.default_rng(0).integers(29000, 30000, (80, 100)).astype(np.uint16)
    for gain in config.GAINS:
        white, black = (sensors.GainControl(gain, polarity).apply(scene) for polarity in config.POLARITIES)
        np.testing.assert_array_equal(black, 255 - white)


def test_blur_and_noise_of_the_thermal_camera_are_options(small):
    edge = np.full((81, 100), 20.0, np.float32)
    edge[:, 50:] = 60.0

    def taken(**options):
        settings = FlightConfig(**small, thermal_pattern=0, **options)
        sensor = sensors.ThermalSensor(settings, rig.build(settings).thermal)
        return sensor.expose(edge, 0, 0.0, STILL).astype(float) / sensors.COUNTS_PER_KELVIN

    sharp, blurred, noisy = taken(), taken(thermal_blur=2), taken(thermal_noise=1)
    assert np.diff(blurred.mean(0)).max() < 0.4 * np.diff(sharp.mean(0)).max()
    assert noisy[:, :40].std() > 5 * sharp[:, :40].std()


@pytest.mark.parametrize('option', [{'thermal_gain': 'histogram'}, {'thermal_polarity': 'black_hot'}])
def test_radiometric_images_have_no_gain(option):
    with pytest.raises(ValueError, match='thermal_depth'):
        FlightConfig(**option)


def test_the_visible_image_is_noisier_by_night(small):
    noise = {}
    for time in ('day', 'night'):
        settings = FlightConfig(**small, time=time)
        sensor = sensors.VisibleSensor(settings, rig.build(settings).visible, light.of(time))
        grey = np.full((129, 161, 3), 120, np.float32)
        one, other = (sensor.expose(grey, number, STILL) for number in (0, 1))
        assert one.shape == (129, 161, 3)
        assert one.dtype == np.uint8
        noise[time] = (one.astype(float) - other).std()
        # corners are darker than the middle
        assert one[:10, :10].mean() < one[60:70, 75:85].mean() - 5
    assert noise['night'] > 2 * noise['day']

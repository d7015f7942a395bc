import numpy as np
import pytest

from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig

RNG = np.random.default_rng(6)
SCENE = RNG.normal(0, 1, (120, 160))


def shown(image, config=ToneConfig()):
    tone = ThermalTone(config)
    tone.update(image)
    return tone.apply(image)


def radiometric(offset=8000, contrast=200):
    return (offset + contrast * SCENE).astype(np.uint16)


def test_8_bit_is_taken_as_it_is():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_allclose(shown(image), image / 255, atol=1e-6)


def test_16_bit_is_stretched_between_percentiles():
    image = radiometric()
    found = shown(image)
    assert found.dtype == np.float32
    assert (found == 0).mean() == pytest.approx(0.005, abs=0.003)
    assert (found == 1).mean() == pytest.approx(0.005, abs=0.003)
    low, high = np.percentile(image, (0.5, 99.5))
    np.testing.assert_allclose(found, np.clip((image - low) / (high - low), 0, 1), atol=0.02)


def test_one_hot_pixel_does_not_dim_the_picture():
    image = radiometric()
    before = shown(image)
    image[0, 0] = 65535
    np.testing.assert_allclose(shown(image)[1:], before[1:], atol=0.01)


@pytest.mark.parametrize(('dead', 'share'), [(0, 0.03), (65535, 0.03), (16383, 0.02)])
def test_dead_lines_and_rows_of_camera_state_do_not_dim_the_picture(dead, share):
    """Three rows of a Lepton's telemetry are 2.4 % of the image, two dead columns of 80 are 2.5 %."""
    image = radiometric()
    before = shown(image)
    rows = round(share * len(image))
    image[-rows:] = dead
    image[-rows, :20] = RNG.integers(0, 65535, 20)
    np.testing.assert_allclose(shown(image)[:-rows], before[:-rows], atol=0.02)


def test_black_and_white_that_belong_to_the_scene_are_counted():
    image = np.clip(20000 + 20000 * SCENE, 0, 65535).astype(np.uint16)
    assert 0.1 < (image == 0).mean() < 0.2
    found = shown(image)
    np.testing.assert_allclose(found, image / np.percentile(image, 99.5), atol=0.02, rtol=0.05)


def test_float_with_nan_and_infinity():
    image = (20 + 3 * SCENE).astype(np.float32)
    image[:10] = np.nan
    image[10, 0], image[10, 1] = np.inf, -np.inf
    found = shown(image)
    assert np.isfinite(found).all()
    assert not found[:10].any()
    assert (found[10, 0], found[10, 1]) == (1, 0)
    assert found[11:].std() > 0.1


@pytest.mark.parametrize(
    'image',
    [
        np.full((40, 50), np.nan, np.float32),
        np.full((40, 50), 300, np.uint16),
        np.zeros((40, 50), np.float32),
        np.full((40, 50), -40, np.float32),
    ],
)
def test_flat_or_empty_frames_are_no_picture(image):
    found = shown(image)
    assert np.isfinite(found).all()
    assert np.ptp(found) == 0


def test_sensor_noise_on_a_flat_scene_is_not_stretched_to_a_picture():
    noise = RNG.integers(0, 3, (40, 50)).astype(np.uint16) + 30000
    assert np.ptp(shown(noise)) < 0.2


def test_the_picture_flickers_less_than_the_scene():
    """The gain follows slowly: what stays the same in the scene stays nearly the same in the picture."""
    tone = ThermalTone(ToneConfig(smoothing=0.9))
    per_frame, smoothed = [], []
    for frame in range(40):
        image = radiometric()
        warm = 20 + 20 * (frame % 2)
        image[:warm] += 600  # something warm flashes
        tone.update(image)
        smoothed.append(tone.apply(image)[60:].mean())
        per_frame.append(shown(image)[60:].mean())
    assert np.abs(np.diff(per_frame)).max() > 0.02
    assert np.abs(np.diff(smoothed)).max() < 0.25 * np.abs(np.diff(per_frame)).max()


def test_a_new_scene_is_followed_at_once():
    tone = ThermalTone()
    tone.update(radiometric(8000))
    tone.update(radiometric(20000))
    np.testing.assert_allclose(tone.apply(radiometric(20000)), shown(radiometric(20000)), atol=1e-6)


def test_a_change_of_depth_starts_anew():
    tone = ThermalTone()
    tone.update(radiometric())
    image = (20 + SCENE).astype(np.float32)
    tone.update(image)
    np.testing.assert_allclose(tone.apply(image), shown(image), atol=1e-6)


def test_reset_forgets():
    tone = ThermalTone()
    tone.update(radiometric())
    tone.reset()
    with pytest.raises(RuntimeError, match='call update'):
        tone.apply(radiometric())


def test_normalisations():
    image = radiometric()
    ranged = shown(image, ToneConfig(normalisation='range', range_min=7800, range_max=8200))
    np.testing.assert_allclose(ranged, np.clip((image - 7800.0) / 400, 0, 1), atol=1e-5)
    np.testing.assert_allclose(shown(image, ToneConfig(normalisation='none')), image / 65535, atol=1e-6)
    low_contrast = (100 + 5 * SCENE).astype(np.uint8)
    stretched = shown(low_contrast, ToneConfig(normalisation='percentile'))
    assert stretched.std() > 5 * shown(low_contrast).std()
    # a float image has no full range: none means percentile there
    floats = (20 + SCENE).astype(np.float32)
    np.testing.assert_array_equal(shown(floats, ToneConfig(normalisation='none')), shown(floats))


def test_apply_may_be_given_other_pixels_than_update():
    tone = ThermalTone()
    tone.update(radiometric())
    np.testing.assert_array_equal(tone.apply(radiometric()[:30, :40]), tone.apply(radiometric())[:30, :40])

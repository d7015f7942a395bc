import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.systems.targets import Finder, Targets

SHAPE = (256, 320)
TRUSTED = np.ones(SHAPE, np.float32)
TARGETS = {kind: Targets(kind) for kind in ('warm', 'cold', 'both')}


def ground(level=0.3, restless=0.06):
    """Return ground as a thermal camera sees it: soft, with a little noise."""
    rng = np.random.default_rng(0)
    soft = cv2.GaussianBlur(textured(SHAPE).astype(np.float32) / 255, (0, 0), 8)
    noise = rng.normal(0, 0.01, SHAPE)
    return (level + restless * (soft - soft.mean()) / soft.std() + noise).astype(np.float32).clip(0, 1)


def person(image, value, height=60, centre=(160, 120)):
    """Draw a head, a body and two legs."""
    x, y = centre
    unit = height / 8
    drawn = np.zeros(SHAPE, np.float32)
    cv2.ellipse(drawn, ((x, y - 3.4 * unit), (1.1 * unit, 1.3 * unit), 0), 1, -1)
    cv2.ellipse(drawn, ((x, y - 1.0 * unit), (2.0 * unit, 3.6 * unit), 0), 1, -1)
    for side in (-0.5, 0.5):
        cv2.ellipse(drawn, ((x + side * unit, y + 2.0 * unit), (0.8 * unit, 4.0 * unit), 0), 1, -1)
    soft = cv2.GaussianBlur(drawn, (0, 0), 0.7)
    return (image + (value - image) * soft).astype(np.float32), drawn > 0


def show(picture, thermal, kind='warm', trust=TRUSTED):
    low, high = np.percentile(thermal, (0.5, 99.5))
    stretched = ((thermal - low) / max(high - low, 1e-6)).astype(np.float32)
    return shown(TARGETS[kind], picture, stretched, trust)


def shown(targets, picture, thermal, trust):
    picture, where = picture.copy(), {}
    targets.show(picture, thermal, trust, targets.find(thermal, trust), where)
    return picture, where


def contrast(picture, mask):
    ring = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return float(picture[mask].mean() - picture[ring & ~near].mean())


@pytest.mark.parametrize('gain', [1.0, 0.1, 0.03])
@pytest.mark.parametrize('level', [0.05, 0.45])
def test_a_person_is_seen_at_any_gain_by_night_and_day(gain, level):
    thermal, mask = person(ground(), 0.75)
    visible = np.full(SHAPE, level, np.float32)
    shown, where = show(visible, 0.2 + gain * thermal)
    assert contrast(shown, mask) > 0.2
    assert where[1][mask].mean() > 0.7


def test_a_dark_figure_and_a_warm_one_do_not_cancel():
    thermal, mask = person(ground(), 0.75)
    # clearly darker: it becomes darker; hardly darker, or without room for more: it becomes bright
    for level, dark, lighter in ((0.5, 0.2, -1), (0.5, 0.42, 1), (0.25, 0.05, 1)):
        visible, _ = person(np.full(SHAPE, level, np.float32), dark)
        shown, _ = show(visible, thermal)
        assert contrast(shown, mask) * lighter > 0.3


def test_on_bright_ground_a_person_is_dark():
    thermal, mask = person(ground(), 0.75)
    shown, _ = show(np.full(SHAPE, 0.95, np.float32), thermal)
    assert contrast(shown, mask) < -0.2


@pytest.mark.parametrize('height', [8, 12, 30, 85])
def test_people_of_all_sizes(height):
    thermal, mask = person(ground(), 0.75, height)
    shown, _ = show(np.full(SHAPE, 0.4, np.float32), thermal)
    assert contrast(shown, mask) > 0.1


def test_nothing_is_changed_around_a_target():
    thermal, mask = person(ground(), 0.75)
    visible = 0.3 + 0.4 * textured(SHAPE).astype(np.float32) / 255
    shown, where = show(visible, thermal)
    far = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    # no halo: what is not the target is the picture as it was, but for a few places
    assert (np.abs(shown - visible)[far] > 0.02).mean() < 0.005
    np.testing.assert_array_equal(shown[where[1] == 0], visible[where[1] == 0])


def test_texture_of_both_images_is_in_a_target():
    thermal, mask = person(ground(), 0.7)
    stripes = np.where(np.arange(SHAPE[0]) % 8 < 4, 0.08, -0.08).astype(np.float32)[:, None]
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    visible = np.full(SHAPE, 0.3, np.float32)
    plain, _ = show(visible, thermal)
    in_visible, _ = show(visible + stripes * mask, thermal)
    in_thermal, _ = show(visible, thermal + stripes * mask)
    pattern = np.broadcast_to(stripes, SHAPE)[inner]
    for striped in (in_visible, in_thermal):
        assert np.corrcoef((striped - plain)[inner], pattern)[0, 1] > 0.7


def test_cold_targets_are_those_of_the_inverted_image():
    thermal, mask = person(ground(0.7), 0.25)
    visible = np.full(SHAPE, 0.5, np.float32)
    for kind in ('cold', 'both'):
        shown, where = show(visible, thermal, kind)
        assert contrast(shown, mask) < -0.2
        assert where[-1][mask].mean() > 0.7
    unchanged, where = show(visible, thermal)
    assert abs(contrast(unchanged, mask)) < 0.1


def noise(name):
    rng = np.random.default_rng(3)
    white = rng.normal(0, 1, SHAPE).astype(np.float32)
    return {
        'white': white,
        'blurred': cv2.GaussianBlur(white, (0, 0), 2),
        'columns': np.broadcast_to(white[0], SHAPE).copy() + 0.3 * white,
        'rows': np.broadcast_to(white[:, :1], SHAPE).copy() + 0.3 * white,
    }[name]


# blurred noise is made of warm blobs: some of the place may change, measured 0.5 %
@pytest.mark.parametrize(('name', 'most'), [('white', 0), ('blurred', 0.01), ('columns', 0), ('rows', 0)])
def test_nothing_is_invented_in_noise(name, most):
    visible = 0.3 + 0.4 * textured(SHAPE).astype(np.float32) / 255
    shown, _ = show(visible, noise(name))
    assert (np.abs(shown - visible) > 0.02).mean() <= most


@pytest.mark.parametrize('level', [0.0, 0.5, 1.0])
def test_nothing_is_invented_in_a_flat_image(level):
    visible = 0.3 + 0.4 * textured(SHAPE).astype(np.float32) / 255
    flat = np.full(SHAPE, level, np.float32)
    targets = TARGETS['both']
    picture, _ = shown(targets, visible, flat, TRUSTED)
    np.testing.assert_array_equal(picture, visible)


def test_a_street_that_is_merely_warm_is_not_washed_out():
    thermal = ground()
    thermal[150:] += 0.3
    visible = 0.3 + 0.4 * textured(SHAPE).astype(np.float32) / 255
    shown, _ = show(visible, thermal)
    assert np.abs(shown - visible)[150:].mean() < 0.02


def test_where_the_thermal_image_is_not_believed_nothing_is_shown():
    thermal, _ = person(ground(), 0.75)
    visible = np.full(SHAPE, 0.4, np.float32)
    shown, _ = show(visible, thermal, trust=0 * TRUSTED)
    np.testing.assert_array_equal(shown, visible)


@pytest.mark.parametrize('shape', [(32, 32), (33, 47), (97, 203), (480, 641)])
def test_images_of_any_size(shape):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.random(shape, np.float32), (0, 0), 3)
    targets, trust = TARGETS['both'], np.ones(shape, np.float32)
    picture, _ = shown(targets, image, image, trust)
    assert picture.shape == shape and picture.dtype == np.float32
    assert picture.min() >= 0 and picture.max() <= 1


def moving(shift):
    thermal, mask = person(ground(), 0.75, centre=(120 + shift, 120))
    low, high = np.percentile(thermal, (0.5, 99.5))
    return ((thermal - low) / (high - low)).astype(np.float32), mask


def test_in_a_stream_a_target_is_seen_from_its_first_frame_and_where_it_moves():
    targets = Targets('warm', temporal=True)
    visible = np.full(SHAPE, 0.4, np.float32)
    for frame in range(6):
        thermal, mask = moving(6 * frame)
        picture, _ = shown(targets, visible, thermal, TRUSTED)
        assert contrast(picture, mask) > 0.15, frame


def test_in_a_stream_a_target_does_not_flip_between_bright_and_dark():
    targets = Targets('warm', temporal=True)
    thermal, mask = moving(0)
    shades = []
    # the room for a brighter target is just enough in one frame and just not in the next
    for frame in range(12):
        picture, _ = shown(targets, np.full(SHAPE, 0.5 + 0.3 * (frame % 2), np.float32), thermal, TRUSTED)
        shades.append(contrast(picture, mask))
    assert len(set(np.sign(shades))) == 1
    alone = [show(np.full(SHAPE, level, np.float32), thermal)[0] for level in (0.5, 0.8)]
    assert [np.sign(contrast(each, mask)) for each in alone] == [1, -1]
    targets.reset()
    picture, _ = shown(targets, np.full(SHAPE, 0.8, np.float32), thermal, TRUSTED)
    assert contrast(picture, mask) < 0


def test_what_is_clearly_seen_stays_as_it_is():
    thermal, mask = person(ground(), 0.75)
    visible, _ = person(np.full(SHAPE, 0.8, np.float32), 0.05)
    picture, _ = show(visible, thermal)
    assert np.abs(picture - visible)[mask].mean() < 0.02
    assert contrast(picture, mask) < -0.5


def test_unknown_targets():
    with pytest.raises(ValueError, match="unknown targets 'hot'; valid: warm, cold, both, off"):
        Targets('hot')


def test_a_folder_of_other_weights_leaves_the_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.setenv('IRVIS_MODELS', str(tmp_path))
    assert Targets('warm').kind == 'warm'


@pytest.mark.parametrize('shape', [(160, 200), (94, 126)])
def test_each_two_by_two_pixels_have_a_probability(shape):
    thermal = np.random.default_rng(0).random(shape, np.float32)
    found = Finder('cpu')(thermal)
    assert found.shape == (shape[0] // 2, shape[1] // 2) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1

"""What a confidence is worth: right and wrong alignments, repeating patterns, parallax, noise."""

import cv2
import numpy as np
import pytest
from shared_data import shared

from irvis_fusion_ros.alignment import Alignment, identity
from irvis_fusion_ros.classical import evidence
from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.systems.classical import Classical

SHAPE = (256, 320)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)


def blurred(image, sigma):
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)


def scene(seed=0):
    thermal, visible = pair(SHAPE, seed)
    return thermal.astype(np.float32) / 255, visible[..., 1].astype(np.float32) / 255


def shifted(dx, dy=0.0):
    matrix = np.eye(3)
    matrix[:2, 2] = dx, dy
    return Alignment(matrix, 0.0, 'search')


PATTERNS = {
    'strips': lambda x, y, period: np.floor(2 * x / period) % 2,
    'slanted strips': lambda x, y, period: np.floor(2 * (x + 0.6 * y) / period) % 2,
    'checkers': lambda x, y, period: (np.floor(2 * x / period) + np.floor(2 * y / period)) % 2,
    'fence': lambda x, y, period: ((x % period < period / 4) & (abs(y - 128) < 80)) | (abs(y - 100) < 4),
    'grid': lambda x, y, period: (x % period < 4) | (y % period < 4),
}


def drawn(name, period, moved=0.0):
    rng = np.random.default_rng(3)
    draw = PATTERNS[name]
    visible = blurred(draw(X, Y, period), 0.8) + rng.normal(0, 0.01, SHAPE)
    thermal = 1 - blurred(draw(X + moved, Y, period), 1.2) + rng.normal(0, 0.01, SHAPE)
    return tuple((0.2 + 0.6 * np.clip(image, 0, 1)).astype(np.float32) for image in (thermal, visible))


@pytest.mark.parametrize('seed', range(3))
def test_a_right_alignment_is_believed_and_a_wrong_one_is_not(seed):
    images = scene(seed)
    assert evidence.confidence_of(*images, identity()) > 0.9
    for shift in ((12.0, 0.0), (0.0, -15.0), (9.0, 9.0)):
        assert evidence.confidence_of(*images, shifted(*shift)) < 0.3


def test_confidence_falls_with_the_error():
    images = scene()
    found = [evidence.confidence_of(*images, shifted(dx)) for dx in (0, 4, 8, 12)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize('name', PATTERNS)
@pytest.mark.parametrize('period', [12, 24, 40])
def test_repeating_patterns_are_not_believed(name, period):
    # what is seen may be any number of periods away, whether it looks aligned or not
    assert evidence.confidence_of(*drawn(name, period), identity()) < 0.5
    assert evidence.confidence_of(*drawn(name, period, moved=period), identity()) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize('name', PATTERNS)
def test_presets_do_not_believe_repeating_patterns_either(name):
    found = Classical(temporal=False).register(*drawn(name, 24))
    assert found.confidence < 0.5


def test_noise_is_not_believed():
    rng = np.random.default_rng(0)
    images = [np.clip(0.5 + rng.normal(0, 0.15, SHAPE), 0, 1).astype(np.float32) for _ in range(2)]
    assert evidence.confidence_of(*images, identity()) < 0.1
    smooth = [np.clip(0.5 + 3 * blurred(rng.normal(0, 1, SHAPE), 3), 0, 1) for _ in range(2)]
    assert evidence.confidence_of(*smooth, identity()) < 0.1


@pytest.mark.slow
def test_pairs_of_different_scenes_are_not_believed_even_if_small():
    data = shared('data/roadscene')
    pairs = [datasets.read(pair) for pair in datasets.select(datasets.natural(data), 'val', 6)]
    for index, (_, visible) in enumerate(pairs):
        thermal = cv2.resize(pairs[index - 3][0], (128, 96), interpolation=cv2.INTER_AREA)
        visible = cv2.resize(color.luminance(visible, 'bgr'), (128, 96), interpolation=cv2.INTER_AREA)
        assert Classical(temporal=False).register(thermal / np.float32(255), visible).confidence < 0.5


def test_images_without_structure_are_not_believed():
    flat = np.full(SHAPE, 0.5, np.float32)
    assert evidence.confidence_of(flat, flat, identity()) == 0


def test_parallax_lowers_confidence():
    thermal, visible = scene()
    near = visible.copy()
    half = SHAPE[1] // 2
    # the right half stands elsewhere, as a near thing before far ground does
    split = np.concatenate([thermal[:, :half], np.roll(thermal, 9, axis=1)[:, half:]], 1)
    whole = evidence.confidence_of(thermal, near, identity())
    assert evidence.confidence_of(split, near, identity()) < min(0.9, whole - 0.05)


def test_a_residual_takes_part():
    thermal, visible = scene()
    bent = np.zeros((32, 40, 2), np.float32)
    assert evidence.confidence_of(thermal, visible, Alignment(np.eye(3), 0, 'search', residual=bent)) > 0.9
    bent[..., 0] = 12
    assert evidence.confidence_of(thermal, visible, Alignment(np.eye(3), 0, 'search', residual=bent)) < 0.3


def test_the_same_evidence_is_worth_less_in_few_pixels():
    large = evidence.Evidence(0.85, 0.08, 0.5)
    small = evidence.Evidence(0.85, 0.08, 0.5, pixels=96 * 128)
    assert large.confidence > 0.85 > small.confidence > 0.5


def test_a_second_method_raises_confidence_but_not_that_of_a_pattern():
    assert evidence.confirmed(0.0) == 0
    assert 0.2 < evidence.confirmed(0.01) < 0.5 < evidence.confirmed(0.2) < evidence.confirmed(0.9) < 1
    assert evidence.confirmed(1.0) == 1
    # both methods may follow the same near thing: only evidence of its own makes an alignment sure
    assert evidence.confirmed(0.6) < 0.9

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.classical import fusion
from irvis_fusion_ros.data.synthetic import textured

SHAPE = (121, 163)
SCENE = 0.3 + 0.4 * textured(SHAPE).astype(np.float32) / 255
TRUSTED = np.ones(SHAPE, np.float32)


def person(image, value):
    return cv2.ellipse(image.copy(), (80, 60), (6, 16), 0, 0, 360, value, -1)


@pytest.mark.parametrize('shape', [(32, 32), (33, 47), (121, 163), (480, 640)])
def test_equal_images_stay_what_they_are(shape):
    image = cv2.resize(SCENE, shape[::-1])
    # but for compact bright things, which are shown as warm ones
    fused = fusion.fuse(image, image, np.ones(shape, np.float32))
    assert fused.dtype == np.float32 and fused.shape == shape
    assert np.abs(fused - image).mean() < 0.02


def test_without_trust_the_picture_is_the_visible_one():
    fused = fusion.fuse(SCENE, 1 - SCENE, 0 * TRUSTED)
    np.testing.assert_allclose(fused, SCENE, atol=1e-6)


@pytest.mark.parametrize('ground', [0.01, 0.5])
def test_a_warm_person_is_seen_by_night_and_by_day(ground):
    visible = np.full(SHAPE, ground, np.float32)
    thermal = person(np.full(SHAPE, 0.3, np.float32), 0.95)
    fused = fusion.fuse(visible, thermal, TRUSTED)
    assert fused[60, 80] - fused[60, 20] > 0.2
    # far from it nothing brightens: no veil over the night
    assert abs(fused[60, 20] - ground) < 0.05


@pytest.mark.parametrize('ground', [0.1, 0.5])
def test_nothing_is_dark_around_what_is_warm(ground):
    visible = np.full(SHAPE, ground, np.float32)
    thermal = person(np.full(SHAPE, 0.1, np.float32), 0.95)
    assert fusion.fuse(visible, thermal, TRUSTED).min() > ground - 0.01


def test_what_is_cold_is_dark_by_night():
    visible = np.full(SHAPE, 0.15, np.float32)
    thermal = person(np.full(SHAPE, 0.6, np.float32), 0.1)
    fused = fusion.fuse(visible, thermal, TRUSTED)
    assert fused[60, 80] < fused[60, 20] - 0.1


def test_a_well_exposed_day_stays_the_visible_picture():
    rng = np.random.default_rng(1)
    thermal = cv2.GaussianBlur(rng.random(SHAPE, np.float32), (0, 0), 12)
    thermal = 0.4 + 2 * (thermal - thermal.mean())
    fused = fusion.fuse(SCENE, thermal.astype(np.float32), TRUSTED)
    assert np.abs(fused - SCENE).mean() < 0.04


def test_thermal_detail_appears_where_the_visible_camera_is_blinded():
    glare = SCENE.copy()
    glare[:, 80:] = 1
    fused = fusion.fuse(glare, SCENE, TRUSTED)
    # detail brighter than white cannot be shown
    assert fused[20:-20, 100:-20].std() > 0.2 * SCENE[20:-20, 100:-20].std()
    assert np.abs(fused - glare)[:, :60].mean() < 0.02


def test_the_result_is_a_picture():
    rng = np.random.default_rng(2)
    fused = fusion.fuse(rng.random(SHAPE, np.float32), rng.random(SHAPE, np.float32), TRUSTED)
    assert fused.min() >= 0 and fused.max() <= 1 and np.isfinite(fused).all()

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.classical.structure import content_hull, structure
from irvis_fusion_ros.data.synthetic import textured

SCENE = textured((120, 160)).astype(np.float32) / 255


def test_reversed_contrast_makes_no_difference():
    maps, reversed_maps = (structure(image, None, neighbourhood=4) for image in (SCENE, 1 - SCENE))
    np.testing.assert_allclose(maps, reversed_maps, atol=1e-4)


def test_the_gain_of_the_camera_makes_little_difference():
    maps, faint = (structure(image, None, neighbourhood=4) for image in (SCENE, 0.4 + 0.3 * SCENE))
    assert np.corrcoef(maps.ravel(), faint.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(('angle', 'first', 'second'), [(0, 1, 1), (45, 0, -1), (90, -1, 1)])
def test_directions_are_two_harmonics(angle, first, second):
    """The maps are cos and sin of 2 theta and of 4 theta, for an edge whose gradient runs at theta."""
    y, x = np.mgrid[:81, :81] - 40.0
    along = np.cos(np.deg2rad(angle)) * x + np.sin(np.deg2rad(angle)) * y
    edge = (0.5 + 0.5 * np.tanh(along / 2)).astype(np.float32)
    cosine, _, cosine_twice, _ = structure(edge, None, neighbourhood=4)[:, 40, 40]
    strength = max(abs(cosine), abs(cosine_twice))
    np.testing.assert_allclose((cosine / strength, cosine_twice / strength), (first, second), atol=0.05)


def test_nothing_is_seen_without_support_and_in_a_flat_image():
    support = np.ones(SCENE.shape, np.float32)
    support[:, :80] = 0
    maps = structure(SCENE, support, neighbourhood=4)
    assert not maps[:, :, :70].any() and maps[:, :, 90:].any()
    assert not structure(np.full((40, 50), 0.3, np.float32), None, neighbourhood=4).any()


def test_the_rim_of_a_warped_image_is_no_content():
    turned = cv2.warpAffine(np.clip(SCENE, 0.1, 0.9), cv2.getRotationMatrix2D((80, 60), 10, 0.8), (160, 120))
    hull = content_hull(turned)
    assert hull[60, 80] and not hull[2, 2]
    assert hull.mean() == pytest.approx(0.64, abs=0.05)
    assert content_hull(np.clip(SCENE, 0.1, 0.9)) is None
    assert content_hull(np.zeros((40, 50), np.float32)) is None


def test_clipped_sky_inside_the_picture_is_content():
    image = np.clip(SCENE, 0.1, 0.9)
    image[20:50, 30:90] = 1
    assert content_hull(image) is None

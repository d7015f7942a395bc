import cv2
import numpy as np
import pytest

from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid
from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.random_warp import affine_about_centre

SCENE = cv2.GaussianBlur(textured((240, 320)).astype(np.float32) / 255, (0, 0), 2)
PIXELS = 60 * 80


def middle(maps):
    return maps[:, 10:-10, 10:-10]


@pytest.mark.parametrize('thermal_shape', [(240, 320), (121, 163), (480, 640), (300, 200)])
def test_drawn_at_the_truth_both_images_agree_to_a_fraction_of_a_pixel(thermal_shape):
    """Corner pixel centres of the thermal image lie on those of the visible one, at every resolution."""
    to_visible = transform.stretch(thermal_shape, SCENE.shape)
    points = transform.apply(to_visible, transform.pixel_grid(thermal_shape)).astype(np.float32)
    thermal = cv2.remap(SCENE, points, None, cv2.INTER_LINEAR)
    level = Level(SCENE, ThermalPyramid(thermal), PIXELS)
    assert level.shape == (60, 80)

    def difference(shift):
        shifted = affine_about_centre(SCENE.shape, 0, 1, 0, shift)
        return np.abs(middle(level.moving(shifted, None, 0)[0]) - middle(level.maps)).mean()

    at_truth = difference((0, 0))
    # a level pixel is four full ones: half of one is what forgotten half-pixel offsets would make
    assert all(at_truth < 0.7 * difference(shift) for shift in [(2, 0), (-2, 0), (0, 2), (0, -2)])
    pairs = [((1, 0), (-1, 0)), ((0, 1), (0, -1))]
    for plus, minus in pairs:
        assert difference(plus) == pytest.approx(difference(minus), rel=0.25)


def test_a_residual_draws_as_the_same_transform_does():
    level = Level(SCENE, ThermalPyramid(SCENE), PIXELS)
    residual = np.broadcast_to(np.float32([3.0, -2.0]), (*level.shape, 2))
    by_residual, _ = level.moving(np.eye(3), residual, 0)
    by_transform, _ = level.moving(affine_about_centre(SCENE.shape, 0, 1, 0, (3, -2)), None, 0)
    assert np.abs(middle(by_residual) - middle(by_transform)).max() < 0.1


def test_beyond_the_thermal_image_nothing_is_seen():
    level = Level(SCENE, ThermalPyramid(SCENE), PIXELS)
    maps, seen = level.moving(affine_about_centre(SCENE.shape, 0, 1, 0, (160, 0)), None, 3)
    assert not seen[:, 45:].any() and seen[10:-10, 5:38].all()
    assert not maps[:, :, 46:].any()


def test_a_small_image_is_not_enlarged():
    small = np.ascontiguousarray(SCENE[:50, :60])
    assert Level(small, ThermalPyramid(small), PIXELS).shape == (50, 60)

import numpy as np

from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid
from irvis_fusion_ros.classical.residual import basis_of, field_of
from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.geometry.random_warp import affine_about_centre

SCENE = textured((240, 320)).astype(np.float32) / 255


def level(pixels):
    return Level(SCENE, ThermalPyramid(SCENE), pixels)


def test_a_field_is_the_same_on_levels_of_two_sizes():
    """Coefficients are pixels of a level before the transform, fields visible pixels after it."""
    small, large = level(120 * 160), level(240 * 320)
    bases = basis_of(small), basis_of(large)
    coefficients = np.zeros((2, len(bases[0].variance)))
    coefficients[0, 1], coefficients[1, 4] = 0.8, -0.5
    carried = bases[0].carried(coefficients, bases[1]) * (large.scale / small.scale)[:, None]
    turned = affine_about_centre(SCENE.shape, 90, 1, 0, (0, 0))
    there, fine = field_of(bases[0], small, turned, coefficients), field_of(bases[1], large, turned, carried)
    assert np.abs(there).max() > 1
    np.testing.assert_allclose(fine[::2, ::2], there, atol=0.05)

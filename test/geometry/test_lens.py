"""Lens distortion beside OpenCV's."""

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.geometry.lens import EQUIDISTANT, PLUMB_BOB, RATIONAL, Lens
from irvis_fusion_ros.geometry.transform import apply, pixel_grid

K = np.array([[520.0, 0, 318.2], [0, 505.0, 251.7], [0, 0, 1]])
LENSES = {
    'barrel': Lens(K, PLUMB_BOB, (-0.28, 0.07, 0.001, -0.0015, 0.002)),
    'pincushion': Lens(K, PLUMB_BOB, (0.15, -0.02, 0.002, 0.001)),
    'rational': Lens(K, RATIONAL, (0.3, -0.1, 0.0005, -0.001, 0.01, 0.6, -0.05, 0.02)),
    'fisheye': Lens(K, EQUIDISTANT, (0.02, -0.01, 0.003, -0.001)),
}


def by_opencv(lens, rays):
    points = np.concatenate((rays, np.ones((*rays.shape[:-1], 1))), axis=-1).reshape(-1, 1, 3)
    project = cv2.fisheye.projectPoints if lens.model == EQUIDISTANT else cv2.projectPoints
    zero, coefficients = np.zeros(3), np.array(lens.coefficients)
    return project(points, zero, zero, lens.k, coefficients)[0].reshape(rays.shape)


@pytest.mark.parametrize('name', LENSES)
def test_rays_are_seen_where_opencv_sees_them(name):
    lens = LENSES[name]
    rays = apply(np.linalg.inv(K), pixel_grid((512, 640), np.float64)[::16, ::16])
    np.testing.assert_allclose(lens.to_pixels(rays), by_opencv(lens, rays), atol=1e-6)


@pytest.mark.parametrize('name', LENSES)
def test_pixels_lead_back_to_their_rays(name):
    lens = LENSES[name]
    pixels = pixel_grid((512, 640), np.float64)[::7, ::7]
    np.testing.assert_allclose(lens.to_pixels(lens.to_rays(pixels)), pixels, atol=1e-4)


def test_the_centre_stays():
    for lens in LENSES.values():
        np.testing.assert_allclose(lens.to_rays(K[:2, 2]), (0, 0), atol=1e-12)


def test_where_the_model_folds_back_there_is_nothing():
    """A ray at 50 degrees would be seen nearer to the centre than one at 42."""
    lens = Lens(K, PLUMB_BOB, (-0.4, 0.0))
    wide, narrow = np.tan(np.radians([50, 20]))
    assert np.isnan(lens.to_pixels(np.array([wide, 0.0]))).all()
    assert np.isfinite(lens.to_pixels(np.array([narrow, 0.0]))).all()
    assert np.isnan(lens.to_rays(K[:2, 2] + (520.0, 0))).all()  # no ray is seen so far out

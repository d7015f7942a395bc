"""What NumPy and torch both compute comes out alike: they read the same numbers (tuning.py)."""

import cv2
import numpy as np
import pytest
import torch

from irvis_fusion_ros.classical import field_fit as numpy_fit
from irvis_fusion_ros.classical import registration, structure
from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.networks import affine, layers
from irvis_fusion_ros.networks import field_fit as torch_fit
from irvis_fusion_ros.systems import tracking
from irvis_fusion_ros.tuning import STRUCTURE, TRACKING

SCENE = textured((120, 160)).astype(np.float32) / 255
# Pixels within which the networks judge the strength of an edge (layers._surroundings).
SURROUNDINGS = 6.0


def edges(image):
    """Strength times (cos 2 theta, sin 2 theta) by both, 2 x H x W."""
    by_numpy = structure.structure(image, None, neighbourhood=SURROUNDINGS, harmonics=1)
    tensor = torch.from_numpy(image)[None, None]
    by_torch = layers.structure(tensor, torch.ones_like(tensor))[0, 2:].numpy()
    # NumPy smooths its maps in the end
    return by_numpy, np.stack([cv2.GaussianBlur(plane, (0, 0), 0.8) for plane in by_torch])


@pytest.mark.parametrize('contrast', [1.0, 0.02], ids=['clear', 'in the noise'])
def test_structure_maps_agree(contrast):
    """The gradients are taken by two masks, and the surroundings by a blur and at a quarter of the size."""
    by_numpy, by_torch = edges(0.5 + contrast * (SCENE - 0.5))
    inner = np.s_[:, 8:-8, 8:-8]
    by_numpy, by_torch = by_numpy[inner], by_torch[inner]
    assert np.corrcoef(by_numpy.ravel(), by_torch.ravel())[0, 1] > 0.95
    assert np.linalg.norm(by_numpy) == pytest.approx(np.linalg.norm(by_torch), rel=0.1)


def test_an_edge_alone_is_as_strong_as_an_edge_can_be():
    image = np.full((80, 96), 0.3, np.float32)
    image[:, 48:] = 0.7
    tensor = torch.from_numpy(image)[None, None]
    strength = layers.structure(tensor, torch.ones_like(tensor))[0, 1].max()
    assert float(strength) == pytest.approx(STRUCTURE.strongest)
    for maps in edges(image):
        # smoothed in the end, by both alike
        assert np.linalg.norm(maps, axis=0).max() == pytest.approx(0.7 * STRUCTURE.strongest, rel=0.25)


def test_measurements_are_weighed_alike():
    rng = np.random.default_rng(0)
    error = 4 * rng.normal(size=(50, 2))
    precision = np.stack([1 + rng.random(50), 1 + rng.random(50), 0.5 * rng.random(50)], -1)
    by_numpy = numpy_fit.robust_weight(error, precision)
    by_torch = torch_fit.agreement(torch.from_numpy(error), torch.from_numpy(precision))
    np.testing.assert_allclose(by_numpy, by_torch.numpy(), rtol=1e-12)


def test_an_affine_is_fitted_alike():
    rng = np.random.default_rng(0)
    height, width, cell = 6, 8, 8
    points = layers.centres(torch.zeros(1, 1, height, width, dtype=torch.float64), cell)
    model = affine.Affine((height * cell, width * cell))
    mean = rng.normal(size=(height * width, 2))
    precision = np.stack(
        [1 + rng.random(len(mean)), 1 + rng.random(len(mean)), 0.5 * rng.random(len(mean))], -1
    )
    basis = model.basis(points)
    found = torch_fit._affine(
        basis,
        torch.from_numpy(mean).view(1, height, width, 2),
        torch.from_numpy(precision).view(1, height, width, 3),
    )
    by_torch = model.displacement(found, points)[0].reshape(-1, 2).numpy()
    columns = basis[0].reshape(len(mean), 3).numpy()
    parametric = np.zeros((len(mean), 2, 6))
    parametric[:, 0, :3] = parametric[:, 1, 3:] = columns
    # the same prior: none of the numbers is likely to be far above AFFINE_DEVIATION pixels
    ridge = np.full(6, torch_fit.AFFINE_DEVIATION**-2)
    solution, _ = numpy_fit.solve(parametric, np.zeros((len(mean), 0)), ridge, mean, precision)
    np.testing.assert_allclose(parametric @ solution, by_torch, atol=1e-9)


def test_the_prior_of_a_smooth_residual_is_the_same():
    shape, length, size = (24, 32), 5.0, 2.0
    basis = numpy_fit.CosineBasis(shape, length, size)
    modes = basis.at(np.arange(shape[1]), np.arange(shape[0]))
    by_numpy = basis.variance * (modes**2).sum((0, 1))
    fit = torch_fit.SmoothFit(sizes=(size, 1e-9), lengths=(length, length))
    with torch.no_grad():
        deviation = fit._deviation(*shape, torch.zeros(())).numpy()
    # NumPy leaves out the frequencies that the prior hardly allows
    rows, columns = np.nonzero(basis._used)
    np.testing.assert_allclose(by_numpy, deviation[rows, columns] ** 2, rtol=1e-3)


@pytest.mark.parametrize('frames', [1, 3, 100])
@pytest.mark.parametrize('moved', [0.0, 0.4, 0.9, 5.0])
def test_a_stream_is_followed_alike(frames, moved):
    by_numpy = registration.gain_of(frames, moved * TRACKING.followed_level)
    by_torch = tracking.gain_of(frames, torch.tensor(moved * TRACKING.followed, dtype=torch.float64))
    assert by_numpy == pytest.approx(float(by_torch))

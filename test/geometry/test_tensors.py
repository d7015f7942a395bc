"""The torch geometry against the NumPy one: one convention."""

import numpy as np
import pytest
import torch

from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.geometry import tensors, transform, warp


def as_batch(image):
    return torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None]


@pytest.mark.parametrize('shape', [(48, 64), (47, 61)])
def test_warping_is_that_of_images(shape):
    image = textured(shape).astype(np.float32)
    rng = np.random.default_rng(0)
    # multiples of 1/32 px: cv2.remap knows no finer ones
    field = (rng.integers(-160, 160, (*shape, 2)) / 32).astype(np.float32)
    expected = warp.warp(image, field)
    points = tensors.pixel_grid(*shape, torch.zeros(1)) + torch.from_numpy(field)[None]
    inside = tensors.inside(points, shape)
    assert np.array_equal(inside[0, 0], warp.inside(warp.sampling_map(field, shape), shape))
    found = tensors.warp(as_batch(image), torch.from_numpy(field)[None])
    assert torch.allclose(found * inside, as_batch(expected), atol=2e-2)


def test_a_matrix_maps_points_as_it_does_in_numpy():
    matrix = np.array([[1.1, 0.1, 3], [-0.2, 0.9, -4], [0, 0, 1]])
    points = transform.pixel_grid((5, 7), np.float64)
    found = tensors.apply(torch.from_numpy(matrix)[None], torch.from_numpy(points)[None])
    assert np.allclose(found[0], transform.apply(matrix, points))
    assert torch.equal(
        found, tensors.apply(torch.from_numpy(matrix[:2])[None], torch.from_numpy(points)[None])
    )


def test_beyond_the_edge():
    image = torch.ones(1, 1, 4, 4)
    field = torch.full((1, 4, 4, 2), 10.0)
    assert tensors.warp(image, field).eq(1).all()
    assert tensors.warp(image, field, 'zeros').eq(0).all()
    assert not tensors.inside(field * torch.nan, (4, 4)).any()

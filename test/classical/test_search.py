from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from irvis_fusion_ros.classical.pyramid import ThermalPyramid
from irvis_fusion_ros.classical.search import SearchConfig, search
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre

SHAPE = (240, 320)
THERMAL, VISIBLE = pair(SHAPE)
VISIBLE = VISIBLE[..., 1].astype(np.float32) / 255


def corner_error(backward, known):
    height, width = SHAPE
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1.0]])
    return np.linalg.norm(known(transform.apply(backward, corners)) - corners, axis=-1).max()


@pytest.mark.parametrize(
    ('rotation', 'scale', 'shift'),
    [(0, 1, (0, 0)), (8, 1, (30, -20)), (-10, 1.25, (-40, 10)), (4, 0.8, (25, 25)), (0, 0.75, (0, -40))],
)
def test_finds_large_motion(rotation, scale, shift):
    known = KnownWarp(SHAPE, affine_about_centre(SHAPE, rotation, scale, 0, shift))
    thermal = known.move(THERMAL).astype(np.float32) / 255
    with ThreadPoolExecutor(2) as pool:
        found = search(VISIBLE, ThermalPyramid(thermal), SearchConfig(), pool)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    # what refinement reaches, about eight pixels of the search at the corners
    assert min(corner_error(c.backward, known) for c in found[:5]) < 20


def test_an_empty_image_is_searched_without_harm():
    with ThreadPoolExecutor(2) as pool:
        found = search(VISIBLE, ThermalPyramid(np.zeros(SHAPE, np.float32)), SearchConfig(), pool)
    assert all(np.isfinite(c.backward).all() and np.isfinite(c.score) for c in found)

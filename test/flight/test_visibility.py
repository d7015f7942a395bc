"""What rays hit, against an independent ray tracer."""

import cv2
import numpy as np
import pytest
from ray_tracer import trace

from irvis_fusion_ros.flight.atlas import Patch
from irvis_fusion_ros.flight.camera import Camera, Pose
from irvis_fusion_ros.flight.solids import Part, Solids
from irvis_fusion_ros.flight.visibility import cast

PATCH = Patch(2, 2, 40, 20)
CAMERA = Camera((64, 48), 60.0, (31.5, 23.5), (0.0, 0, 0, 0, 0))
# looking straight down from 20 m, x to the right
DOWN = Pose(np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]), np.array([0.0, 0, 20]))


def box(low, high):
    part = Part()
    patches = {'side': PATCH, 'top': PATCH}
    part.box(low, high, patches, {'side': (20.0, 0.0)})
    return part


def test_a_box_from_above_is_its_top_at_its_height():
    solids = Solids.join([box((-2, -1, 0), (2, 1, 5))])
    hits = cast([solids], CAMERA, DOWN, CAMERA.rays(), exact=True)
    np.testing.assert_allclose(1 / hits.inverse_depth, 15.0)
    rows, columns = np.divmod(hits.rays, 64)
    # 4 x 2 m at 15 m are 16 x 8 pixels
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (24, 39, 20, 27)
    assert len(hits.rays) == 16 * 8


def test_the_nearer_box_hides_the_other_whatever_their_order():
    low, high = box((-3, -3, 0), (3, 3, 2)), box((-1, -1, 0), (1, 1, 8))
    for parts in ([low, high], [high, low]):
        hits = cast([Solids.join(parts)], CAMERA, DOWN, CAMERA.rays(), exact=True)
        depth = np.zeros(64 * 48)
        depth[hits.rays] = 1 / hits.inverse_depth
        middle = depth.reshape(48, 64)
        assert middle[23, 31] == pytest.approx(12)
        assert middle[23, 24] == pytest.approx(18)


def test_several_sets_of_solids_hide_one_another():
    sets = [Solids.join([box((-3, -3, 0), (3, 3, 2))]), Solids.join([box((-1, -1, 0), (1, 1, 8))])]
    hits = cast(sets, CAMERA, DOWN, CAMERA.rays(), exact=True)
    which = np.full(64 * 48, -1)
    which[hits.rays] = hits.faces.which[hits.face]
    which = which.reshape(48, 64)
    assert (which[23, 31], which[23, 24], which[0, 0]) == (1, 0, -1)


def test_filled_outlines_are_generous_by_less_than_a_sample(flight):
    world, camera, pose = flight.world, flight.rig.visible, flight.pose('visible', 1.0)
    struck = np.zeros((2, camera.size[1], camera.size[0]), np.uint8)
    for image, exact in zip(struck, (False, True), strict=True):
        image.ravel()[cast([world.fixed], camera, pose, camera.rays(), exact=exact).rays] = 1
    quick, exact = struck
    assert 0.2 < exact.mean() < 0.9
    assert not np.any(exact & ~quick)
    # lamp posts are thinner than a pixel: the exact rays pass many of them by
    assert np.mean(quick & ~cv2.dilate(exact, np.ones((3, 3), np.uint8))) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize('seconds', [0.0, 2.5])
def test_every_hit_is_that_of_a_brute_force_ray_tracer(flight, seconds):
    world, camera, pose = flight.world, flight.rig.visible, flight.pose('visible', seconds)
    sets = world.fixed, world.traffic.at(seconds)
    x, y = camera.rays()
    hits = cast(sets, camera, pose, (x, y), exact=True)
    found = np.full(x.size, np.inf)
    found[hits.rays] = 1 / hits.inverse_depth
    chosen = np.random.default_rng(0).choice(x.size, 150, replace=False)
    corners = np.concatenate([s.corners for s in sets])
    for ray in chosen:
        direction = pose.rotation @ [x.flat[ray], y.flat[ray], 1.0]
        nearest = trace(corners, pose.centre, direction)
        assert found[ray] == pytest.approx(nearest, rel=1e-9)

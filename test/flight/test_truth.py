"""The truth is exact: against ray tracing, against OpenCV's camera model, and in the pictures themselves."""

import cv2
import numpy as np
import pytest
from ray_tracer import trace

from irvis_fusion_ros.flight.render import Renderer
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.geometry.transform import pixel_grid


def project(camera, pose, point):
    """Project with OpenCV instead of with our camera."""
    turn = cv2.Rodrigues(pose.rotation.T)[0]
    shift = -pose.rotation.T @ pose.centre
    pixel, _ = cv2.projectPoints(point[None], turn, shift, camera.matrix, np.array(camera.distortion))
    return pixel.ravel()


def stretched(pixel, flight):
    (wt, ht), (wv, hv) = flight.rig.thermal.size, flight.rig.visible.size
    return pixel * ((wv - 1) / (wt - 1), (hv - 1) / (ht - 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    'options', [{}, {'readout': 0.04, 'zoom': '1:1.4', 'knock': 9, 'knock_at': 1, 'thermal_k1': -0.2}]
)
def test_the_deformation_leads_to_where_the_thermal_camera_sees_the_same_point(fly, options):
    flight = fly(seconds=4, rate=5, shutters=0, **options)
    index = 7
    seconds = flight.schedule.visible[index].seconds
    field = flight.deformation(index)
    thermal_pose = flight.pose('thermal', seconds)
    views = flight.views(seconds)
    x, y = flight.rig.visible_at(seconds).rays()
    view_of = np.concatenate([np.full(view.camera.size[1], k) for k, view in enumerate(views)])
    standing, traffic = flight.world.fixed.corners, flight.world.traffic.at(seconds).corners
    corners = np.concatenate([standing, traffic])
    rng = np.random.default_rng(0)
    for row, column in zip(rng.integers(0, 129, 120), rng.integers(0, 161, 120), strict=True):
        pose = views[view_of[row]].pose
        direction = pose.rotation @ [x[row, column], y[row, column], 1.0]
        if options and trace(traffic, pose.centre, direction) < trace(standing, pose.centre, direction):
            continue  # what moves is elsewhere at the time of another row: see the test below
        distance = min(trace(corners, pose.centre, direction), -pose.centre[2] / direction[2])
        pixel = project(flight.rig.thermal, thermal_pose, pose.centre + distance * direction)
        outside = (pixel < 0).any() or (pixel > np.array(flight.rig.thermal.size) - 1).any()
        assert np.isnan(field[row, column]).all() == outside
        if not outside:
            np.testing.assert_allclose(
                (column, row) + field[row, column], stretched(pixel, flight), atol=1e-3
            )


def test_it_is_nan_exactly_outside_the_thermal_image(flight):
    field = flight.deformation(0)
    missing = np.isnan(field)
    assert np.array_equal(missing[..., 0], missing[..., 1])
    inside = warp.inside(warp.sampling_map(field, (81, 100)), (81, 100))
    assert np.array_equal(inside, ~missing[..., 0])
    assert 0.1 < missing[..., 0].mean() < 0.3


def test_it_is_a_large_homography_with_parallax_on_top(flight):
    field = flight.deformation(0)
    shown = ~np.isnan(field[..., 0])
    points = pixel_grid(field.shape[:2], np.float64)[shown]
    targets = points + field[shown]
    matrix, _ = cv2.findHomography(points[::7], targets[::7])
    rest = np.linalg.norm(cv2.perspectiveTransform(points[None], matrix)[0] - targets, axis=1)
    size = np.linalg.norm(field[shown], axis=1) / 161
    # in image widths: tens of pixels of 640, of which some pixels are no homography
    assert 0.03 < size.mean() < 0.06
    assert 0.0005 < np.percentile(rest, 95) / 161 < 0.005


def test_without_a_baseline_there_is_no_parallax(fly):
    flight = fly(seconds=1, baseline=0)
    field = flight.deformation(0)
    x, y = flight.rig.visible.rays()
    turn = flight.rig.mount.rotation.T
    rays = np.stack([x, y, np.ones_like(x)], -1) @ turn.T
    expected = stretched(flight.rig.thermal.project(rays), flight) - pixel_grid(x.shape)
    shown = ~np.isnan(field[..., 0])
    np.testing.assert_allclose(field[shown], expected[shown], atol=1e-3)


@pytest.mark.slow
def test_what_moves_is_followed_to_the_time_of_the_thermal_image(fly):
    flight = fly(seconds=6, rate=5, thermal_rate=3, shutters=0)
    apart, seen, partner = max(
        (abs(p.seconds - e.seconds), e, p)
        for e, p in zip(flight.schedule.visible, flight.schedule.partners, strict=True)
        if p
    )
    assert apart > 0.1
    field = flight.deformation(seen.index)
    traffic = flight.world.traffic
    linear, shift = traffic.places(seen.seconds)
    linear_then, shift_then = traffic.places(partner.seconds)
    pose, thermal_pose = flight.pose('visible', seen.seconds), flight.pose('thermal', partner.seconds)
    x, y = flight.rig.visible.rays()
    standing, moving = flight.world.fixed.corners, traffic.at(seen.seconds)
    checked = 0
    for row, column in np.ndindex(*x.shape):
        if (row + column) % 3 or np.isnan(field[row, column, 0]):
            continue
        direction = pose.rotation @ [x[row, column], y[row, column], 1.0]
        near = np.abs((moving.centres - pose.centre) - np.outer(
            (moving.centres - pose.centre) @ direction / (direction @ direction), direction
        )).max(1) < moving.radii  # fmt: skip
        for part in np.flatnonzero(near):
            distance = trace(moving.corners[moving.part == part], pose.centre, direction)
            if distance > trace(standing, pose.centre, direction) or not np.isfinite(distance):
                continue
            point = pose.centre + distance * direction
            then = linear_then[part] @ np.linalg.solve(linear[part], point - shift[part]) + shift_then[part]
            pixel = stretched(project(flight.rig.thermal, thermal_pose, then), flight)
            error = np.abs((column, row) + field[row, column] - pixel).max()
            # another moving part may be in front of this one
            checked += error < 1e-3
    assert checked > 5


@pytest.mark.slow
def test_the_registered_picture_is_what_the_visible_camera_would_see_in_the_infrared(fly):
    """The thermal render, warped by the truth, against a thermal render from the visible camera's place."""
    flight = fly(width=320, height=256, thermal_width=320, thermal_height=256, seconds=1)
    world, seconds = flight.world, flight.schedule.visible[3].seconds
    field = flight.deformation(3)
    expected = Renderer(world, flight.rig.visible, 3).thermal(flight.pose('visible', seconds), seconds)
    picture = Renderer(world, flight.rig.thermal, 3).thermal(flight.pose('thermal', seconds), seconds)

    def mismatch(shift_x, shift_y):
        registered = warp.warp(picture, field + np.float32([shift_x, shift_y]), np.nan)
        difference = np.abs(registered - expected)[8:-8, 8:-8]
        # occluded places show something else: leave out the worst
        return np.mean(np.sort(difference[np.isfinite(difference)])[: int(0.85 * difference.size)] ** 2)

    spread = expected.std()
    assert np.sqrt(mismatch(0, 0)) < 0.06 * spread
    for axis in (0, 1):
        steps = np.array([-0.6, 0.0, 0.6])
        errors = [mismatch(*(step if axis == 0 else 0, step if axis == 1 else 0)) for step in steps]
        a, b, _ = np.polyfit(steps, errors, 2)
        assert a > 0
        # the pictures agree best where the truth says, to a twentieth of a pixel
        assert abs(-b / (2 * a)) < 0.05

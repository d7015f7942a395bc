"""
The exact deformation between two images of a flight.

For each visible pixel: the point of the world that its centre sees, moved along if it belongs to something
that moves, and projected into the thermal camera at the time the thermal image was taken.
"""

from collections.abc import Sequence

import numpy as np

from irvis_fusion_ros.flight.camera import Pose
from irvis_fusion_ros.flight.shutter import View
from irvis_fusion_ros.flight.visibility import Hits, Rays, cast
from irvis_fusion_ros.flight.world import World
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.geometry.transform import pixel_grid, stretch


def deformation(world: World, views: Sequence[View], thermal: View) -> np.ndarray:
    """
    Return the deformation (geometry/warp.py), H x W x 2 float32, NaN outside the thermal image.

    views: the bands of the visible image, from the top. thermal: the thermal image.

    Where parallax hides a surface from the thermal camera the deformation is still that of the surface the
    visible camera sees, not of what hides it.
    """
    pixels = np.concatenate([_seen(world, view, thermal) for view in views])
    visible_shape, thermal_shape = pixels.shape[:2], thermal.camera.size[::-1]
    scale = np.diag(stretch(thermal_shape, visible_shape))[:2]
    field = pixels * scale - pixel_grid(visible_shape, np.float64)
    return warp.mark_outside(field, thermal_shape)


def _seen(world: World, visible: View, thermal: View) -> np.ndarray:
    """Return where the thermal camera sees what each visible pixel shows, H x W x 2 thermal pixels."""
    visible_pose, thermal_pose = visible.pose, thermal.pose
    x, y = rays = visible.camera.rays()
    sets = world.fixed, world.traffic.at(visible.seconds)
    hits = cast(sets, visible.camera, visible_pose, rays, exact=True)
    down = visible_pose.rotation[2]
    inverse_depth = -(down[0] * x + down[1] * y + down[2]) / visible_pose.centre[2]
    inverse_depth.ravel()[hits.rays] = hits.inverse_depth
    # a point at depth 1 / w on the ray d is, in the axes of the thermal camera and up to scale, M d + b w
    turn = thermal_pose.rotation.T @ visible_pose.rotation
    apart = thermal_pose.rotation.T @ (visible_pose.centre - thermal_pose.centre)
    points = np.stack(
        [m[0] * x + m[1] * y + m[2] + b * inverse_depth for m, b in zip(turn, apart, strict=True)], -1
    )
    at, there = _carried(world, hits, rays, visible_pose, visible.seconds, thermal.seconds)
    points.reshape(-1, 3)[at] = thermal_pose.to_camera(there)
    return thermal.camera.project(points)


def _carried(
    world: World, hits: Hits, rays: Rays, pose: Pose, seen_at: float, wanted_at: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rays that hit something that moves, and where the points hit are at another time (N x 3)."""
    rows = np.flatnonzero(hits.faces.which[hits.face] == 1)
    at = hits.rays[rows]
    ray = np.stack([rays[0].ravel()[at], rays[1].ravel()[at], np.ones(len(at))], 1)
    points = pose.to_world(ray / hits.inverse_depth[rows, None])
    part = world.traffic.part[hits.faces.index[hits.face[rows]]]
    (linear, shift), (linear_then, shift_then) = (world.traffic.places(t) for t in (seen_at, wanted_at))
    carry = (linear_then @ np.linalg.inv(linear))[part]
    return at, np.einsum('nij,nj->ni', carry, points - shift[part]) + shift_then[part]

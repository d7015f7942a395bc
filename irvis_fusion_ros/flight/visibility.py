"""
Which surface does each ray of a camera hit first, and where.

On a plane, inverse depth is an affine function of the ray (x/z, y/z), and so is inverse depth times anything
that is affine on the plane. Faces are filled as polygons, which tells the face at each ray; the rest is
evaluated at the ray itself, so depth and texture are exact whatever the resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from irvis_fusion_ros.flight.camera import Camera, Pose, rotated
from irvis_fusion_ros.flight.solids import Solids

# Parts nearer than this to the plane of the camera are left out: they are beside it, out of sight.
NEAR = 1.0
_SUBPIXEL_BITS = 4
_BAND = 12

Rays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Faces:
    """
    The faces that look at a camera, set by set, part by part, in drawing order.

    which: F, the set of solids, and index: F, the face of that set. inverse_depth: F x 3, in (x, y, 1) of the
    ray. pixels: F x 4 x 2, corners on the image. edges: F x 4 x 3, in (x, y, 1), not negative inside the
    face; None unless needed. spans: by part, nearest first, the first face, the one after the last, and the
    box (left, top, right, bottom) on the image.
    """

    which: np.ndarray
    index: np.ndarray
    inverse_depth: np.ndarray
    pixels: np.ndarray
    edges: np.ndarray | None
    spans: list[tuple[int, int, tuple[int, int, int, int]]]

    def pick(self, by_set: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values of these faces, given those of all faces of each set."""
        return np.concatenate([values[self.index[self.which == k]] for k, values in enumerate(by_set)])


@dataclass(frozen=True)
class Hits:
    """
    Where rays hit solids; the other rays hit the ground.

    rays: N flat numbers of rays. face: N, row of `faces`. inverse_depth: N.
    """

    rays: np.ndarray
    face: np.ndarray
    inverse_depth: np.ndarray
    faces: Faces


def cast(
    sets: Sequence[Solids], camera: Camera, pose: Pose, rays: Rays, samples: float = 1, exact: bool = False
) -> Hits:
    """
    Find what every ray hits.

    rays: x/z and y/z as `camera.rays(samples)` returns them. Outlines are those of filled polygons, that is
    within half a sample; with `exact` they are right to the last digit, for several times the work.
    """
    faces = _join([_facing(solids, camera, pose, samples, exact) for solids in sets])
    planes = np.ascontiguousarray(faces.inverse_depth.T, rays[0].dtype)
    owner = _fill(faces, planes, rays, exact).ravel()
    hit = np.flatnonzero(owner)
    face = owner[hit] - 1
    return Hits(hit, face, _nearness(planes, face, rays[0].ravel()[hit], rays[1].ravel()[hit]), faces)


def in_ray(maps: np.ndarray, pose: Pose, inverse_depth: np.ndarray) -> np.ndarray:
    """
    Turn functions affine in world points p (... x 4) into `value / depth`, affine in the ray (... x 3).

    inverse_depth (... x 3) is that of the plane p lies on.
    """
    gradient = rotated(maps[..., :3], pose.rotation)
    at_camera = maps[..., :3] @ pose.centre + maps[..., 3]
    return gradient + at_camera[..., None] * inverse_depth


def _facing(solids: Solids, camera: Camera, pose: Pose, samples: float, with_edges: bool) -> Faces:
    """Select, project and order the faces that look at the camera."""
    index = np.flatnonzero(in_view(solids, camera, pose)[solids.part])
    index = index[solids.normals[index] @ pose.centre - solids.offsets[index] > 1e-6]
    corners = pose.to_camera(solids.corners[index])
    index, corners = _without_near(solids, index, corners)
    distance = sum(corners[:, k, 2] for k in range(4)) / 4
    order = np.lexsort((-distance, solids.layer[index], solids.part[index]))
    index, corners, distance = index[order], corners[order], distance[order]
    pixels = camera.project_sampled(corners, samples)
    towards = solids.normals[index] @ pose.centre - solids.offsets[index]
    return Faces(
        which=np.zeros(len(index), np.int8),
        index=index,
        inverse_depth=-(solids.normals[index] @ pose.rotation) / towards[:, None],
        pixels=pixels,
        edges=np.cross(corners, np.roll(corners, -1, axis=1)) if with_edges else None,
        spans=_spans(solids.part[index], pixels, distance, np.array(camera.sampled(samples)[::-1])),
    )


def in_view(solids: Solids, camera: Camera, pose: Pose, margin: float = 0.0) -> np.ndarray:
    """Say which parts may be on the image (n bool), or within `margin` metres of it."""
    centres, radii = pose.to_camera(solids.centres), solids.radii + margin
    inside = centres[:, 2] + radii > NEAR
    for axis, rays in enumerate(camera.rays()):
        for side in (-1, 1):
            # a little generous: what is beside the image still touches its edge where it is blurred
            reach = (side * rays).max() + 0.06
            inside &= side * centres[:, axis] - reach * centres[:, 2] <= radii * np.hypot(1, reach)
    return inside


def _without_near(solids: Solids, index: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    near = np.unique(solids.part[index[(corners[..., 2] < NEAR).any(1)]])
    keep = ~np.isin(solids.part[index], near)
    return index[keep], corners[keep]


def _spans(part: np.ndarray, pixels: np.ndarray, distance: np.ndarray, limit: np.ndarray) -> list:
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    if not len(starts):
        return []
    stops = np.append(starts[1:], len(part))
    least, most = (reduce(extreme, (pixels[:, k] for k in range(4))) for extreme in (np.minimum, np.maximum))
    low = np.clip(np.floor(np.minimum.reduceat(least, starts)) - 1, 0, limit).astype(int)
    high = np.clip(np.ceil(np.maximum.reduceat(most, starts)) + 2, 0, limit).astype(int)
    # near parts first: what they hide need not be written
    order = np.argsort(np.minimum.reduceat(distance, starts))
    return [
        (int(starts[k]), int(stops[k]), (*low[k].tolist(), *high[k].tolist()))
        for k in order
        if (low[k] < high[k]).all()
    ]


def _join(seen: Sequence[Faces]) -> Faces:
    firsts = np.cumsum([0, *(len(faces.index) for faces in seen)])
    spans = [
        (first + start, first + stop, box)
        for faces, first in zip(seen, firsts, strict=False)
        for start, stop, box in faces.spans
    ]
    return Faces(
        which=np.repeat(np.arange(len(seen), dtype=np.int8), np.diff(firsts)),
        index=np.concatenate([faces.index for faces in seen]),
        inverse_depth=np.concatenate([faces.inverse_depth for faces in seen]),
        pixels=np.concatenate([faces.pixels for faces in seen]),
        edges=None if seen[0].edges is None else np.concatenate([faces.edges for faces in seen]),
        spans=spans,
    )


def _nearness(planes: np.ndarray, face: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Inverse depth of rays on faces, whose planes are 3 x F."""
    return planes[0][face] * x + planes[1][face] * y + planes[2][face]


def _fill(faces: Faces, planes: np.ndarray, rays: Rays, exact: bool) -> np.ndarray:
    """Return for every ray (H x W) one more than the row of the nearest face, or 0."""
    owner = np.zeros(rays[0].shape, np.int32)
    polygons = np.round(faces.pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
    for start, stop, (left, top, right, bottom) in faces.spans:
        here = (slice(top, bottom), slice(left, right))
        corner = np.array([left, top], np.int32) << _SUBPIXEL_BITS
        numbered = list(enumerate(polygons[start:stop] - corner, start + 1))
        canvas = _draw(numbered, (bottom - top, right - left))
        if exact:
            # where the faces drawn last and first are not the same, several cover the ray
            crowded = canvas != _draw(numbered[::-1], canvas.shape)
            _settle(canvas, crowded, faces, (start, stop), top, (rays[0][here], rays[1][here]))
        before = owner[here]
        row, column = np.nonzero((canvas > 0) & (before > 0))
        if len(row):
            x, y = (r[here][row, column] for r in rays)
            old, new = before[row, column], canvas[row, column]
            hidden = _nearness(planes, new - 1, x, y) <= _nearness(planes, old - 1, x, y)
            canvas[row[hidden], column[hidden]] = old[hidden]
        np.copyto(before, canvas, where=canvas > 0)
    return owner


def _draw(numbered: list[tuple[int, np.ndarray]], shape: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros(shape, np.int32)
    for number, polygon in numbered:
        cv2.fillConvexPoly(canvas, polygon, number, cv2.LINE_8, _SUBPIXEL_BITS)
    return canvas


def _settle(canvas: np.ndarray, crowded: np.ndarray, faces: Faces, span, top: int, rays: Rays) -> None:
    """Correct a canvas of face numbers: its outlines are half a pixel generous, its order that of faces."""
    row, column = np.nonzero(crowded | (_outlines(canvas) & (canvas > 0)))
    ray = np.stack([rays[0][row, column], rays[1][row, column], np.ones(len(row))])
    own = faces.edges[canvas[row, column] - 1]
    wrong = np.einsum('nek,kn->en', own, ray).min(0) < 0
    open_ = np.flatnonzero(wrong | crowded[row, column])
    row, column, ray = row[open_], column[open_], ray[:, open_]
    start, stop = span
    # single precision decides which face it is; where on the face is computed in double
    ray = ray.astype(np.float32)
    edges = np.ascontiguousarray(faces.edges[start:stop].swapaxes(0, 1), np.float32)
    planes = faces.inverse_depth[start:stop].astype(np.float32)
    heights = faces.pixels[start:stop, :, 1] - top
    highest, lowest = heights.min(1), heights.max(1)
    # band by band, because a face reaches over few of them
    for band in range(0, len(canvas), _BAND):
        first, last = np.searchsorted(row, (band, band + _BAND))
        near = np.flatnonzero((highest < band + _BAND) & (lowest > band - 1))
        if first == last or not len(near):
            canvas[row[first:last], column[first:last]] = 0
            continue
        part = ray[:, first:last]
        within = np.logical_and.reduce([edge[near] @ part >= 0 for edge in edges])
        nearness = np.where(within, planes[near] @ part, -np.inf)
        number = np.where(within.any(0), start + 1 + near[nearness.argmax(0)], 0)
        canvas[row[first:last], column[first:last]] = number


def _outlines(canvas: np.ndarray) -> np.ndarray:
    """Pixels with a neighbour of another number."""
    outline = np.zeros(canvas.shape, bool)
    down, across = canvas[1:] != canvas[:-1], canvas[:, 1:] != canvas[:, :-1]
    outline[1:] |= down
    outline[:-1] |= down
    outline[:, 1:] |= across
    outline[:, :-1] |= across
    return outline

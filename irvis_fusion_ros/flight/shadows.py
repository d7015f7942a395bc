"""What moving things do to the ground beside them: shadows in the sun, headlights in the dark."""

import cv2
import numpy as np

from irvis_fusion_ros.flight.camera import Camera, Pose
from irvis_fusion_ros.flight.visibility import in_view
from irvis_fusion_ros.flight.world import World

# The pool of light before a vehicle, in metres.
BEAM_LENGTH, BEAM_WIDTH = 17.0, 7.5
BEAM_COLOUR = np.array([0.78, 0.93, 1.0])
BEAM_LEVEL = 120.0
# Contact shadows reach a little further than the thing itself.
FOOT_MARGIN, CONTACT = 0.12, np.full(3, 0.55)
# Nothing that moves is taller, in metres.
TALLEST = 2.5


def cast_on(
    frame: np.ndarray, world: World, camera: Camera, pose: Pose, seconds: float, samples: float
) -> None:
    """Darken and light the ground in a picture (H x W x 4 uint8: BGR and share of sun), in place."""
    solids = world.traffic.at(seconds)
    light = world.light
    level = light.sky + light.sun_colour * light.sun[2]
    in_shadow = np.sqrt(light.sky / level)
    linear, shift = world.traffic.places(seconds)
    drawer = _Drawer(camera, pose, samples, frame.shape[:2])
    if light.lamps:
        for number in np.flatnonzero(in_view(solids, camera, pose, BEAM_LENGTH)):
            if number < world.traffic.vehicles:
                _headlights(frame, drawer, linear[number], shift[number])
    starts = np.searchsorted(solids.part, np.arange(len(solids.centres) + 1))
    slant = light.sun[:2] / light.sun[2]
    for number in np.flatnonzero(in_view(solids, camera, pose, TALLEST * np.linalg.norm(slant))):
        points = solids.corners[starts[number] : starts[number + 1]].reshape(-1, 3)
        cast = points[:, :2] - points[:, 2:] * slant
        _darken(frame, drawer.mask(_hull(np.vstack([cast, points[:, :2]])), soft=1), in_shadow, by_sun=True)
        if points[:, 2].min() < 0.4:
            _darken(frame, drawer.mask(_foot(points), soft=2), CONTACT, by_sun=False)


class _Drawer:
    """Fills polygons of the ground on the image."""

    def __init__(self, camera: Camera, pose: Pose, samples: float, shape: tuple[int, int]):
        self._camera, self._pose, self._samples, self._shape = camera, pose, samples, shape

    def pixels(self, points: np.ndarray) -> np.ndarray | None:
        """Project points of the ground (N x 2), or None if they are not all in front of the camera."""
        at = self._pose.to_camera(np.concatenate([points, np.zeros((len(points), 1))], 1))
        if at[:, 2].min() < 2.0 or np.abs(at[:, :2] / at[:, 2:]).max() > 1.5:
            return None
        return self._camera.project_sampled(at, self._samples)

    def box(self, pixels: np.ndarray) -> tuple[slice, slice] | None:
        height, width = self._shape
        left, top = np.clip(np.floor(pixels.min(0)).astype(int) - 3, 0, (width, height))
        right, bottom = np.clip(np.ceil(pixels.max(0)).astype(int) + 4, 0, (width, height))
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    def mask(self, points: np.ndarray, soft: int) -> tuple[tuple[slice, slice], np.ndarray] | None:
        """Return where a polygon of the ground is on the image, and its mask there (float32)."""
        pixels = self.pixels(points)
        box = None if pixels is None else self.box(pixels)
        if box is None:
            return None
        mask = np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.uint8)
        corner = np.array([box[1].start, box[0].start])
        polygon = np.round((pixels - corner) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, polygon, 255, cv2.LINE_AA, 4)
        size = 2 * soft + 1
        return box, cv2.blur(mask, (size, size)).astype(np.float32) / 255


def _foot(points: np.ndarray) -> np.ndarray:
    """The outline of what is near the ground, with a margin."""
    foot = _hull(points[points[:, 2] < points[:, 2].min() + 0.2][:, :2])
    away = foot - foot.mean(0)
    return foot + away * (FOOT_MARGIN / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 0.1))


def _hull(points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)


def _darken(frame: np.ndarray, drawn, factor: np.ndarray, by_sun: bool) -> None:
    if drawn is None:
        return
    box, mask = drawn
    part = frame[box]
    share = mask[..., None]
    if by_sun:
        share = share * (part[..., 3:].astype(np.float32) / 255)
    part[..., :3] = part[..., :3] * (1 - share * (1 - factor.astype(np.float32)))
    if by_sun:
        part[..., 3] = part[..., 3] * (1 - mask)


def _headlights(frame: np.ndarray, drawer: _Drawer, linear: np.ndarray, shift: np.ndarray) -> None:
    near, far, half = 2.2, 2.2 + BEAM_LENGTH, BEAM_WIDTH / 2
    corners = np.array([(near, half), (far, half), (far, -half), (near, -half)])
    ground = corners @ linear[:2, :2].T + shift[:2]
    pixels = drawer.pixels(ground)
    box = None if pixels is None else drawer.box(pixels)
    if box is None:
        return
    beam = _beam()
    source = np.float32([(0, 0), (beam.shape[1], 0), (beam.shape[1], beam.shape[0]), (0, beam.shape[0])])
    target = np.float32(pixels - [box[1].start, box[0].start])
    size = (box[1].stop - box[1].start, box[0].stop - box[0].start)
    lit = cv2.warpPerspective(beam, cv2.getPerspectiveTransform(source, target), size)
    part = frame[box][..., :3].astype(np.float32)
    # brightness adds; the picture holds square roots of it
    added = (BEAM_LEVEL * lit)[..., None] * np.sqrt(BEAM_COLOUR).astype(np.float32)
    frame[box][..., :3] = np.minimum(np.sqrt(part**2 + added**2), 255)


def _beam() -> np.ndarray:
    """Two overlapping cones, seen from above, driving to the right; square root of brightness."""
    along = np.linspace(0, 1, 96)[None]
    across = np.linspace(-1, 1, 48)[:, None]
    cones = sum(np.exp(-(((across - side) / (0.10 + 0.62 * along)) ** 2) * 2.0) for side in (-0.2, 0.2))
    fade = np.clip(along / 0.08, 0, 1) * np.exp(-2.6 * along) * np.clip((1 - along) / 0.4, 0, 1)
    edge = np.clip((1 - np.abs(across)) / 0.25, 0, 1)
    return np.sqrt(cones * fade * edge * 0.75).astype(np.float32)

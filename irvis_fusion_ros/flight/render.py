"""
Pictures of the world: what a perfect visible camera and a perfect thermal camera would see.

A pixel is the mean over several rays, so that fine texture and outlines do not flicker.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.flight import shadows
from irvis_fusion_ros.flight.camera import Camera, Pose
from irvis_fusion_ros.flight.solids import Solids
from irvis_fusion_ros.flight.visibility import Hits, cast, in_ray
from irvis_fusion_ros.flight.world import World

SAMPLES = 1.5
# Rows shaded at a time: what they need fits into the cache of a core.
BAND = 32
GROUND_PLANE = np.array([0.0, 0.0, 1.0])
# cv2.remap takes no more rows or columns than a short integer counts.
_STRIP = 1024


@dataclass(frozen=True)
class Surfaces:
    """
    The surfaces of solids that a picture shows, N of its rays.

    sets: the solids as they stood. u, v: N, where in the atlas; bright: N, brightness.
    """

    sets: tuple[Solids, Solids]
    hits: Hits
    u: np.ndarray
    v: np.ndarray
    bright: np.ndarray


class Renderer:
    """Renders one camera of a flight."""

    def __init__(self, world: World, camera: Camera, samples: float = SAMPLES):
        self._world = world
        self._camera = camera
        self._samples = samples
        self._rays = tuple(np.ascontiguousarray(r, np.float32) for r in camera.rays(samples))

    def visible(self, pose: Pose, seconds: float) -> np.ndarray:
        """
        Return what a visible camera sees, H x W x 3 float32 BGR.

        Values are square roots of brightness; 255 is a white surface in full sun.
        """
        world = self._world
        frame = self._ground(pose, world.colour, world.grid.affine())
        shadows.cast_on(frame, world, self._camera, pose, seconds, self._samples)
        seen = self._see(pose, seconds)
        texture = _sample(world.textures.colour, seen.u, seen.v)
        glow = texture[:, 3:].astype(np.float32) * np.float32(1 / 255)
        light = self._light(seen)[seen.hits.face]
        light *= seen.bright[:, None] * (1 - glow)
        light += glow
        light *= texture[:, :3]
        colour = np.ascontiguousarray(frame[..., :3])
        colour.reshape(-1, 3)[seen.hits.rays] = np.minimum(light, 255, out=light)
        return self._hazy(self._averaged(colour), pose)

    def thermal(self, pose: Pose, seconds: float) -> np.ndarray:
        """Return what a thermal camera sees, H x W float32, apparent degrees Celsius."""
        world = self._world
        frame = self._ground(pose, world.warmth, _coarser(world.grid.affine(), 1))
        seen = self._see(pose, seconds)
        level = seen.hits.faces.pick((world.fixed_warmth, seen.sets[1].temperatures(world.light)))
        gain = seen.hits.faces.pick([solids.warmth[:, 1] for solids in seen.sets])
        level, gain = level.astype(np.float32)[seen.hits.face], gain.astype(np.float32)[seen.hits.face]
        texture = _sample(world.textures.warmth, seen.u, seen.v)
        frame.reshape(-1)[seen.hits.rays] = level + gain * (seen.bright - 1) + texture
        return self._averaged(frame)

    def _see(self, pose: Pose, seconds: float) -> Surfaces:
        sets = (self._world.fixed, self._world.traffic.at(seconds))
        hits = cast(sets, self._camera, pose, self._rays, self._samples)
        faces = hits.faces
        texture = in_ray(faces.pick([s.texture for s in sets]), pose, faces.inverse_depth[:, None])
        bright = in_ray(faces.pick([s.brightness for s in sets]), pose, faces.inverse_depth)
        bounds = faces.pick([s.bounds for s in sets])
        maps = np.concatenate([texture.reshape(-1, 6), bright, bounds], 1).astype(np.float32)[hits.face]
        x, y = (r.ravel()[hits.rays] for r in self._rays)
        depth = 1 / hits.inverse_depth
        u, v, shade = ((maps[:, k] * x + maps[:, k + 1] * y + maps[:, k + 2]) * depth for k in (0, 3, 6))
        # outlines are half a sample generous: what is beyond must not show the neighbour in the atlas
        u, v = np.clip(u, maps[:, 9], maps[:, 11]), np.clip(v, maps[:, 10], maps[:, 12])
        return Surfaces(sets, hits, u, v, np.clip(shade, 0.1, 2.0))

    def _light(self, seen: Surfaces) -> np.ndarray:
        """Square root of the light on the faces that look at the camera, F x 3 float32."""
        world, moving = self._world, seen.sets[1]
        lamps = world.lamp_light(moving.centres[:, :2])[moving.part]
        return np.sqrt(seen.hits.faces.pick((world.fixed_light, moving.lit(world.light) + lamps))).astype(
            np.float32
        )

    def _ground(self, pose: Pose, levels: list[np.ndarray], affine: np.ndarray) -> np.ndarray:
        """Sample a map of the ground for every ray."""
        x, y = self._rays
        height, width = x.shape
        frame = np.empty((height, width, *levels[0].shape[2:]), levels[0].dtype)
        plane = -(GROUND_PLANE @ pose.rotation) / pose.centre[2]
        across, down = (m.astype(np.float32) for m in in_ray(affine, pose, plane))
        plane = plane.astype(np.float32)
        pixels = affine[0, 0] * pose.centre[2] / (self._camera.focal * self._samples)
        for top in range(0, height, BAND):
            band = slice(top, min(top + BAND, height))
            xs, ys = x[band], y[band]
            depth = 1 / np.maximum(plane[0] * xs + plane[1] * ys + plane[2], 1e-4)
            u = (across[0] * xs + across[1] * ys + across[2]) * depth
            v = (down[0] * xs + down[1] * ys + down[2]) * depth
            # a ray covers `pixels * depth / altitude` across and, as it comes in at a slant, more along
            share = depth[:, width // 2] / pose.centre[2]
            spread = pixels * share * np.sqrt(np.maximum(share, 1))
            level = np.clip(np.log2(np.maximum(spread, 1e-3)) + 0.25, 0, len(levels) - 1.001)
            frame[band] = _between_levels(levels, u, v, level)
        return frame

    def _averaged(self, frame: np.ndarray) -> np.ndarray:
        if self._samples == 1:
            return frame.astype(np.float32)
        return cv2.resize(frame, self._camera.size, interpolation=cv2.INTER_AREA).astype(np.float32)

    def _hazy(self, picture: np.ndarray, pose: Pose) -> np.ndarray:
        """Mix in the colour of the air, by the distance of the ground."""
        height, width = picture.shape[:2]
        step = 12
        x, y = (r[step // 2 :: step, step // 2 :: step] for r in self._rays)
        plane = -(GROUND_PLANE @ pose.rotation) / pose.centre[2]
        depth = 1 / np.maximum(plane[0] * x + plane[1] * y + plane[2], 1e-4)
        clear = np.exp(-depth / self._world.light.haze_distance).astype(np.float32)
        clear = cv2.resize(clear, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        picture *= clear
        picture += (1 - clear) * (255 * np.sqrt(self._world.light.haze)).astype(np.float32)
        return picture


def _between_levels(levels: list[np.ndarray], u: np.ndarray, v: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Sample two neighbouring resolutions at full-resolution pixels (u, v), blended row by row."""
    low = int(np.clip(np.floor(level.mean()), 0, len(levels) - 2))
    share = np.clip(level - low, 0, 1).astype(np.float32)
    coarse = _sample_map(levels[low + 1], u, v, low + 1)
    if share.min() >= 1:
        return coarse
    fine = _sample_map(levels[low], u, v, low)
    weight = np.ascontiguousarray(np.broadcast_to(share[:, None], u.shape))
    return cv2.blendLinear(coarse, fine, weight, 1 - weight)


def _sample_map(image: np.ndarray, u: np.ndarray, v: np.ndarray, level: int) -> np.ndarray:
    scale = np.float32(0.5**level)
    # pixel centres of a halved image lie half a pixel off those of the full one
    offset = np.float32(0.5 * scale - 0.5)
    return cv2.remap(
        image, u * scale + offset, v * scale + offset, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def _coarser(affine: np.ndarray, levels: int) -> np.ndarray:
    """The affine map to pixels of the same picture, halved `levels` times."""
    scale = 0.5**levels
    halved = affine * scale
    halved[:, 3] += 0.5 * scale - 0.5
    return halved


def _sample(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Sample an image bilinearly at N points; N or N x C."""
    count = len(u)
    # nothing stands where only the ground is seen: no rows would be no image
    rows = max(-(-count // _STRIP), 1)
    maps = []
    for values in (u, v):
        padded = np.zeros(rows * _STRIP, np.float32)
        padded[:count] = values
        maps.append(padded.reshape(rows, _STRIP))
    out = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(rows * _STRIP, *image.shape[2:])[:count]

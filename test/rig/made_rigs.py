"""Pairs of made-up rigs: thermal and visible brightness of scenes of their own."""

import numpy as np

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre

SHAPE = (192, 256)


def known(rotation=2.0, scale=1.05, shift=(6.0, -4.0)):
    """Return how the thermal image of a rig is moved."""
    return KnownWarp(SHAPE, affine_about_centre(SHAPE, rotation, scale, 0, shift))


def frame(seed, rig, shift=(0.0, 0.0), noise=0.0):
    """
    Return thermal and visible brightness, H x W float32 [0, 1].

    shift: of the thermal image beyond the rig, pixels. noise: standard deviation in the thermal image.
    """
    thermal, visible = pair(SHAPE, seed)
    moved = np.eye(3)
    moved[:2, 2] = shift
    thermal = KnownWarp(SHAPE, rig.matrix @ moved).move(thermal).astype(np.float32) / 255
    rng = np.random.default_rng(seed)
    thermal = np.clip(thermal + rng.normal(0, noise, SHAPE).astype(np.float32), 0, 1)
    return thermal, visible[..., 1].astype(np.float32) / 255


def error(deformation, rig):
    """Return the mean endpoint error in the middle of the image, pixels."""
    height, width = SHAPE
    y, x = np.mgrid[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    points = np.stack([x, y], -1).astype(float)
    found = points + deformation[y, x]
    return float(np.linalg.norm(rig(found) - points, axis=-1).mean())

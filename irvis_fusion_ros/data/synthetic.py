"""
Synthetic image pairs with a known misalignment, for timing and for tests without third-party data.

They have enough texture to be registered, but results on them do not predict the quality on real pairs.
"""

import cv2
import numpy as np

from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre

# Pixels that the camera moves per frame, and number of frames before it turns back.
STEP, SWEEP = 3, 16


def textured(shape: tuple[int, int] = (120, 160), seed: int = 0) -> np.ndarray:
    """Return a scene of blobs and boxes at several scales, H x W uint8."""
    rng = np.random.default_rng(seed)
    height, width = shape
    scene = sum(
        cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma) * sigma
        for sigma in (1.5, 4, 10)
    )
    for _ in range(max(12, height * width // 1600)):
        x, y = rng.integers(0, width), rng.integers(0, height)
        size = rng.integers(6, 30, 2)
        scene[y : y + size[1], x : x + size[0]] += rng.uniform(-1, 1)
    return cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def pair(shape: tuple[int, int] = (120, 160), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """
    Return an aligned pair: thermal H x W uint8 and visible H x W x 3 uint8 BGR.

    The thermal image has the structure of the visible one, with its contrast reversed in parts.
    """
    return _two_cameras(textured(shape, seed), seed)


class Rig:
    """
    A moving rig whose thermal camera is rotated, shifted and scaled against the visible one.

    `known` is that constant misalignment on the visible grid, the T of geometry/random_warp.
    """

    def __init__(self, visible_shape: tuple[int, int], thermal_shape: tuple[int, int], seed: int = 0):
        height, width = visible_shape
        shift = (0.03 * width, -0.02 * height)
        self.known = KnownWarp(visible_shape, affine_about_centre(visible_shape, 3, 1.06, 0, shift))
        self._thermal_shape = thermal_shape
        self._scene = _two_cameras(textured((height, width + STEP * SWEEP), seed), seed)
        self._seed = seed

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return thermal (H x W uint8) and visible (H x W x 3 uint8 BGR) of one frame of a video."""
        place = STEP * (SWEEP - abs(index % (2 * SWEEP) - SWEEP))
        thermal, visible = (image[:, place : place + self.known.shape[1]] for image in self._scene)
        moved = self.known.move(np.ascontiguousarray(thermal))
        # resample the moved image from the visible grid to the thermal camera's own size
        small = warp.warp(moved, np.zeros((*self._thermal_shape, 2), np.float32))
        noise = np.random.default_rng((self._seed, index)).normal(0, 2, small.shape)
        return np.clip(small + noise, 0, 255).astype(np.uint8), np.ascontiguousarray(visible)


def _two_cameras(scene: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    reversed_in_part = (127 + 127 * np.sin(np.arange(256) / 40 + seed)).astype(np.uint8)
    thermal = cv2.GaussianBlur(reversed_in_part[scene], (0, 0), 1)
    tinted = cv2.merge([cv2.convertScaleAbs(scene, alpha=gain) for gain in (0.7, 1.0, 0.9)])
    return thermal, tinted

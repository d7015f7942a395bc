"""
Pairs to check by: a synthetic flight, whose thermal image is laid on the visible one by the truth and then
moved by a small known affine, so that every preset can register it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.flight import Flight, FlightConfig
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.geometry.random_warp import affine_about_centre

# What the thermal image is moved by: degrees, size, and shares of width and height.
TURN, SIZE, SHIFT = 1.0, 1.02, (0.012, -0.008)


@dataclass(frozen=True)
class Pair:
    """
    thermal: H x W uint8. visible: H x W x 3 uint8 BGR. aligned: the thermal image before it was moved.

    truth: H x W x 2, the deformation that undoes it, pixels.
    """

    thermal: np.ndarray
    visible: np.ndarray
    aligned: np.ndarray
    truth: np.ndarray


def flown(count: int, size: tuple[int, int], seed: int = 0, rate: float = 10.0) -> list[Pair]:
    """Return neighbouring frames of a flight, width and height of `size`."""
    width, height = size
    config = FlightConfig(
        seconds=count / rate,
        rate=rate,
        width=width,
        height=height,
        thermal_width=width,
        thermal_height=height,
        thermal_depth=8,
        shutters=0,
        seed=seed,
    )
    return [
        _moved(frame.thermal, frame.visible, frame.truth)
        for frame in Flight(config).frames(every_truth=True)
        if frame.thermal is not None
    ]


def resized(pair: Pair, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return thermal and visible image of a pair at another size, width and height."""
    return cv2.resize(pair.thermal, size), cv2.resize(pair.visible, size)


def _moved(thermal: np.ndarray, visible: np.ndarray, truth: np.ndarray) -> Pair:
    shape = visible.shape[:2]
    # beyond the thermal image nothing is known: the nearest that is goes on there
    deformation = np.where(np.isfinite(truth), truth, np.float32(0))
    aligned = warp.warp(thermal, deformation)
    height, width = shape
    matrix = affine_about_centre(shape, TURN, SIZE, 0, (SHIFT[0] * width, SHIFT[1] * height))
    moved = cv2.warpAffine(
        aligned,
        matrix[:2],
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inverse = np.linalg.inv(matrix)
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)
    undone = grid @ inverse[:2, :2].T + inverse[:2, 2] - grid
    return Pair(moved, visible, aligned, undone.astype(np.float32))

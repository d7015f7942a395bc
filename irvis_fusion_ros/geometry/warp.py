"""
Deformations and the one resampling.

A deformation is H x W x 2 float32, (dx, dy) in pixels of the reference (visible) grid, backward:
`registered(x, y) = thermal(x + dx, y + dy)`, where thermal(.) is the thermal image stretched over
the visible grid. It is NaN exactly where that sample lies outside the thermal image.
"""

import cv2
import numpy as np

from irvis_fusion_ros.geometry.transform import stretch

# A sample this close to the outermost pixel centre still counts as inside: float32 rounding.
EDGE_TOLERANCE = 1e-3


def sampling_map(deformation: np.ndarray, thermal_shape: tuple[int, ...]) -> np.ndarray:
    """Return where each reference pixel samples the original thermal image, H x W x 2 float32."""
    height, width = deformation.shape[:2]
    scale = stretch((height, width), thermal_shape)
    points = np.empty((height, width, 2), np.float32)
    np.add(deformation[..., 0], np.arange(width, dtype=np.float32), out=points[..., 0])
    np.add(deformation[..., 1], np.arange(height, dtype=np.float32)[:, None], out=points[..., 1])
    if scale[0, 0] != 1 or scale[1, 1] != 1:
        points *= np.float32([scale[0, 0], scale[1, 1]])
    return points


def inside(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Say which sample points lie within an image of `shape`, H x W bool; NaN is outside."""
    limit_x, limit_y = shape[1] - 1 + EDGE_TOLERANCE, shape[0] - 1 + EDGE_TOLERANCE
    return cv2.inRange(points, (-EDGE_TOLERANCE,) * 2, (limit_x, limit_y)) > 0


def sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """
    Sample `image` bilinearly at `points` (H x W x 2 float32, original pixels); dtype is kept.

    Points outside the image take the nearest edge value: callers mask them with `inside`, and no dark
    rim is blended in. NaN points give an arbitrary value.
    """
    if image.dtype in (np.int8, np.int32):  # OpenCV samples neither; float64 holds every value of theirs
        return np.rint(sample(image.astype(np.float64), points)).astype(image.dtype)
    return cv2.remap(image, points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def warp(image: np.ndarray, deformation: np.ndarray, outside: float = 0) -> np.ndarray:
    """Register a thermal image of any size and depth by a deformation; `outside` fills the rest."""
    points = sampling_map(deformation, image.shape)
    registered = sample(image, points)
    put_outside(registered, inside(points, image.shape), outside)
    return registered


def mark_outside(deformation: np.ndarray, thermal_shape: tuple[int, ...]) -> np.ndarray:
    """Return `deformation` with NaN exactly where the sample lies outside the thermal image."""
    marked = deformation.astype(np.float32, copy=True)
    put_outside(marked, inside(sampling_map(deformation, thermal_shape), thermal_shape), np.nan)
    return marked


def put_outside(image: np.ndarray, inside: np.ndarray, value: float) -> None:
    """Put a value where `inside`, H x W bool, is not, into an image or a deformation, in place."""
    outside = ~inside
    for plane in np.moveaxis(image, -1, 0) if image.ndim == 3 else (image,):
        np.copyto(plane, value, where=outside, casting='unsafe')

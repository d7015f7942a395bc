"""
Structure maps: descriptions of edges that look alike in a thermal and a visible image of one scene.

A warm object may be dark or bright in either image, so neither brightness nor the sign of an edge can be
compared. The position and direction of edges can. An edge of angle theta becomes (cos 2 theta, sin 2 theta)
and (cos 4 theta, sin 4 theta), which stay the same when the contrast is reversed, times its strength relative
to its surroundings (as in CFOG, Ye et al., IEEE TGRS 2019, with harmonics instead of bins).
"""

import cv2
import numpy as np

from irvis_fusion_ros.tuning import STRUCTURE


def structure(
    image: np.ndarray, support: np.ndarray | None, *, neighbourhood: float, harmonics: int = 2
) -> np.ndarray:
    """
    Return structure maps, (2 * harmonics) x H x W float32, of H x W float32 brightness in [0, 1].

    support: H x W float32, 0 beyond the image, where the maps are 0, too. neighbourhood: sigma, in pixels, of
    the surroundings that the strength of an edge is relative to.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), STRUCTURE.smoothing)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    if support is not None:
        gx *= support
        gy *= support
    # in place as far as possible: fresh memory costs more time than the sums
    sine = gx * gy
    sine *= 2
    gx *= gx
    gy *= gy
    energy = gx + gy
    cosine = np.subtract(gx, gy, out=gx)
    surroundings = cv2.GaussianBlur(energy, (0, 0), neighbourhood, dst=gy)
    np.maximum(surroundings, 0, out=surroundings)
    np.sqrt(surroundings, out=surroundings)
    surroundings += np.float32(STRUCTURE.noise)
    strength = np.sqrt(energy)
    strength /= surroundings
    np.minimum(strength, STRUCTURE.strongest, out=strength)
    energy += np.float32(1e-12)
    cosine /= energy
    sine /= energy
    maps = np.empty((2 * harmonics, *image.shape), np.float32)
    np.multiply(strength, cosine, out=maps[0])
    np.multiply(strength, sine, out=maps[1])
    if harmonics == 2:
        # cos 4t = cos 2t cos 2t - sin 2t sin 2t, sin 4t = 2 cos 2t sin 2t
        np.multiply(maps[0], cosine, out=maps[2])
        maps[2] -= np.multiply(maps[1], sine, out=strength)
        np.multiply(maps[0], sine, out=maps[3])
        maps[3] *= 2
    for plane in maps:
        cv2.GaussianBlur(plane, (0, 0), 0.8, dst=plane)
    return maps


def content_hull(image: np.ndarray) -> np.ndarray | None:
    """
    Return the content mask of a rectified or warped image, H x W uint8 0/1, or None if all of it is content.

    Such images have a black or white border whose edge is not part of the scene. The mask is the convex hull
    of all other pixels, so a clipped sky or a hot spot inside the picture stays in.
    """
    content = (image > 0) & (image < 1)
    rows = np.flatnonzero(content.any(1))
    if rows.size == 0:
        return None
    height, width = image.shape
    # the first and last content pixel of each row suffice for the hull
    first = content[rows].argmax(1)
    last = width - 1 - content[rows, ::-1].argmax(1)
    rim = np.concatenate([np.stack([first, rows], -1), np.stack([last, rows], -1)]).astype(np.int32)
    hull = cv2.convexHull(rim)
    if cv2.contourArea(hull) > 0.995 * (width - 1) * (height - 1):
        return None
    return cv2.fillConvexPoly(np.zeros(image.shape, np.uint8), hull, 1)

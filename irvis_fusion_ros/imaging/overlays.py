"""
Overlays that a recorder burns into both pictures at the same pixels: date, cross, logo.

They outweigh the scene where two cameras of other spectra are compared, and say that nothing has moved. A
pixel of an overlay is equal in both images, differs from what is around it, and its outline is sharp and the
same in both. Of a scene, two spectra hardly ever show that.
"""

import cv2
import numpy as np

# Grey levels: how equal, how much brighter or darker than the surroundings, how sharp the outline.
EQUAL, CONTRAST, SHARP = 8, 40, 50
# Pixels of the surroundings, for strokes and for boxes, and by how much images are shrunk for them.
AROUND, SHRUNK = (25, 101), 4
# A part of an overlay: pixels at least, the most of them that only one image shows, and the least of them at
# an outline, both as shares of those that both show.
PART, ALONE, OUTLINED = 8, 1.0, 0.5
# Share of the image that is overlay at least; 200 aligned pairs without one have up to 0.0008.
LEAST = 0.001
# Pixels by which compression and smoothing make an overlay wider.
SPREAD = 2


def common(thermal: np.ndarray, visible: np.ndarray, within: np.ndarray | None = None) -> np.ndarray | None:
    """
    Return where two images, H x W uint8 of one size, carry the same overlay, uint8 0/1, or None.

    thermal, visible: on one grid as they were recorded, before registration. within: uint8 0/1, where to
    look; None is everywhere.
    """
    brighter, darker = (
        [_contrasted(image, sign) for image in (thermal, visible)] for sign in (cv2.subtract, _from)
    )
    both = brighter[0] & brighter[1] | darker[0] & darker[1]
    equal = both & cv2.compare(cv2.absdiff(thermal, visible), EQUAL, cv2.CMP_LE)
    if within is not None:
        equal *= within
    least = max(PART, LEAST * thermal.size)
    if cv2.countNonZero(equal) < least:
        return None
    alone = (brighter[0] | brighter[1] | darker[0] | darker[1]) & ~both
    outline = cv2.compare(cv2.min(_steps(thermal), _steps(visible)), SHARP, cv2.CMP_GT)
    near = cv2.dilate(equal, np.ones((3, 3), np.uint8))
    count, parts = cv2.connectedComponents(near, connectivity=8)
    at = np.flatnonzero(near)
    part = parts.ravel()[at]
    pixels, single, sharp = (
        np.bincount(part, mask.ravel()[at] > 0, minlength=count) for mask in (equal, alone, outline)
    )
    accepted = (pixels >= PART) & (single <= ALONE * pixels) & (sharp >= OUTLINED * pixels)
    if pixels[accepted].sum() < least:
        return None
    found = np.zeros(thermal.shape, np.uint8)
    found.ravel()[at] = accepted[part]
    side = 2 * SPREAD - 1  # one pixel has been added already
    return cv2.dilate(found, np.ones((side, side), np.uint8))


def _contrasted(image: np.ndarray, difference) -> np.ndarray:
    """Return 255 where an image is brighter than its surroundings, or darker."""
    found = np.zeros(image.shape, np.uint8)
    shape = [max(1, side // SHRUNK) for side in image.shape]
    small = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    for around in AROUND:
        side = around // SHRUNK | 1
        mean = cv2.resize(cv2.blur(small, (side, side)), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
        found |= cv2.compare(difference(image, mean), CONTRAST, cv2.CMP_GT)
    return found


def _from(image: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return cv2.subtract(mean, image)


def _steps(image: np.ndarray) -> np.ndarray:
    """Return the largest difference of a pixel from its neighbours."""
    square = np.ones((3, 3), np.uint8)
    return cv2.max(
        cv2.subtract(cv2.dilate(image, square), image), cv2.subtract(image, cv2.erode(image, square))
    )

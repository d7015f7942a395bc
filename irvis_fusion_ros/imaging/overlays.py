"""
Overlays that a recorder burns into both pictures at the same pixels: date, cross, logo.

They outweigh the scene where two cameras of other spectra are compared, and say that nothing has moved. A
pixel of an overlay is equal in both images and differs from what is around it, or has one brightness in the
thermal image and one in the visible image wherever it is; its outline is sharp and the same in both. Of a
scene, two spectra hardly ever show that.
"""

import cv2
import numpy as np

# Grey levels: how equal, how much brighter or darker than the surroundings, how sharp the outline.
EQUAL, CONTRAST, SHARP = 8, 40, 50
# Pixels of the surroundings, for strokes and for boxes, and by how much images are shrunk for them.
AROUND, SHRUNK = (25, 101), 4
# A part of an overlay: pixels at least, those that only one image shows at most, as a share of them, and the
# share of its rim that is sharp.
PART, ALONE, OUTLINED = 8, 1.0, 0.5
# Share of the image that is overlay at least: 200 aligned pairs without one have up to 0.0008. And of one
# brightness in each image, where of 108 such pairs two have up to 0.00017 and the others nothing.
LEAST, FEWEST = 0.001, 0.0002
# Grey levels by which solid parts differ in the two images at most, and how sharp their outline is at least;
# how many pixels they reach from what was found.
SOLID, FAINT, REACH = 3, 15, 16
# Overlays of one brightness in each image: grey levels that are counted together, and the share that a pair
# of brightnesses takes at least of sharp pixels that are up to BESIDE such steps brighter or darker. 77
# aligned pairs without one have up to 0.29, overlays 0.65 and more.
STEP, BESIDE, ALONG = 4, 5, 0.5
# How many letters further a line is followed where one image hides it.
LETTERS = 8
# What is left out around an overlay: its faint rim misled swift_lite by 0.8 px on frames of m3svd.
SQUARE, RIM = np.ones((3, 3), np.uint8), np.ones((7, 7), np.uint8)


def common(thermal: np.ndarray, visible: np.ndarray, within: np.ndarray | None = None) -> np.ndarray | None:
    """
    Return where two images, H x W uint8 of one size, carry the same overlay, uint8 0/1, or None.

    thermal, visible: on one grid as they were recorded, before registration. within: uint8 0/1, where to
    look; None is everywhere.
    """
    if within is None:
        within = np.ones(thermal.shape, np.uint8)
    steps = cv2.min(_steps(thermal), _steps(visible))
    found = _equal(thermal, visible, within, steps) | _uniform(thermal, visible, within, steps)
    if not found.any():
        return None
    # boxes and bars, which differ less from what is around them; where there is no text there are none
    solid = cv2.compare(cv2.absdiff(thermal, visible), SOLID, cv2.CMP_LE)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) * within
    edges = cv2.compare(steps, FAINT, cv2.CMP_GT)
    found |= _parts(solid & ~edges, cv2.dilate(edges, SQUARE))
    return cv2.dilate(found, RIM) | _near(found) & solid & 1


def _equal(thermal: np.ndarray, visible: np.ndarray, within: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return parts that are equal in both images and differ from what is around, uint8 0/1."""
    none = np.zeros(thermal.shape, np.uint8)
    equal = cv2.compare(cv2.absdiff(thermal, visible), EQUAL, cv2.CMP_LE) * within
    brighter, darker = zip(_contrasted(thermal), _contrasted(visible), strict=True)
    shared = [equal & one & other for one, other in (brighter, darker)]
    least = max(PART, LEAST * thermal.size)
    if cv2.countNonZero(shared[0] | shared[1]) < least:
        return none
    sharp = cv2.compare(steps, SHARP, cv2.CMP_GT)
    parts = [
        _parts(mask, sharp, one ^ other)
        for mask, (one, other) in zip(shared, (brighter, darker), strict=True)
    ]
    found = parts[0] | parts[1]
    return found if cv2.countNonZero(found & (shared[0] | shared[1])) >= least else none


def _uniform(thermal: np.ndarray, visible: np.ndarray, within: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """
    Return parts that have one brightness in each image, uint8 0/1.

    It is one that many sharp pixels have, and few a similar one.
    """
    found = np.zeros(thermal.shape, np.uint8)
    sharp = np.flatnonzero((steps > FAINT) & (within > 0))
    values = [image.ravel()[sharp].astype(np.intp) // STEP for image in (thermal, visible)]
    side = 256 // STEP
    counts = np.bincount(values[0] * side + values[1], minlength=side * side).reshape(side, side)
    counts = counts.astype(np.float32)

    def summed(reach: int) -> np.ndarray:
        size = (2 * reach + 1,) * 2
        return cv2.boxFilter(counts, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)

    here, fewest = summed(1), max(PART, FEWEST * thermal.size)
    peaks = (here >= fewest) & (here >= ALONG * summed(BESIDE)) & (here == cv2.dilate(here, SQUARE))
    edges = cv2.compare(steps, FAINT, cv2.CMP_GT)
    either = cv2.compare(cv2.max(_steps(thermal), _steps(visible)), FAINT, cv2.CMP_GT)
    for row, column in np.argwhere(peaks):
        mask = cv2.inRange(thermal, *_about(row)) & cv2.inRange(visible, *_about(column)) * within
        parts = _parts(mask, edges)
        if cv2.countNonZero(parts & mask) >= fewest:
            # beside it points and colons are smaller, and before a dark scene one image alone shows a letter
            for _ in range(LETTERS):
                parts |= _parts(mask * _near(parts), either, smallest=1)
            found |= parts
    return found


def _near(found: np.ndarray) -> np.ndarray:
    """Return what is within REACH of what was found, uint8 0/1."""
    return cv2.dilate(found, np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8))


def _about(step: int) -> tuple[int, int]:
    """Return the grey levels about a step of the histogram."""
    centre = int(step) * STEP + STEP // 2
    return max(0, centre - EQUAL), min(255, centre + EQUAL)


def _parts(
    mask: np.ndarray, sharp: np.ndarray, alone: np.ndarray | None = None, smallest: int = PART
) -> np.ndarray:
    """
    Return which parts of a mask have a sharp rim, uint8 0/1 with one pixel around them.

    mask, sharp and alone, what only one image shows, are H x W uint8 0/255. smallest: pixels of a part.
    """
    # compression makes holes
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, SQUARE)
    rim = mask & ~cv2.erode(mask, SQUARE, borderValue=0)
    near = cv2.dilate(mask, SQUARE)
    count, parts = cv2.connectedComponents(near, connectivity=8)
    at = np.flatnonzero(near > 0)  # of bool, which is ten times as fast
    part = parts.ravel()[at]

    def pixels(of: np.ndarray) -> np.ndarray:
        return np.bincount(part, of.ravel()[at] > 0, minlength=count)

    size = pixels(mask)
    accepted = (size >= smallest) & (pixels(rim & sharp) >= OUTLINED * pixels(rim))
    if alone is not None:
        accepted &= pixels(alone) <= ALONE * size
    found = np.zeros(mask.shape, np.uint8)
    found.ravel()[at] = accepted[part]
    return found


def _contrasted(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 255 where an image is brighter than its surroundings, and where it is darker."""
    shape = [max(1, side // SHRUNK) for side in image.shape]
    small = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    means = [
        cv2.resize(cv2.blur(small, (side, side)), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
        for side in (around // SHRUNK | 1 for around in AROUND)
    ]
    brighter, darker = cv2.subtract(image, cv2.min(*means)), cv2.subtract(cv2.max(*means), image)
    return cv2.compare(brighter, CONTRAST, cv2.CMP_GT), cv2.compare(darker, CONTRAST, cv2.CMP_GT)


def _steps(image: np.ndarray) -> np.ndarray:
    """Return the largest difference of a pixel from its neighbours."""
    above = cv2.subtract(cv2.dilate(image, SQUARE), image)
    return cv2.max(above, cv2.subtract(image, cv2.erode(image, SQUARE)))

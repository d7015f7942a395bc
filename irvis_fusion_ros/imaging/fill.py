"""Fills parts of an image smoothly from what is around them."""

import cv2
import numpy as np


def fill(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """
    Return an image with the pixels where `hole` (H x W uint8) is not 0 made of those around.

    image: H x W or H x W x C float32. It is halved until nothing is missing, and every size fills the one
    before: no edge is made.
    """
    if image.ndim == 3:
        return np.stack([fill(plane, hole) for plane in np.moveaxis(image, -1, 0)], -1)
    weight = (hole == 0).astype(np.float32)
    if not weight.any():
        return image
    known = [(image * weight, weight)]
    while known[-1][1].min() == 0:
        shape = tuple((side + 1) // 2 for side in known[-1][1].shape)
        known.append(tuple(cv2.resize(p, shape[::-1], interpolation=cv2.INTER_AREA) for p in known[-1]))
    values, weight = known.pop()
    filled = values / weight
    while known:
        values, weight = known.pop()
        coarse = cv2.resize(filled, values.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = values + (1 - weight) * coarse
    return filled

"""A deformation as a picture: hue is the direction, saturation the length, black is outside."""

import cv2
import numpy as np


def colored(deformation: np.ndarray, largest: float | None = None) -> np.ndarray:
    """
    Return H x W x 3 uint8 (BGR) of a deformation, H x W x 2 float32 pixels with NaN outside.

    largest: the length, in pixels, that is shown in full colour; without it, the length that few pixels
    exceed, rounded up to 1, 2 or 5 times a power of ten so that a video does not flicker.
    """
    inside = np.isfinite(deformation[..., 0])
    field = np.where(inside[..., None], deformation, np.float32(0))
    length, angle = cv2.cartToPolar(field[..., 0], field[..., 1], angleInDegrees=True)
    if largest is None:
        largest = _round_up(float(np.percentile(length[::4, ::4], 99)))
    hsv = cv2.merge([angle / 2, np.minimum(length * (255 / largest), 255), inside * np.float32(255)])
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)


def _round_up(length: float) -> float:
    scale = 10.0 ** np.floor(np.log10(max(length, 1.0)))
    return float(next(step * scale for step in (1, 2, 5, 10) if length <= step * scale))

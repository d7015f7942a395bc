"""Between an image and the small grid on which targets are found."""

from collections.abc import Callable

import cv2
import numpy as np


def reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image at a smaller size (width, height): by halves first, which is exact and fast."""
    while image.shape[1] >= 3 * size[0] and image.shape[1] % 2 == 0 and image.shape[0] % 2 == 0:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def enlarged(
    box: np.ndarray, small: tuple[int, int], large: tuple[int, ...]
) -> tuple[tuple[slice, slice], Callable[[np.ndarray], np.ndarray]]:
    """
    Return the part of a large image that cells of a small grid reach, and what enlarges a plane there.

    box: left, top, width and height of the cells. small, large: height and width. The planes are h x w and
    come back float32, as large as the part.
    """
    scale = large[1] / small[1], large[0] / small[0]
    # bilinear interpolation reaches one cell further
    first = [max(0, int((box[k] - 1) * scale[k])) for k in (0, 1)]
    last = [min(large[1 - k], int(np.ceil((box[k] + box[k + 2] + 1) * scale[k]))) for k in (0, 1)]
    part = slice(first[1], last[1]), slice(first[0], last[0])
    to_small = np.array([[1 / s, 0, (at + 0.5) / s - 0.5] for s, at in zip(scale, first, strict=True)])
    to_small[1, :2] = to_small[1, 1::-1]
    size = last[0] - first[0], last[1] - first[1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def full(plane: np.ndarray) -> np.ndarray:
        plane = plane.astype(np.float32, copy=False)
        return cv2.warpAffine(plane, to_small, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    return part, full


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 up to `low`, 1 from `high`, and a smooth step between them, float32."""
    share = value * np.float32(1 / (high - low))
    share -= np.float32(low / (high - low))
    np.clip(share, 0, 1, out=share)
    smooth = share * np.float32(-2)
    smooth += 3
    smooth *= share
    smooth *= share
    return smooth

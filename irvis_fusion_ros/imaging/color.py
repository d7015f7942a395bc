"""
Visible luminance and chroma.

A fused picture is the visible picture with another luminance. Its colours stay those of the visible
image; where the luminance is changed a lot the chroma is scaled with it, so that neither bright
fringes nor saturated shadows appear.
"""

import cv2
import numpy as np

# Chroma follows the luminance down, and up by no more than this factor.
MAX_CHROMA_GAIN = 1.3

TO_GRAY = {'bgr': cv2.COLOR_BGR2GRAY, 'rgb': cv2.COLOR_RGB2GRAY}


def gray(image: np.ndarray, order: str) -> np.ndarray:
    """Return an H x W or H x W x 3 image as H x W, dtype kept (BT.601 weights)."""
    return image if image.ndim == 2 else cv2.cvtColor(image, TO_GRAY[order])


def luminance(image: np.ndarray, order: str) -> np.ndarray:
    """Return luminance (BT.601), H x W float32 [0, 1], of an H x W or H x W x 3 uint8 or uint16 image."""
    return gray(image, order).astype(np.float32) * np.float32(1.0 / np.iinfo(image.dtype).max)


def rgb(image: np.ndarray, order: str) -> np.ndarray:
    """Return colours, H x W x 3 float32 [0, 1], red first, of an H x W x 3 uint8 or uint16 image."""
    image = image if order == 'rgb' else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return image.astype(np.float32) * np.float32(1.0 / np.iinfo(image.dtype).max)


def brightness(image: np.ndarray) -> np.ndarray:
    """Return the luminance, H x W float32, of colours as `rgb` returns them, or of a luminance as it is."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def faded(visible: np.ndarray, fused: np.ndarray, share: np.ndarray) -> np.ndarray:
    """
    Return `fused` where `share` (H x W float32 [0, 1]) is 1, and `visible` where it is 0.

    Both are float32, H x W or H x W x 3; of colours of the visible image only the luminance is used where the
    fused image has none.
    """
    visible = visible if visible.ndim == fused.ndim else brightness(visible)
    return visible + (fused - visible) * (share if fused.ndim == 2 else share[..., None])


def with_luminance(image: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """
    Return `image` (H x W x 3 uint8) with luminance `new` in place of `old` (H x W float32 [0, 1]).

    Chroma (colour minus luminance) is scaled by new/old, limited to [0, MAX_CHROMA_GAIN].
    """
    # float32 whatever comes in: OpenCV writes into an array of its own if the type of `dst` differs
    old, new = np.asarray(old, np.float32), np.asarray(new, np.float32)
    gain, offset = new + np.float32(0.02), old + np.float32(0.02)
    gain /= offset
    np.minimum(gain, MAX_CHROMA_GAIN, out=gain)
    # colour' = new + gain * (colour - old)  =  gain * colour + (new - gain * old)
    np.multiply(gain, old, out=offset)
    np.subtract(new, offset, out=offset)
    offset *= 255
    planes = []
    for plane in cv2.split(image):
        scaled = cv2.multiply(plane, gain, dtype=cv2.CV_32F)
        planes.append(cv2.add(scaled, offset, dtype=cv2.CV_8U))
    return cv2.merge(planes)


def tinted(image: np.ndarray, where: np.ndarray, color: tuple[float, float, float], order: str) -> np.ndarray:
    """
    Return `image` (H x W x 3 uint8) in another color where `where` (H x W float32 [0, 1]) says so.

    color: red, green and blue in [0, 1], shown at the brightness that the image has there, or as bright as it
    can be.
    """
    x, y, width, height = cv2.boundingRect((where > 1 / 255).astype(np.uint8))
    if not width:
        return image
    part, share = image[y : y + height, x : x + width], where[y : y + height, x : x + width, None]
    luma = gray(part, order).astype(np.float32)[..., None]
    weights = np.float32((0.299, 0.587, 0.114))
    painted = luma * (np.float32(color) / float(np.float32(color) @ weights))
    # a color is darker than white: it is kept, and not its brightness, so that white targets have one, too
    painted *= 255 / np.maximum(painted.max(-1, keepdims=True), 255)
    if order == 'bgr':
        painted = painted[..., ::-1]
    result = image.copy()
    result[y : y + height, x : x + width] = np.round(part + (painted - part) * share)
    return result


def eight_bit(image: np.ndarray) -> np.ndarray:
    """Return an image of uint8 or uint16 values as uint8."""
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=255 / 65535)


def to_byte(luma: np.ndarray) -> np.ndarray:
    """Return H x W uint8 of luminance in [0, 1]."""
    return cv2.convertScaleAbs(np.clip(luma, 0, 1), alpha=255)


def in_encoding(pixels: np.ndarray, order: str, encoding: str) -> np.ndarray:
    """Return 8-bit pixels, H x W or H x W x 3 in `order`, as bgr8, rgb8 or mono8."""
    if encoding == 'mono8':
        if pixels.ndim == 2:
            return pixels
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY if order == 'bgr' else cv2.COLOR_RGB2GRAY)
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return pixels if encoding.startswith(order) else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)

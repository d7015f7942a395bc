"""Which images the predictor takes."""

import numpy as np

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.geometry.plausible import LARGEST_SIDE

SMALLEST_SIDE = 32
_DTYPES = {
    'thermal': ('uint8', 'uint16', 'int8', 'int16', 'int32', 'float32', 'float64'),
    'visible': ('uint8', 'uint16'),
}


def check(name: str, image: np.ndarray) -> None:
    """Raise ImageError where the predictor cannot use this 'thermal' or 'visible' image."""
    cause, problem = _problem(name, image)
    if problem:
        raise ImageError(cause, f'{name} image {problem}', name)


def _problem(name: str, image: np.ndarray) -> tuple[str, str]:
    """Return cause and text of what is wrong with an image; both are empty where nothing is."""
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        return 'layout', f'has shape {image.shape}; expected H x W or H x W x 3'
    if image.dtype.name not in _DTYPES[name]:
        return 'layout', f'is {image.dtype}; expected one of {", ".join(_DTYPES[name])}'
    if name == 'thermal' and image.ndim == 3 and image.dtype != np.uint8:
        return 'layout', f'is {image.dtype}; a colour thermal image must be uint8'
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        return 'too_small', f'is {width}x{height}; at least {SMALLEST_SIDE} a side'
    if max(height, width) > LARGEST_SIDE:
        return 'too_large', f'is {width}x{height}; at most {LARGEST_SIDE} a side'
    return '', ''

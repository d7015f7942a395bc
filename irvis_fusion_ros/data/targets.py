"""Files of boxes around people and other targets in thermal images, and the warm part of a box."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import json_file

Box = Sequence[float]


def load(file: Path) -> dict[str, list[Box]]:
    """
    Read a targets file: {"PAIR NAME": [[x1, y1, x2, y2], ...]}, thermal pixels.

    Raises FileError, with what was expected and found, for anything else.
    """
    expected = 'expected {"PAIR NAME": [[x1, y1, x2, y2], ...]} in thermal pixels'
    content = json_file.read(file, 'targets file')
    if not isinstance(content, dict) or not content:
        raise FileError(f'{file}: {expected}, found {_kind(content)}')
    for name, boxes in content.items():
        if not isinstance(boxes, list):
            raise FileError(f"{file}: {expected}; '{name}' has {_kind(boxes)}")
        for box in boxes:
            if not _is_box(box):
                raise FileError(f"{file}: {expected} with x1 < x2 and y1 < y2; '{name}' has {box!r}")
    return content


def warm_part(crop: np.ndarray) -> np.ndarray:
    """Return what of the thermal pixels in a box is warm, by Otsu's threshold, uint8 0/255."""
    low, high = float(crop.min()), float(crop.max())
    if high <= low:
        return np.full(crop.shape, 255, np.uint8)
    levels = np.round((crop.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)
    return cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]


def whole_pixels(box: Box, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the whole pixels of a box inside an image, at least one: x1, y1, x2, y2."""
    height, width = shape
    x1, y1 = (
        min(max(int(np.floor(v)), 0), size - 1) for v, size in zip(box[:2], (width, height), strict=True)
    )
    x2, y2 = (min(int(np.ceil(v)), size) for v, size in zip(box[2:], (width, height), strict=True))
    return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)


def _is_box(box: object) -> bool:
    numbers = isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)
    return numbers and bool(np.isfinite(box).all()) and box[0] < box[2] and box[1] < box[3]


def _kind(content: object) -> str:
    return f'{type(content).__name__} {str(content)[:40]}'

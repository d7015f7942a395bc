"""
Whether the people (or other targets) that a thermal image shows are seen in a picture of the same scene.

A target is a box in thermal pixels. Its mask is its warm part (Otsu's threshold inside the box), its ring the
box widened by half its width, at least 6 px, without the mask and 2 px around it; both are carried to the
visible grid by the deformation that registered the thermal image. Pictures are H x W float, 0 to 255.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import warp

# The ring around a box, as a share of the box's width and in thermal pixels, and what is left out of it.
WIDENED, NARROWEST, GAP = 0.5, 6, 2
# A target is kept at this share of its thermal contrast, these gray levels, and this area under the curve.
SHARE, LEVELS, SEPARABLE = 0.5, 15.0, 0.8
# Percentiles between which a thermal image is stretched, so that pictures of any gain are compared.
STRETCHED = (0.5, 99.5)

Box = Sequence[float]


@dataclass(frozen=True)
class Region:
    """Where a target is on the visible grid, H x W bool. mask: its warm part; ring: what surrounds it."""

    mask: np.ndarray
    ring: np.ndarray

    @property
    def shown(self) -> bool:
        """Whether both have pixels in the picture."""
        return bool(self.mask.any() and self.ring.any())


def load(file: Path) -> dict[str, list[Box]]:
    """
    Read a targets file: {"PAIR NAME": [[x1, y1, x2, y2], ...]}, thermal pixels.

    Raises FileError, with what was expected and found, for anything else.
    """
    expected = 'expected {"PAIR NAME": [[x1, y1, x2, y2], ...]} in thermal pixels'
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise FileError(f'{file}: {expected} ({error})') from error
    if not isinstance(content, dict) or not content:
        raise FileError(f'{file}: {expected}, found {_kind(content)}')
    for name, boxes in content.items():
        if not isinstance(boxes, list):
            raise FileError(f"{file}: {expected}; '{name}' has {_kind(boxes)}")
        for box in boxes:
            if not _is_box(box):
                raise FileError(f"{file}: {expected} with x1 < x2 and y1 < y2; '{name}' has {box!r}")
    return content


def check(boxes: Sequence[Box], shape: tuple[int, ...], name: str) -> None:
    """Raise FileError, with box and size, for a box that does not touch a thermal image of `shape`."""
    height, width = shape[:2]
    for box in boxes:
        x1, y1, x2, y2 = box
        if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
            raise FileError(
                f"pair '{name}': target {list(box)} lies outside its thermal image of {width}x{height}"
            )


def stretched(thermal: np.ndarray, shown: np.ndarray | None = None) -> np.ndarray:
    """Return a thermal image, H x W of any depth, between its percentiles as 0 to 255; shown: what counts."""
    values = thermal.astype(np.float32)
    low, high = np.percentile(values if shown is None else values[shown], STRETCHED)
    return np.clip((values - low) * np.float32(255 / max(high - low, 1e-6)), 0, 255)


def region(box: Box, thermal: np.ndarray, deformation: np.ndarray) -> Region:
    """
    Return where a target lies on the visible grid.

    thermal: H x W as recorded. deformation: H x W x 2 pixels of the visible grid (geometry/warp.py); NaN
    where the thermal image shows nothing.
    """
    height, width = thermal.shape
    x1, y1, x2, y2 = _clipped(box, (height, width))
    widened = max(NARROWEST, round(WIDENED * (box[2] - box[0])))
    mask = np.zeros((height, width), np.uint8)
    mask[y1:y2, x1:x2] = _warm(thermal[y1:y2, x1:x2])
    ring = np.zeros_like(mask)
    ring[max(y1 - widened, 0) : y2 + widened, max(x1 - widened, 0) : x2 + widened] = 255
    ring[cv2.dilate(mask, np.ones((2 * GAP + 1, 2 * GAP + 1), np.uint8)) > 0] = 0
    points = warp.sampling_map(deformation, thermal.shape)
    inside = warp.inside(points, thermal.shape)
    return Region(*((warp.sample(image, points) > 127) & inside for image in (mask, ring)))


def placed(box: Box, thermal_shape: tuple[int, ...], deformation: np.ndarray) -> Box | None:
    """Return the box around what shows a target on the visible grid, x1 y1 x2 y2, None where nothing does."""
    points = warp.sampling_map(deformation, thermal_shape)
    x, y = points[..., 0], points[..., 1]
    within = (x >= box[0]) & (y >= box[1]) & (x < box[2]) & (y < box[3])
    left, top, width, height = cv2.boundingRect(within.astype(np.uint8))
    return (left, top, left + width, top + height) if width and height else None


def contrast(picture: np.ndarray, region: Region) -> float:
    """Return by how many gray levels mask and ring differ in the mean; more is a brighter target."""
    return float(picture[region.mask].mean() - picture[region.ring].mean())


def separability(picture: np.ndarray, region: Region) -> float:
    """Return the area under the ROC curve that tells mask from ring by brightness, either sign, [0.5, 1]."""
    mask, ring = (np.sort(picture[part].astype(np.float32)) for part in (region.mask, region.ring))
    below = np.searchsorted(ring, mask, 'left') + np.searchsorted(ring, mask, 'right')
    area = float(below.mean()) / (2 * ring.size)
    return max(area, 1 - area)


def kept(picture: np.ndarray, thermal: np.ndarray, region: Region) -> bool:
    """
    Say whether a picture keeps a target that the registered thermal image shows.

    thermal: `stretched`. The thermal image itself keeps what it shows by LEVELS and separably.
    """
    found, needed = abs(contrast(picture, region)), SHARE * abs(contrast(thermal, region))
    return found >= max(needed, LEVELS) and separability(picture, region) >= SEPARABLE


def _warm(crop: np.ndarray) -> np.ndarray:
    low, high = float(crop.min()), float(crop.max())
    if high <= low:
        return np.full(crop.shape, 255, np.uint8)
    levels = np.round((crop.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)
    return cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]


def _clipped(box: Box, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The whole pixels of a box inside an image, at least one."""
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

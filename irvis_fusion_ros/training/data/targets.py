"""
Thermal images with boxes around their targets, as `targets` learns from them.

Images are small: what the network sees. Of each target the warm part is known; images without boxes are
ground that targets are laid on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.data import datasets, terms
from irvis_fusion_ros.data import targets as boxes_of
from irvis_fusion_ros.data.targets import Box
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig

# Shorter side of an image, pixels: crops of it are reduced further.
SIDE = 256
# Pixels around a box that belong to it: labels end somewhere there.
AROUND = 2


@dataclass(frozen=True)
class TargetItem:
    """
    One thermal image, H x W.

    name: SET/PAIR. part: 'train' or 'val'. thermal: uint16, between its percentiles. targets: uint8, the
    number of the target whose warm part a pixel is of, or 0. near: uint8 0/1, the boxes and what is close to
    them.
    """

    name: str
    part: str
    thermal: np.ndarray
    targets: np.ndarray
    near: np.ndarray

    @property
    def images(self) -> tuple[np.ndarray, ...]:
        """The images, which identify the item."""
        return self.thermal, self.targets


def collect(
    folders: Sequence[Path],
    files: Sequence[Path],
    ground: Sequence[str],
    accepted: frozenset[str] = frozenset(),
) -> tuple[list[TargetItem], list[str]]:
    """
    Return the items of data sets, and a line for each set that is left out.

    files: boxes, SET.json for the data set SET (data/targets.py). ground: images without a target, SET/PAIR
    or SET for all of a data set. accepted: names of sets that are used although terms.KNOWN refuses them.
    Raises FileError for what cannot be used.
    """
    sets, remarks = terms.expand([Path(folder) for folder in folders], accepted, aligned=False)
    known = {Path(file).stem: boxes_of.load(file) for file in files}
    items: list[TargetItem] = []
    for folder in sets:
        boxes = known.get(folder.name, {})
        empty = {name for name in ground if name.split('/')[0] == folder.name}
        pairs = datasets.recorded(folder) if boxes or empty else []
        missing = empty - {folder.name} - {f'{folder.name}/{pair.name}' for pair in pairs}
        if missing:
            raise FileError(f"ground: '{min(missing)}' is no image of {folder}")
        for pair in pairs:
            name = f'{folder.name}/{pair.name}'
            if pair.name in boxes or not empty.isdisjoint((name, folder.name)):
                thermal, _ = datasets.read(pair, aligned=False)
                items.append(item(name, pair.part, thermal, boxes.get(pair.name, [])))
    if not any(each.targets.any() for each in items):
        raise FileError(f'no boxes of {", ".join(map(str, folders))}: name SET.json of its sets by --targets')
    return items, remarks


def item(name: str, part: str, thermal: np.ndarray, boxes: Sequence[Box]) -> TargetItem:
    """Return the item of a thermal image, H x W of any depth, with boxes in its pixels."""
    height, width = thermal.shape
    targets, near = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    for number, box in enumerate(boxes, 1):
        x1, y1, x2, y2 = boxes_of.whole_pixels(box, (height, width))
        hull = _hull(boxes_of.warm_part(thermal[y1:y2, x1:x2]))
        targets[y1:y2, x1:x2][hull > 0] = number
        near[max(0, y1 - AROUND) : y2 + AROUND, max(0, x1 - AROUND) : x2 + AROUND] = 1
    tone = ThermalTone(ToneConfig(normalisation='percentile'))
    tone.update(thermal)
    scale = SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(tone.apply(thermal), size, interpolation=how)
    targets, near = (cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in (targets, near))
    return TargetItem(name, part, np.round(small * 65535).astype(np.uint16), targets, near)


def _hull(warm: np.ndarray) -> np.ndarray:
    """Return the convex hull of what is warm in a box, uint8: people have cold clothes, too."""
    if min(warm.shape) > 12:
        warm = cv2.morphologyEx(warm, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    points = cv2.findNonZero(warm)
    if points is None:
        return np.full_like(warm, 255)
    return cv2.fillConvexPoly(np.zeros_like(warm), cv2.convexHull(points), 255)

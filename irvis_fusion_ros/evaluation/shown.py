"""Pairs as a method gets them, whatever is known of their alignment: a warp, boxes, or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.data import datasets, protocols
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation import believed, boxes
from irvis_fusion_ros.evaluation.metrics import registration
from irvis_fusion_ros.evaluation.metrics.registration import Registration, extrapolate
from irvis_fusion_ros.evaluation.runner import cases
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.random_warp import KnownWarp
from irvis_fusion_ros.predictor import FusionResult

# How wide an image errors are meant for, and how many times as large they may be where boxes tell them.
WIDE, OF_BOXES = 640, 2
# The protocol of pairs of two scenes.
CROSSED = 'crossed'


@dataclass(frozen=True)
class Shown:
    """One pair as a method gets it. known: how the thermal image was moved, or boxes, or None if crossed."""

    data: str
    protocol: str
    name: str
    thermal: np.ndarray
    visible: np.ndarray
    known: KnownWarp | tuple[np.ndarray, np.ndarray] | None

    def error(self, result: FusionResult) -> float | None:
        """Return the mean error of a registration, pixels, or None where nothing is right."""
        if self.known is None:
            return None
        field = extrapolate(Registration(result.deformation, result.transform))
        if isinstance(self.known, tuple):
            return boxes.score(self.known, field, self.thermal.shape)['endpoint_error']
        return float(registration.endpoint_errors(self.known, field)[self.known.truth()[1]].mean())

    @property
    def wrong(self) -> float:
        """The error above which a proposal is wrong, pixels as `error` measures them."""
        if isinstance(self.known, tuple):
            return believed.WRONG * OF_BOXES
        return believed.WRONG * self.visible.shape[1] / WIDE


def shown(
    folder: Path, protocol: str, part: str = 'all', limit: int | None = None, crossed: bool = False
) -> Iterator[Shown]:
    """
    Yield the pairs of a data set under a protocol; part and limit: see datasets.select.

    crossed: each with the thermal image of a pair half the set away instead, whatever the protocol moves.
    """
    data = folder.resolve().name
    pairs = (datasets.natural if protocol == protocols.NATURAL else datasets.aligned)(folder)
    pairs = datasets.select(pairs, part, limit)
    for index, pair in enumerate(pairs):
        if crossed:
            thermal, _ = datasets.read(pairs[index - len(pairs) // 2], aligned=False)
            yield Shown(data, CROSSED, pair.name, thermal, datasets.read(pair, aligned=False)[1], None)
        elif pair.boxes is not None:
            yield Shown(data, protocol, pair.name, *datasets.read(pair, aligned=False), pair.boxes)
        else:
            for case in cases(pair, protocol):
                name = f'{pair.name} {case.warp}'
                yield Shown(data, protocol, name, case.thermal, case.visible, case.known)


def resized(pair: Shown, size: tuple[int, int]) -> Shown:
    """
    Return a pair with both images in another size, width and height.

    Raises FileError for a pair of which boxes or an elastic warp are known.
    """
    known = pair.known
    if isinstance(known, tuple) or (known is not None and known.elastic is not None):
        raise FileError(f"pair '{pair.name}': only pairs with a homography can change their size")
    thermal, visible = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (pair.thermal, pair.visible)
    )
    if known is not None:
        # T maps visible to stretched thermal pixels: both are of the visible image
        scaled = transform.resize_transform(known.shape, visible.shape[:2])
        known = KnownWarp(visible.shape[:2], scaled @ known.matrix @ np.linalg.inv(scaled))
    return replace(pair, thermal=thermal, visible=visible, known=known)

"""Runs a detector on pictures of any size: fits them to it, tiles large ones, joins what is found."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.backends import onnx
from irvis_fusion_ros.detection import boxes as box_tools
from irvis_fusion_ros.detection import decoding, description
from irvis_fusion_ros.errors import FileError

# Share by which tiles overlap, so that what lies on an edge is whole in one of them.
SHARED = 0.25
# What a letterbox is filled with.
GRAY = 114
# Best boxes that are looked at before overlapping ones are joined.
MOST = 1000


@dataclass(frozen=True)
class Detections:
    """boxes: N x 4 float32, x1 y1 x2 y2 in pixels of the picture. scores: N float32. names: N class names."""

    boxes: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)


class Detector:
    """
    A detector as its YAML file describes it (description.py).

    device: 'cpu' or 'cuda:N'. Raises FileError, with what was expected and found, for files that do not fit.
    """

    def __init__(self, file: Path, device: str = 'cpu'):
        self._file = file
        self.description = description.read(file)
        self._session = onnx.open_session(self.description.model, device)
        self._check()

    def __call__(self, picture: np.ndarray, least: float | None = None) -> Detections:
        """
        Return what is found in a picture, H x W or H x W x 3 BGR uint8.

        least: score from which on, instead of that of the description.
        """
        if picture.ndim == 2:
            picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        least = self.description.score if least is None else least
        found = [
            self._find(picture[y : y + h, x : x + w], least, x, y) for x, y, w, h in self._parts(picture)
        ]
        boxes, scores, classes = (np.concatenate(each) for each in zip(*found, strict=True))
        kept = box_tools.best(boxes, scores, classes, self.description.overlap)
        names = self.description.classes
        return Detections(boxes[kept], scores[kept], tuple(names[index] for index in classes[kept]))

    def _check(self) -> None:
        """Run once on nothing: a description that does not fit is said before the first picture comes."""
        width, height = self.description.size
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        fixed = [wanted for wanted in shape if isinstance(wanted, int)]
        fits = len(shape) == 4 and all(
            not isinstance(wanted, int) or wanted == given
            for wanted, given in zip(shape, (1, 3, height, width), strict=True)
        )
        if len(inputs) != 1 or not fits or not fixed:
            takes = ', '.join(' x '.join(map(str, each.shape)) for each in inputs)
            raise FileError(
                f'{self.description.model}: expected one input of 1 x 3 x {height} x {width} (size in '
                f'{self._file}), found {takes}'
            )
        try:
            self._find(np.zeros((height, width, 3), np.uint8), 0.5, 0, 0)
        except ValueError as error:
            raise FileError(f'{self._file}: {error}') from error

    def _parts(self, picture: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """Yield the whole picture and its tiles, if it has any: x, y, width, height."""
        height, width = picture.shape[:2]
        yield 0, 0, width, height
        side = self.description.tile
        if side and max(height, width) > side:
            for y in _starts(height, side):
                for x in _starts(width, side):
                    yield x, y, min(side, width), min(side, height)

    def _find(self, part: np.ndarray, least: float, left: int, top: int) -> tuple[np.ndarray, ...]:
        fitted, scale, margin = self._fitted(part)
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: fitted})
        boxes, scores = decoding.decode(outputs, self.description)
        reported = self.description.report or self.description.classes
        wanted = np.array([self.description.classes.index(name) for name in reported])
        scores = scores[:, wanted]
        classes, best = wanted[scores.argmax(1)], scores.max(1)
        kept = np.flatnonzero(best >= least)
        kept = kept[np.argsort(-best[kept], kind='stable')[:MOST]]
        placed = (boxes[kept] - np.float32([*margin, *margin])) / np.float32([*scale, *scale])
        height, width = part.shape[:2]
        placed = np.clip(placed, 0, np.float32([width, height, width, height]))
        placed += np.float32([left, top, left, top])
        return placed, best[kept].astype(np.float32), classes[kept]

    def _fitted(self, part: np.ndarray) -> tuple[np.ndarray, tuple[float, float], tuple[float, float]]:
        """Return what the network takes, its pixels by the picture's along x and y, and the margins."""
        want, (height, width) = self.description, part.shape[:2]
        scale = want.size[0] / width, want.size[1] / height
        margin = (0.0, 0.0)
        if want.fit == 'letterbox':
            scale = (min(scale),) * 2
        size = tuple(
            max(1, round(side * factor)) for side, factor in zip((width, height), scale, strict=True)
        )
        shrinks = size[0] < width
        image = cv2.resize(part, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        if want.fit == 'letterbox':
            canvas = np.full((want.size[1], want.size[0], 3), GRAY, np.uint8)
            x, y = (want.size[0] - size[0]) // 2, (want.size[1] - size[1]) // 2
            canvas[y : y + size[1], x : x + size[0]] = image
            image, margin = canvas, (float(x), float(y))
        if want.colour == 'rgb':
            image = image[..., ::-1]
        values = (image.astype(np.float32) - np.float32(want.mean)) / np.float32(want.std)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None]), scale, margin


def only(detections: Detections, least: float) -> Detections:
    """Return those with at least this score."""
    kept = np.flatnonzero(detections.scores >= least)
    return replace(
        detections,
        boxes=detections.boxes[kept],
        scores=detections.scores[kept],
        names=tuple(detections.names[index] for index in kept),
    )


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / (side * (1 - SHARED)))) + 1
    return [round(start) for start in np.linspace(0, length - side, count)]

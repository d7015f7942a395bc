"""
Reads boxes from what detectors give: NanoDet, and exports of YOLOv5 and YOLOv8 (YOLO11 is laid out alike).

Each reader takes the outputs of one picture and returns boxes N x 4 float32 in pixels of the network's input,
and scores N x classes float32. It raises ValueError, with what was expected and found, for other outputs.
"""

from collections.abc import Sequence

import numpy as np

from irvis_fusion_ros.detection.description import Description


def decode(outputs: Sequence[np.ndarray], description: Description) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores as the description says that they are laid out."""
    return _READERS[description.output](outputs, description)


def _nanodet(outputs: Sequence[np.ndarray], description: Description) -> tuple[np.ndarray, np.ndarray]:
    """Scores and distances of each stride apart; distances are softmax expectations over bins of a stride."""
    width, height = description.size
    boxes, scores = [], []
    for stride in description.strides:
        columns, rows = -(-width // stride), -(-height // stride)
        here = [each.reshape(each.shape[-2:]) for each in outputs if each.shape[-2] == columns * rows]
        given = next((each for each in here if each.shape[1] == len(description.classes)), None)
        sides = next((each for each in here if each is not given and each.shape[1] % 4 == 0), None)
        if given is None or sides is None:
            raise ValueError(
                f'expected scores {columns * rows} x {len(description.classes)} and distances '
                f'{columns * rows} x 4 times bins for stride {stride}, found {_shapes(outputs)}'
            )
        y, x = (np.indices((rows, columns)).reshape(2, -1) + 0.5) * stride
        left, top, right, bottom = _expected(sides).T * stride
        boxes.append(np.stack([x - left, y - top, x + right, y + bottom], 1))
        scores.append(_probability(given))
    return np.concatenate(boxes).astype(np.float32), np.concatenate(scores)


def _yolov5(outputs: Sequence[np.ndarray], description: Description) -> tuple[np.ndarray, np.ndarray]:
    """One output, N x (centre, size, whether there is anything, scores of classes)."""
    rows = _rows(outputs, 5 + len(description.classes))
    return _corners(rows[:, :4]), rows[:, 5:] * rows[:, 4:5]


def _yolov8(outputs: Sequence[np.ndarray], description: Description) -> tuple[np.ndarray, np.ndarray]:
    """One output, (centre, size, scores of classes) x N."""
    rows = _rows(outputs, 4 + len(description.classes))
    return _corners(rows[:, :4]), rows[:, 4:]


_READERS = {'nanodet': _nanodet, 'yolov5': _yolov5, 'yolov8': _yolov8, 'yolo11': _yolov8}


def _rows(outputs: Sequence[np.ndarray], columns: int) -> np.ndarray:
    for output in outputs:
        if output.ndim == 3 and output.shape[0] == 1 and columns in output.shape[1:]:
            # of both orders the one with fewer columns than boxes is meant where both could be
            return output[0] if output.shape[2] == columns else output[0].T
    raise ValueError(f'expected an output of {columns} values a box, found {_shapes(outputs)}')


def _corners(centred: np.ndarray) -> np.ndarray:
    centre, half = centred[:, :2], centred[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def _expected(sides: np.ndarray) -> np.ndarray:
    bins = sides.reshape(len(sides), 4, -1)
    weight = np.exp(bins - bins.max(-1, keepdims=True))
    return (weight * np.arange(bins.shape[-1])).sum(-1) / weight.sum(-1)


def _probability(scores: np.ndarray) -> np.ndarray:
    if scores.size and (scores.min() < 0 or scores.max() > 1):
        return 1 / (1 + np.exp(-scores))
    return scores


def _shapes(outputs: Sequence[np.ndarray]) -> str:
    return ', '.join(' x '.join(map(str, each.shape)) for each in outputs) or 'none'

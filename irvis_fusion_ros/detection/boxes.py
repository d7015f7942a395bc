"""Boxes [x1, y1, x2, y2] in pixels, N x 4 float32: their overlap, and the best of those that overlap."""

import numpy as np


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each of N boxes with each of M, N x M."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    opposite = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(opposite - corner, 0, None).prod(-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1) for boxes in (first, second)]
    return common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-9)


def best(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, most: float) -> np.ndarray:
    """
    Return the indices of what is kept, best first, where boxes of one class overlap by more than `most`.

    Greedy non-maximum suppression.
    """
    order = np.argsort(-scores, kind='stable')
    kept: list[int] = []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        same = classes[rest] == classes[first]
        near = overlap(boxes[first : first + 1], boxes[rest])[0] > most
        order = rest[~(same & near)]
    return np.array(kept, int)

"""
The error of a registration where boxes of the same people are all that is known: wisard.

Each camera's boxes were drawn on their own, to some pixels, so their distance is no measure of fractions of a
pixel, but it is free of any alignment that somebody estimated.
"""

from itertools import permutations

import numpy as np

from irvis_fusion_ros.geometry import transform

# Distances are pixels of a visible image this wide, whatever its size, so that sets compare.
WIDE = 960
# More boxes than this are matched by the first of them only: the number of orders explodes.
MOST = 7


def matched(
    thermal: np.ndarray, visible: np.ndarray, thermal_shape: tuple[int, ...], visible_shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the centres of the same people, K x 2 each: stretched thermal pixels, and visible pixels.

    thermal, visible: N x 4 and M x 4 boxes, in any order; a person may have a box in one of them alone. Those
    belong together whose distances differ least from one another: no registration has a say in that.
    """
    from_thermal, in_visible = centres(thermal)[:MOST], centres(visible)[:MOST]
    from_thermal = transform.apply(
        np.linalg.inv(transform.stretch(visible_shape, thermal_shape)), from_thermal
    )
    swapped = len(from_thermal) > len(in_visible)
    few, many = (in_visible, from_thermal) if swapped else (from_thermal, in_visible)

    def spread(order: tuple[int, ...]) -> tuple[float, float]:
        apart = many[list(order)] - few
        return float(np.linalg.norm(apart - apart.mean(0), axis=-1).sum()), float(
            np.linalg.norm(apart.mean(0))
        )

    order = min(permutations(range(len(many)), len(few)), key=spread)
    chosen = many[list(order)]
    return (chosen, few) if swapped else (few, chosen)


def centres(boxes: np.ndarray) -> np.ndarray:
    """Return the centres of N x 4 boxes [x1, y1, x2, y2], N x 2."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def distances(field: np.ndarray, thermal: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """
    Return how far each person's two boxes are apart once registered, K, pixels of an image WIDE wide.

    field: deformation without NaN, H x W x 2. thermal, visible: see `matched`.
    """
    height, width = field.shape[:2]
    at = np.clip(np.rint(visible).astype(int), 0, (width - 1, height - 1))
    registered = visible + field[at[:, 1], at[:, 0]]
    return np.linalg.norm(registered - thermal, axis=-1) * WIDE / width


def score(boxes: tuple[np.ndarray, np.ndarray], field: np.ndarray, thermal_shape: tuple[int, ...]) -> dict:
    """
    Return the measures of one pair, under the names of a pair with a known warp (metrics/registration.py).

    boxes: of the thermal and of the visible image. field: see `distances`. What only a known warp tells is
    None. people: the distance of each.
    """
    people = matched(*boxes, thermal_shape, field.shape)
    left = distances(field, *people)
    before = distances(np.zeros_like(field), *people)
    unknown = (
        'unmoved_error',
        'consistency',
        'offset',
        'ncc',
        'mse',
        'mi',
        'mncc',
        'mmse',
        'missing',
        'shown',
    )
    return {
        'endpoint_error': float(left.mean()),
        'endpoint_error_p95': float(np.percentile(left, 95)),
        'endpoint_error_worst': float(left.max()),
        'identity_error': float(before.mean()),
        'made_worse': bool(left.mean() > before.mean() + 1),
        **dict.fromkeys(unknown),
        'people': left.tolist(),
    }

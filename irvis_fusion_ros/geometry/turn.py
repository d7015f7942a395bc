"""Images of a camera that is mounted upside down or on its side, or that mirrors them, made upright."""

import numpy as np

# By what an image is made upright: clockwise degrees, or left and right swapped.
TURNS = ('90', '180', '270', 'mirror')


def turned(image: np.ndarray, turn: str) -> np.ndarray:
    """Return an image, H x W or H x W x 3, turned by one of TURNS."""
    made = image[:, ::-1] if turn == 'mirror' else np.rot90(image, -int(turn) // 90)
    return np.ascontiguousarray(made)


def to_turned(turn: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the 3x3 from pixels of an image of `shape` to those of the turned image."""
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    rows = {
        '90': ((0, -1, bottom), (1, 0, 0)),
        '180': ((-1, 0, right), (0, -1, bottom)),
        '270': ((0, 1, 0), (-1, 0, right)),
        'mirror': ((-1, 0, right), (0, 1, 0)),
    }
    return np.array([*rows[turn], (0, 0, 1)], np.float64)

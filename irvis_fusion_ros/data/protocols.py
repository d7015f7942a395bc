"""
The misalignment protocols: the known warps that aligned pairs are moved by.

Names are the values of `evaluate --protocol`. Random draws depend on (seed, protocol, pair name) only, so a
result does not change when other pairs are added or left out.
"""

import re
import zlib

import numpy as np

from irvis_fusion_ros.geometry.random_warp import KnownWarp, WarpRange, affine_about_centre, draw

RANGES = {
    'zero': WarpRange(),
    'fr': WarpRange(rotation=2, shift=2, scale=(0.95, 1.08)),
    'elastic_light': WarpRange(rotation=2, shift=4, scale=(0.97, 1.03), elastic=2),
    'elastic_mid': WarpRange(rotation=4, shift=10, scale=(0.92, 1.10), shear=2, elastic=5),
    'elastic_heavy': WarpRange(rotation=10, shift=25, scale=(0.85, 1.2), shear=4, elastic=12),
    'large': WarpRange(rotation=8, shift=40, scale=(0.80, 1.25), shear=2),
}
SHIFTS = ('shift5', 'shift')
# moved(x, y) = thermal(x +- 5, y): the shift that B-SR is scored on
BOTH_WAYS = ((5, 0), (-5, 0))
DILATIONS = (5, 10, 20, 30, 50)
NATURAL = 'natural'
NAMES = (*RANGES, *SHIFTS, *(f'dilate{n}' for n in DILATIONS), NATURAL)


def check(protocol: str) -> None:
    """Raise ValueError, with the valid names, if `protocol` is none of them."""
    if protocol not in NAMES and not re.fullmatch(r'dilate[1-9]\d*', protocol):
        raise ValueError(f"unknown protocol '{protocol}'; valid: {', '.join(NAMES)}")


def warps(protocol: str, shape: tuple[int, int], name: str, seed: int = 0) -> list[KnownWarp]:
    """
    Return the known warps of one aligned pair; `shift5` has two, one for each sign.

    `natural` has none: its pairs were recorded misaligned.
    """
    check(protocol)
    if protocol == NATURAL:
        raise ValueError('the pairs of protocol natural are misaligned as recorded: no warp is drawn')
    shape = shape[:2]
    rng = np.random.default_rng([seed, zlib.crc32(f'{protocol}/{name}'.encode())])
    if protocol in RANGES:
        return [draw(RANGES[protocol], shape, rng)]
    if protocol == 'shift5':
        return [KnownWarp(shape, affine_about_centre(shape, 0, 1, 0, shift)) for shift in BOTH_WAYS]
    if protocol == 'shift':
        return [KnownWarp(shape, affine_about_centre(shape, 0, 1, 0, any_direction(rng)))]
    return [_dilation(int(protocol.removeprefix('dilate')), shape)]


def any_direction(rng: np.random.Generator) -> tuple[float, float]:
    """Draw the shift (dx, dy) of protocol `shift`, pixels."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, 10)
    return (length * np.cos(angle), length * np.sin(angle))


def _dilation(pixels: int, shape: tuple[int, int]) -> KnownWarp:
    """Return the warp that enlarges thermal by `pixels` per axis and crops it about its centre (B-SR)."""
    matrix = np.eye(3)
    for axis, size in ((0, shape[1]), (1, shape[0])):
        scale = size / (size + pixels)
        matrix[axis, axis], matrix[axis, 2] = scale, (size - 1) / 2 * (1 - scale)
    return KnownWarp(shape, matrix)

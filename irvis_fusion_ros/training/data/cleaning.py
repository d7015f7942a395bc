"""
Labels made by registration: roughly aligned or unaligned pairs are aligned, and then used for training.

The alignment of one preset is accepted if a second preset, which works differently, finds the same.
"""

import numpy as np

from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.predictor import FusionResult, Predictor

PRESET, SECOND_PRESET = 'swift_lite', 'busref'
# Mean distance up to which the two alignments agree, as a share of the width: 3 of 640 pixels.
AGREED = 0.005
# Least share of the visible image that both cameras must show.
SHOWN = 0.15


class CleaningError(Exception):
    """A pair cannot be aligned; the message says why."""


class Cleaner:
    """Aligns pairs independently of each other. device: see Predictor."""

    def __init__(self, device: str = 'auto'):
        self._predictors = [Predictor(name, device, temporal=False) for name in (PRESET, SECOND_PRESET)]

    def __call__(self, thermal: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
        """
        Return the deformation that aligns a pair, see geometry.warp, and the region that both images show.

        thermal, visible: as for Predictor. The region is a rectangle of the visible image, rows and columns.
        Raises CleaningError if the pair cannot be aligned, ImageError for images that cannot be used.
        """
        found, second = (
            predict(thermal, visible, outputs=frozenset({'deformation'})) for predict in self._predictors
        )
        for name, result in zip((PRESET, SECOND_PRESET), (found, second), strict=True):
            if result.source != 'search':
                raise CleaningError(f'{name} finds nothing')
        apart = _distance(found, second) / visible.shape[1]
        if not apart <= AGREED:
            raise CleaningError(f'{PRESET} and {SECOND_PRESET} are {apart:.1%} of the width apart')
        part = common_region(found.deformation, thermal.shape)
        rows, columns = (side.stop - side.start for side in part)
        if rows * columns < SHOWN * visible.shape[0] * visible.shape[1]:
            raise CleaningError('both cameras see too little of the same')
        return found.deformation, part


def _distance(a: FusionResult, b: FusionResult) -> float:
    """Return the mean distance of two deformations where both are defined, pixels; NaN if nowhere."""
    distance = np.linalg.norm(a.deformation - b.deformation, axis=-1)
    known = distance[np.isfinite(distance)]
    return float(known.mean()) if known.size else float('nan')


def common_region(deformation: np.ndarray, thermal_shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return a large rectangle that the thermal image covers, by cropping the emptiest edge repeatedly."""
    valid = warp.inside(warp.sampling_map(deformation, thermal_shape), thermal_shape)
    top, bottom, left, right = 0, valid.shape[0], 0, valid.shape[1]
    while top < bottom and left < right:
        part = valid[top:bottom, left:right]
        share = [part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean()]
        worst = int(np.argmin(share))
        if share[worst] == 1:
            break
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return slice(top, bottom), slice(left, right)

"""
Finds the parallax of a rig: the one direction along which distance moves what the thermal camera sees.

The differences of frames from their rig, and of regions from their frame, spread along it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.calibration import Parallax
from irvis_fusion_ros.rig.refine import Refined


@dataclass(frozen=True)
class ParallaxConfig:
    """
    least: spread along the parallax that is still seen, in shares of the visible width (sigma). distinct: how
    many times the spread across it. same: cosine of the angle between the directions of two halves. reach:
    percentiles of what was seen that make the range, and by how much of itself it is widened.
    """

    least: float = 0.0008
    distinct: float = 1.6
    same: float = 0.94
    reach: tuple[float, float] = (1.0, 99.0)
    widened: float = 0.15


def find(
    pairs: Sequence[Refined], width: int, config: ParallaxConfig = ParallaxConfig()
) -> tuple[Parallax | None, np.ndarray]:
    """
    Return the parallax, in pixels of the images that are kept, and the shift of each pair that is left.

    pairs: those that agree with the rig, whose differences were fitted without a parallax. width: of the
    visible images. One frame that is off makes no parallax: both halves of the pairs have to show it.
    """
    shifts = np.array([pair.numbers[:2] for pair in pairs])
    found = _Spread(pairs)
    halves = [_Spread(pairs[part::2]) for part in (0, 1)] if len(pairs) > 5 else []
    turned = [abs(float(half.direction @ found.direction)) for half in halves]
    if (
        not halves
        or min(turned) < config.same
        or not all(
            each.along > max(config.least * width, config.distinct * each.across) for each in (found, *halves)
        )
    ):
        return None, shifts
    low, high = found.reach(config.reach)
    wider = config.widened * (high - low)
    direction = found.direction
    left = shifts - np.outer(shifts @ direction, direction)
    return Parallax((float(direction[0]), float(direction[1])), (low - wider, high + wider)), left


def regions(pairs: Sequence[Refined]) -> float:
    """Return how much regions differ from their frame, from frame to frame: sigma, pixels."""
    regional, seen = _fields(pairs)
    moved = regional - usual(pairs)
    return float(np.sqrt((seen[..., None] * moved**2).sum() / max(2 * float(seen.sum()), 1e-9)))


class _Spread:
    """How frames and regions are spread about their rig. along, across: sigmas; direction: unit vector."""

    def __init__(self, pairs: Sequence[Refined]):
        shifts = np.array([pair.numbers[:2] for pair in pairs])
        regional, seen = _fields(pairs)
        moved = shifts[:, None] + regional - usual(pairs)
        self._weight = seen / max(float(seen.sum()), 1e-9)
        moved = moved - np.einsum('fk,fka->a', self._weight, moved)
        spread = np.einsum('fk,fka,fkb->ab', self._weight, moved, moved)
        values, vectors = np.linalg.eigh(spread)
        self.across, self.along = np.sqrt(np.maximum(values, 0))
        self.direction = vectors[:, 1]
        self._values = moved @ self.direction
        # near things are few and stand out
        if (self._weight * self._values**3).sum() < 0:
            self.direction, self._values = -self.direction, -self._values

    def reach(self, percentiles: tuple[float, float]) -> tuple[float, float]:
        """Return percentiles of what was seen along the direction."""
        order = np.argsort(self._values.ravel())
        share = np.cumsum(self._weight.ravel()[order])
        low, high = np.interp(np.array(percentiles) / 100, share, self._values.ravel()[order])
        return float(low), float(high)


def usual(pairs: Sequence[Refined]) -> np.ndarray:
    """Return what regions differ by in every frame alike, K x 2 pixels, which is none of the distance."""
    regional, seen = _fields(pairs)
    return (regional * seen[..., None]).sum(0) / np.maximum(seen.sum(0), 1e-9)[:, None]


def _fields(pairs: Sequence[Refined]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([pair.regional for pair in pairs]), np.array([pair.seen for pair in pairs])

"""
How far apart the exposures of pairs are, from how they are shifted while the camera moves.

Where the image moves, a thermal image that was taken later is shifted by the speed times the time between.
This is finer than the comparison of both motions (clock.py), which says where to begin.
"""

from collections.abc import Sequence

import numpy as np

from irvis_fusion_ros.calibration import ClockOffset, Parallax
from irvis_fusion_ros.rig.motion import Motion, speeds
from irvis_fusion_ros.rig.refine import Refined
from irvis_fusion_ros.rig.views import View

# Pairs without which nothing is told.
LEAST = 12
# Sigmas by which it may differ from what the comparison of both motions says.
ALIKE = 4.0


def sharpened(
    offset: ClockOffset,
    views: Sequence[View],
    pairs: Sequence[Refined],
    motion: Motion,
    along: Parallax | None,
) -> ClockOffset:
    """
    Return the offset, better known.

    views, pairs: those that agree with the rig. motion: of the visible camera. along: the parallax, which
    shifts frames, too, so that only shifts across it count.
    """
    known = [i for i, each in enumerate(views) if each.gap is not None]
    if len(known) < LEAST:
        return offset
    width = views[0].visible.shape[1]
    speed, seen = speeds(motion, np.array([views[i].stamp for i in known]), width)
    gap = np.array([views[i].gap for i in known]) + offset.seconds
    numbers = np.array([pairs[i].numbers[:3] for i in known])
    # shifts in x and y, or across the parallax alone, and the turn
    axes = np.eye(3)
    if along is not None:
        ux, uy = along.direction
        axes = np.array([[-uy, ux, 0], [0, 0, 1.0]])
    numerator = denominator = 0.0
    parts = []
    for axis in axes:
        found = _slope((speed @ axis)[seen], (numbers @ axis)[seen], gap[seen])
        if found is not None:
            parts.append(found)
            numerator += found[0] / found[1] ** 2
            denominator += 1 / found[1] ** 2
    if not parts:
        return offset
    own = numerator / denominator
    own_error = max(denominator**-0.5, 2e-4)
    if abs(own) > ALIKE * np.hypot(own_error, offset.error):
        # one of the two is wrong, and nothing says which
        return ClockOffset(offset.seconds, float(np.hypot(offset.error, own)))
    weight = offset.error**2 / (offset.error**2 + own_error**2)
    error = (1 / (1 / offset.error**2 + 1 / own_error**2)) ** 0.5
    return ClockOffset(float(offset.seconds + weight * own), float(error))


def _slope(speed: np.ndarray, shift: np.ndarray, gap: np.ndarray) -> tuple[float, float] | None:
    """Return the seconds by which exposures are apart beyond `gap`, and the error, or None if too still."""
    shift = shift - speed * gap
    if len(speed) < LEAST or speed.std() < 1e-6:
        return None
    # a slow drift of both, as of a climb, is not what is measured
    model = np.stack([np.ones_like(speed), speed], -1)
    weight = np.ones_like(speed)
    for _ in range(8):
        found = np.linalg.lstsq(model * weight[:, None], shift * weight, rcond=None)[0]
        error = shift - model @ found
        scale = max(1.48 * float(np.median(np.abs(error))), 1e-6)
        weight = 1 / np.sqrt(1 + (error / (2 * scale)) ** 2)
    moved = (speed - np.average(speed, weights=weight)) * weight
    return float(found[1]), float(2 * scale / max(np.linalg.norm(moved), 1e-9))

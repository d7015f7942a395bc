"""The plots of the report of a calibration."""

from collections.abc import Sequence

import numpy as np

from irvis_fusion_ros.rig.clock import ClockCurve
from irvis_fusion_ros.rig.estimate import Residuals
from irvis_fusion_ros.rig.svg import BLUE, GREEN, GREY, LEFT, ORANGE, RED, RIGHT, WIDTH, Plot

# Cells of the image across, and how much longer than the residual the longest arrow is drawn, in cells.
CELLS, ARROW = 10, 0.8


def clock(curve: ClockCurve) -> str:
    """Return how alike both cameras move at every offset, with the one found."""
    milliseconds = 1e3 * np.asarray(curve.lags)
    plot = Plot(
        'added to thermal stamps, ms',
        'agreement',
        (milliseconds.min(), milliseconds.max()),
        (min(0.0, float(np.min(curve.agreement))), 1.0),
    )
    plot.line(milliseconds, np.asarray(curve.agreement))
    if curve.offset is not None:
        found, error = 1e3 * curve.offset.seconds, 1e3 * curve.offset.error
        plot.mark(found, f'{found:.1f} ms, standard error {error:.1f} ms')
    return plot.svg()


def over_time(residuals: Sequence[Residuals]) -> str:
    """Return what each pair differs from the rig by: the median over its places, and nine in ten."""
    times = _times(residuals)
    middle, most = (np.array([_size(each, share) for each in residuals]) for share in (0.5, 0.9))
    sure = np.array([each.agrees for each in residuals])
    known = np.concatenate([middle, most])
    top = float(np.nanmax(known)) if np.isfinite(known).any() else 1.0
    plot = Plot('seconds', 'residual, px', (times.min(), times.max()), (0.0, 1.15 * top))
    plot.dots(times[sure], most[sure], ORANGE, 'nine in ten places')
    plot.dots(times[sure], middle[sure], BLUE, 'median')
    if not sure.all():
        plot.dots(times[~sure], middle[~sure], GREY, 'pairs that do not agree')
    return plot.svg()


def nearness(residuals: Sequence[Residuals]) -> str:
    """Return the nearness and the shift of each pair that agrees with the rig."""
    times = _times(residuals)
    agrees = np.array([each.agrees for each in residuals])
    residuals, span = [each for each in residuals if each.agrees], (times.min(), times.max())
    times = times[agrees]
    near = np.array([each.nearness for each in residuals])
    shift = np.array([each.shift[:2] for each in residuals])
    every = np.concatenate([near, shift.ravel(), [0.0]])
    room = 0.1 * max(float(np.ptp(every)), 1.0)
    plot = Plot('seconds', 'px', span, (every.min() - room, every.max() + 2 * room))
    plot.dots(times, near, GREEN, 'nearness')
    plot.dots(times, shift[:, 0], BLUE, 'shift in x')
    plot.dots(times, shift[:, 1], ORANGE, 'shift in y')
    return plot.svg()


def over_image(residuals: Sequence[Residuals], shape: tuple[int, int]) -> str:
    """Return the mean residual of the pairs that agree in each cell of the visible image, as arrows."""
    height, width = shape
    residuals = [each for each in residuals if each.agrees]
    rows = max(2, round(CELLS * height / width))
    at = np.concatenate([each.at for each in residuals])
    vectors = np.concatenate([each.residual for each in residuals])
    weight = np.concatenate([each.weight * each.confidence for each in residuals])
    known = np.isfinite(vectors).all(1)
    at, vectors, weight = at[known], vectors[known], weight[known]
    column = np.clip((at[:, 0] * CELLS / width).astype(int), 0, CELLS - 1)
    row = np.clip((at[:, 1] * rows / height).astype(int), 0, rows - 1)
    cell = row * CELLS + column
    total = np.bincount(cell, weight, rows * CELLS)
    mean = np.stack(
        [np.bincount(cell, weight * part, rows * CELLS) / np.maximum(total, 1e-9) for part in vectors.T], -1
    )
    seen = total > 0.02 * total.max() if total.size else total > 0
    y, x = np.divmod(np.arange(rows * CELLS), CELLS)
    centres = np.stack([(x + 0.5) * width / CELLS, (y + 0.5) * height / rows], -1)
    sizes = np.linalg.norm(mean, axis=1)
    longest = float(sizes[seen].max(initial=0.0))
    stretch = ARROW * width / CELLS / max(longest, 1e-6)
    label = f'x, px (the longest arrow is {longest:.2f} px)'
    drawn = WIDTH - LEFT - RIGHT
    plot = Plot(
        label, 'y, px', (0, width), (0, height), (WIDTH, round(drawn * height / width) + 54), down=True
    )
    colours = [RED if size > 1 else BLUE for size in sizes[seen]]
    plot.arrows(centres[seen], stretch * mean[seen], colours)
    return plot.svg()


def _size(frame: Residuals, share: float) -> float:
    """Return the residual that a share of the places of a pair stays below, by weight; NaN without any."""
    size = np.linalg.norm(frame.residual, axis=1)
    order = np.argsort(size)
    total = np.cumsum(frame.weight[order])
    if not len(size) or total[-1] <= 0:
        return float('nan')
    return float(size[order][np.searchsorted(total, share * total[-1])])


def _times(residuals: Sequence[Residuals]) -> np.ndarray:
    stamps = np.array([each.stamp for each in residuals])
    return stamps - stamps.min()

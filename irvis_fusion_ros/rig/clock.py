"""
How far the clocks of two cameras differ, from how both images move.

A camera that turns moves its whole image. Both cameras of a rig turn together, so the speeds of their images
are the same signals, up to size and rotation, each against the clock of its own camera. The offset is the one
at which the motion of one camera predicts that of the other best.
"""

from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.calibration import ClockOffset
from irvis_fusion_ros.rig.motion import Motion, Path


@dataclass(frozen=True)
class ClockConfig:
    """
    longest: largest offset that is looked for, seconds. step: of the curve, seconds. smooth: intervals
    between images over which speeds are averaged; less lets the noise of single images decide, because
    between two images it is averaged away. slow: seconds, but at least two averages; longer periods are left
    out, as they are the same at every offset. least_images: of each camera. distinct: by how much the
    log-likelihood has to exceed that of offsets more than `apart` seconds away. blocks: parts of the flight,
    of which each is left out in turn to tell the error. systematic: error that more images do not lower,
    intervals between images. begin: largest standard error with which pairs can still be made, to tell the
    offset more exactly (exposure.py). worst: largest that is still an answer; seconds.

    Tuned on the images of two made flights at 10, 5 and 3.3 per second, and on the paths of 14 others at 3 to
    30 per second with 0.15 px of noise in each movement.
    """

    longest: float = 0.5
    step: float = 0.002
    smooth: float = 3.0
    slow: float = 2.0
    least_images: int = 30
    distinct: float = 6.0
    apart: float = 0.12
    blocks: int = 10
    systematic: float = 0.04
    begin: float = 0.06
    worst: float = 0.02


@dataclass(frozen=True)
class ClockCurve:
    """
    How well the motion of both streams agrees at every offset.

    offset: the best one with its error, or None where it cannot be told; reason: why not, one sentence.
    lags: K seconds added to thermal stamps; agreement: K correlations [-1, 1].
    """

    offset: ClockOffset | None
    reason: str
    lags: np.ndarray
    agreement: np.ndarray


def compare(thermal: Motion, visible: Motion, config: ClockConfig = ClockConfig()) -> ClockCurve:
    """Return the offset between the clocks of two streams."""
    steps = round(config.longest / config.step)
    lags = np.arange(-steps, steps + 1) * config.step
    if min(len(thermal.steps), len(visible.steps)) < config.least_images:
        few = f'fewer than {config.least_images} images of a camera show how it moves'
        return ClockCurve(None, f'the clock offset cannot be told: {few}', lags, np.zeros_like(lags))
    comparison = _Comparison(Path(thermal.steps), Path(visible.steps), lags, config)
    likelihood, agreement = comparison.likelihood, comparison.agreement
    best = int(likelihood.argmax())
    far = np.abs(lags - lags[best]) > config.apart
    if best in (0, len(lags) - 1):
        why = f'it is more than {config.longest:g} s, or the cameras do not move alike'
    elif likelihood[best] - likelihood[far].max() < config.distinct:
        why = 'the images move too little or too evenly; fly some turns'
    else:
        found = comparison.offset()
        if found.error <= config.begin:
            return ClockCurve(found, '', lags, agreement)
        return ClockCurve(None, inexact(found), lags, agreement)
    return ClockCurve(None, f'the clock offset cannot be told: {why}', lags, agreement)


def inexact(offset: ClockOffset) -> str:
    """Return why an offset with a large error is no answer, one sentence."""
    found = f'{offset.seconds * 1e3:.0f} +- {offset.error * 1e3:.0f} ms is all that the images show'
    return f'the clock offset cannot be told: {found}; fly more turns, or record more images per second'


class _Comparison:
    """
    The motion of both cameras at all offsets.

    interval: between the images of the slower camera, seconds. likelihood, agreement: of each offset, K.
    """

    def __init__(self, thermal: Path, visible: Path, lags: np.ndarray, config: ClockConfig):
        self._config, self._lags = config, lags
        self.interval = max(thermal.interval, visible.interval)
        self._window = config.smooth * self.interval
        self._slow = max(config.slow, 2 * self._window)
        longest, step = lags[-1], config.step
        # the same times at every offset, so that likelihoods can be compared
        every = max(1, round(self.interval / step))
        begin, end = max(visible.start, thermal.start + longest), min(visible.stop, thermal.stop - longest)
        in_block = max(0, int((end - begin) / step) // every) // config.blocks
        at = every * np.arange(in_block * config.blocks)
        moved = self._quick(visible, begin + step * at)
        ahead = len(lags) // 2
        behind = int(at[-1]) + 1 if len(at) else 0
        own = self._quick(thermal, begin + step * np.arange(-ahead, behind + ahead))
        self._sums = [
            _sums(own[at + 2 * ahead - k], moved, (config.blocks, in_block)) for k in range(len(lags))
        ]
        told = np.array([self._told(sums.sum(0)) for sums in self._sums])
        self.likelihood, self.agreement = told.T

    def offset(self) -> ClockOffset:
        """Return the offset of the highest likelihood, and its standard error."""
        offset, error = self._peak(self.likelihood)
        parts = [
            self._peak(np.array([self._told(sums.sum(0) - sums[left])[0] for sums in self._sums]))[0]
            for left in range(self._config.blocks)
        ]
        # errors that last longer than the average do not show in how sharp the peak is
        left_out = np.sqrt((len(parts) - 1) * np.var(parts))
        error = float(np.linalg.norm([error, left_out, self._config.systematic * self.interval]))
        return ClockOffset(offset, error)

    def _quick(self, path: Path, times: np.ndarray) -> np.ndarray:
        """Return the speed without its slow changes, averaged around times, K x 3; NaN where unknown."""
        places = np.linspace(-1, 1, 7)[1:-1]
        weights = (1 - np.abs(places)) / (1 - np.abs(places)).sum()
        window = self._window
        smooth = sum(
            weight * path.speed(times + place * window / 2, window)
            for weight, place in zip(weights, places, strict=True)
        )
        # how much the image grows depends on what is near, which both cameras do not see alike
        quick = (smooth - path.speed(times, self._slow))[:, :3]
        return np.where(path.known(times, 2 * window)[:, None], quick, np.nan)

    def _told(self, sums: np.ndarray) -> tuple[float, float]:
        """Return log-likelihood and correlation of the sums of one offset, 8 x 3."""
        own, both, other, count = sums[:3], sums[3:6], sums[6], sums[7, 0]
        if count < 20:
            return 0.0, 0.0
        # the cameras may be turned and of different focal lengths: a linear map from one to the other
        ridge = 1e-9 * max(float(np.trace(own)), 1e-9) * np.eye(3)
        explained = (np.linalg.solve(own + ridge, both) * both).sum(0) / np.maximum(other, 1e-12)
        independent = count * self.interval / self._window
        likelihood = -0.5 * np.log(np.maximum(1 - explained, 1e-6)).sum() * independent
        return float(likelihood), float(np.sqrt(explained.mean()))

    def _peak(self, likelihood: np.ndarray) -> tuple[float, float]:
        """Return where the likelihood has its peak, and the standard error by how sharp that is, seconds."""
        lags, best = self._lags, int(likelihood.argmax())
        reach = max(5, round(0.25 * self._window / self._config.step))
        near = slice(max(0, best - reach), best + reach + 1)
        curve, slope, _ = np.polyfit(lags[near] - lags[best], likelihood[near], 2)
        if curve >= 0:
            return float(lags[best]), float('inf')
        return float(lags[best] - slope / (2 * curve)), float(np.sqrt(-1 / (2 * curve)))


def _sums(own: np.ndarray, moved: np.ndarray, blocks: tuple[int, int]) -> np.ndarray:
    """
    Return what a regression of `moved` on `own`, K x 3 each, needs, by block, blocks x 8 x 3.

    Rows: products of own by own (3), of own by moved (3), moved squared, and how many there are.
    """
    known = np.isfinite(own[:, :1]) & np.isfinite(moved[:, :1])
    own, moved = (np.where(known, each, 0.0).reshape(*blocks, 3) for each in (own, moved))
    turned = own.transpose(0, 2, 1)
    count = np.repeat(known.reshape(*blocks, 1).sum(1, keepdims=True), 3, 2)
    return np.concatenate([turned @ own, turned @ moved, (moved**2).sum(1, keepdims=True), count], 1)

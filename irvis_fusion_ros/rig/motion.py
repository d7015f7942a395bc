"""How a camera moves, from how its image moves from one to the next: every image, paired or not."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class MotionConfig:
    """
    width: of the images whose movement is measured, pixels. apart_points: distance of the points that are
    followed, of which at least `least_points` have to be found again.

    Tuned on two made flights of 20 s.
    """

    width: int = 320
    apart_points: int = 18
    least_points: int = 12


class Motion:
    """The motion of one camera, from every image of its stream in the order of the stamps."""

    def __init__(self, config: MotionConfig = MotionConfig()):
        self._config = config
        self._last: tuple[np.ndarray, float] | None = None
        self._steps: list[tuple[float, ...]] = []

    def add(self, brightness: np.ndarray, stamp: float) -> None:
        """Take an image, H x W float32 [0, 1], and its stamp in seconds."""
        image = self._prepared(brightness)
        if self._last is not None and stamp > self._last[1] and image.shape == self._last[0].shape:
            movement = self._movement(self._last[0], image)
            if movement is not None:
                self._steps.append((self._last[1], stamp, *movement))
        self._last = image, stamp

    @property
    def width(self) -> int:
        """Width of the image whose pixels `steps` counts."""
        return self._config.width

    @property
    def steps(self) -> np.ndarray:
        """Return K x 6: from and to which stamp; shift x and y, turn and growth between them, in pixels."""
        return np.array(self._steps).reshape(-1, 6)

    def _prepared(self, brightness: np.ndarray) -> np.ndarray:
        height, width = brightness.shape
        size = self._config.width, max(16, round(height * self._config.width / width))
        small = cv2.resize(brightness, size, interpolation=cv2.INTER_AREA)
        # gain control makes brightness drift, and a night is dark
        small = small - cv2.GaussianBlur(small, (0, 0), 12)
        small *= np.float32(40 / (small.std() + 1e-4))
        return np.clip(small + 128, 0, 255).astype(np.uint8)

    def _movement(self, before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
        """Return shift x and y, turn and growth at half the width, in pixels; None where nothing is told."""
        # the same image again, as drivers send during a calibration, is not a camera that stands still
        if np.array_equal(before, after):
            return None
        # on a grid, because both cameras then see the same near and far things move
        (height, width), apart = before.shape, self._config.apart_points
        grid = np.mgrid[apart // 2 : width : apart, apart // 2 : height : apart]
        start = grid.reshape(2, -1).T.astype(np.float32)[:, None]
        end, there = _followed(before, after, start)
        again, back = _followed(after, before, end)
        kept = there & back & (np.abs(again - start).max((1, 2)) < 0.5)
        if kept.sum() < self._config.least_points:
            return None
        return _similarity(start[kept, 0] - np.float32([width, height]) / 2, (end - start)[kept, 0])


def _followed(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    end, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, None, winSize=(21, 21), maxLevel=2, minEigThreshold=1e-3
    )
    return end, found.ravel() == 1


def _similarity(at: np.ndarray, movement: np.ndarray) -> np.ndarray:
    """Return shift x and y, turn and growth at half the width that most of K movements agree with."""
    x, y = (at / np.float32(at.max() + 1)).T
    one, none = np.ones_like(x), np.zeros_like(x)
    model = np.stack([np.stack(c, -1) for c in ((one, none), (none, one), (-y, x), (x, y))], -1)
    weight = np.ones(len(at))
    for _ in range(6):
        scaled = (model * weight[:, None, None]).reshape(-1, 4)
        found = np.linalg.lstsq(scaled, (movement * weight[:, None]).ravel(), rcond=None)[0]
        error = np.linalg.norm(model @ found - movement, axis=-1)
        weight = 1 / np.sqrt(1 + (error / (2 * max(float(np.median(error)), 0.05))) ** 2)
    return found


def speeds(motion: Motion, stamps: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the speed of an image of `width` at K stamps, and where it is known, K bools.

    The speed is K x 3: shift in x and y, and turn at half the width, pixels per second.
    """
    if len(motion.steps) < 2:
        return np.zeros((len(stamps), 3)), np.zeros(len(stamps), bool)
    path = Path(motion.steps)
    # an image is in the middle of the two steps that it ends and begins
    window = 2 * path.interval
    found = path.speed(stamps, window)[:, :3] * width / motion.width
    return found, path.known(stamps, window - 1e-3)


class Path:
    """The sum of all movements as a function of time: where the camera looks."""

    def __init__(self, steps: np.ndarray):
        self.interval = float(np.median(steps[:, 1] - steps[:, 0]))
        times, where = [steps[0, 0]], [np.zeros(4)]
        self.gaps: list[tuple[float, float]] = []
        for begin, end, *movement in steps:
            if begin > times[-1] + 1e-6:
                self.gaps.append((times[-1], begin))
                times.append(begin)
                where.append(where[-1])
            times.append(end)
            where.append(where[-1] + movement)
        self._times, self._where = np.array(times), np.array(where)
        self.start, self.stop = times[0], times[-1]

    def speed(self, times: np.ndarray, window: float) -> np.ndarray:
        """Return the mean speed around times, K x 4 pixels per second."""
        ahead, behind = (
            np.stack([np.interp(times + side, self._times, plane) for plane in self._where.T], -1)
            for side in (window / 2, -window / 2)
        )
        return (ahead - behind) / window

    def known(self, times: np.ndarray, window: float) -> np.ndarray:
        """Return where the speed is measured all through the window, K bools."""
        known = (times - window / 2 >= self.start) & (times + window / 2 <= self.stop)
        for begin, end in self.gaps:
            known &= (times + window / 2 <= begin) | (times - window / 2 >= end)
        return known

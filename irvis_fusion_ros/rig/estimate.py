"""Finds a rig from many pairs: evidence is summed before a peak is taken, so that weak frames add up."""

from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.rig.clock import ClockCurve


@dataclass(frozen=True)
class Residuals:
    """
    What one frame differs from the rig by, after its nearness and shift are taken out.

    name: of the pair. stamp: seconds. at: K x 2, visible pixels. residual: K x 2, visible pixels. weight: K,
    [0, 1], how much was seen there. nearness: of the frame, along the parallax. shift: x and y, of the frame.
    confidence: [0, 1], that the frame is right.
    """

    name: str
    stamp: float
    at: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
    nearness: float
    shift: tuple[float, float]
    confidence: float


@dataclass(frozen=True)
class Estimate:
    """
    What is known of a rig by now.

    calibration: None as long as nothing was found. confidence: [0, 1], that it is right. uncertainty: the
    standard error of where the matrix puts a point, mean over the visible image, visible pixels.
    seen: pairs offered. used: pairs whose evidence agrees with it. residuals: of the frames kept.
    clock: None where no stamps were given. notes: what is wrong, and what could be had nevertheless.
    tolerance: recommended sync.tolerance, seconds, or None.
    """

    calibration: Calibration | None
    confidence: float
    uncertainty: float
    seen: int
    used: int
    residuals: tuple[Residuals, ...]
    clock: ClockCurve | None
    notes: tuple[Note, ...]
    tolerance: float | None = None


class Gathering:
    """
    Gathers what many frames tell of a rig, in bounded memory: offline, or while the node flies.

    most: how many pairs are kept; of more, those kept are spread evenly over the flight.
    """

    def __init__(self, most: int = 60):
        self.most = most

    def move(self, camera: str, brightness: np.ndarray, stamp: float) -> None:
        """
        Take any image of a camera ('thermal' or 'visible') for the clocks, paired or not.

        brightness: H x W float32 [0, 1]. stamp: seconds of its own clock.
        """
        raise NotImplementedError

    def pair(self, thermal: np.ndarray, visible: np.ndarray, stamp: float, name: str = '') -> None:
        """Take a pair, H x W float32 brightness in [0, 1], and the stamp of the visible image in seconds."""
        raise NotImplementedError

    def estimate(self) -> Estimate:
        """Return what is known by now; takes seconds."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget everything."""

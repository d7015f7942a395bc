"""How far the clocks of two cameras differ, from how both images move."""

from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.calibration import ClockOffset


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


class Motion:
    """The motion of one camera: every image of the stream, in the order of the stamps."""

    def add(self, brightness: np.ndarray, stamp: float) -> None:
        """Take an image, H x W float32 [0, 1], and its stamp in seconds."""
        raise NotImplementedError


def compare(thermal: Motion, visible: Motion, longest: float = 1.0) -> ClockCurve:
    """Return the offset between the clocks of two streams, of at most `longest` seconds."""
    raise NotImplementedError

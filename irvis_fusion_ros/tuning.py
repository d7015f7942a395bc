"""
Constants that the NumPy method and the networks share, so that both compute the same.

They were tuned for `classical` on real pairs. Networks are trained with the values of structure and fit: the
shipped weights only work with these values.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackingConfig:
    """
    Tracking of an alignment through a stream.

    suspicious: share of the usual evidence below which a tracked frame may show another alignment.
    least_gain: least weight of a new frame in an alignment, however long it has been tracked. followed: mean
    change of the field, full visible pixels, from which it is followed at once instead of smoothed;
    followed_level: the same for `classical`, in pixels of its finest level, each about two of an image of 640
    x 512. least_trust: lower limit of the local trust, because a person in the thermal image must stay
    visible even where the alignment is doubtful. judged: frames after which a tracked alignment is judged
    again (classical/evidence.py).
    """

    suspicious: float = 0.75
    least_gain: float = 0.15
    followed: float = 2.0
    followed_level: float = 1.0
    least_trust: float = 0.3
    judged: int = 15

    def least_share(self, frames: int) -> float:
        """Return the least weight of a new frame in an alignment that has been tracked for `frames`."""
        return max(self.least_gain, 1 / (frames + 1))

    def judges_again(self, evidence: float, usual: float, frames: int) -> bool:
        """Return whether an alignment that has been tracked for `frames` is due, or seems to be lost."""
        return evidence < self.suspicious * usual or frames % self.judged == 0


@dataclass(frozen=True)
class StructureConfig:
    """
    Parameters of the structure maps.

    noise: gradients below this, in brightness per pixel, are sensor noise. strongest: upper limit of the
    strength of an edge relative to its surroundings. smoothing: sigma of the blur before the gradient,
    pixels.
    """

    noise: float = 0.004
    strongest: float = 2.5
    smoothing: float = 0.7


@dataclass(frozen=True)
class RobustConfig:
    """tail: degrees of freedom of the Student t that weighs measurements; low values allow for outliers."""

    tail: float = 4.0


TRACKING = TrackingConfig()
STRUCTURE = StructureConfig()
ROBUST = RobustConfig()

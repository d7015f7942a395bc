"""
Numbers that the NumPy method and the networks both read: what they compute alike has one home.

They are what `classical` was set up with on real pairs. Networks are trained with those of structure and fit:
with others the weights that are shipped do not fit.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackingConfig:
    """
    How an alignment is followed through a stream.

    suspicious: share of the usual evidence below which a tracked frame may show another alignment.
    least_gain: least share of a new frame in an alignment, however long it has held. followed: mean change of
    the field, full visible pixels, from which it is followed at once instead of smoothed; followed_level: the
    same for `classical`, in pixels of its finest level, each about two of an image of 640 x 512. least_trust:
    doubt never takes a thermal image away completely, because a person it shows must stay visible.
    """

    suspicious: float = 0.75
    least_gain: float = 0.15
    followed: float = 2.0
    followed_level: float = 1.0
    least_trust: float = 0.3

    def least_share(self, frames: int) -> float:
        """Return the least share of a new frame in an alignment that has held for `frames`."""
        return max(self.least_gain, 1 / (frames + 1))


@dataclass(frozen=True)
class StructureConfig:
    """
    What counts as an edge.

    noise: gradients below this, in brightness per pixel, are sensor noise. strongest: an edge counts for at
    most so many times its surroundings. smoothing: sigma of the blur before gradients are taken, pixels.
    """

    noise: float = 0.004
    strongest: float = 2.5
    smoothing: float = 0.7


@dataclass(frozen=True)
class RobustConfig:
    """tail: degrees of freedom of the Student t that measurements are weighed by: few of them are far off."""

    tail: float = 4.0


TRACKING = TrackingConfig()
STRUCTURE = StructureConfig()
ROBUST = RobustConfig()

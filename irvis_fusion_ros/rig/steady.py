"""
Keeps what targets show steady over a stream.

Each frame measures with some noise where a target is, and how large it is drawn: a picture that follows each
of them trembles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.rig.local import LocalShift, near


@dataclass(frozen=True)
class SteadyConfig:
    """
    gain: weight of a new frame in shift and box of a target. followed: changes of one of them, in shares of
    the visible width, from which it is followed at once. appearing: by how much of its share a target comes
    or goes in a frame.

    Tuned on a made flight that hovers over people and cars.
    """

    gain: float = 0.15
    followed: float = 0.006
    appearing: float = 0.1


class SteadyTargets:
    """The targets of a stream."""

    STREAM = ('targets', '_begun')

    def __init__(self, config: SteadyConfig = SteadyConfig()):
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self.targets: tuple[LocalShift, ...] = ()
        self._begun = False

    def smoothed(self, found: Sequence[LocalShift], width: int) -> tuple[LocalShift, ...]:
        """Return the targets of a frame, smoothed; those that are not told any more fade out."""
        if not self._begun:
            self.targets, self._begun = tuple(found), True
            return self.targets
        gone, steady, step = list(self.targets), [], self._config.appearing
        for target in found:
            before = next((each for each in gone if near(each.box, target.box)), None)
            if before is None:
                steady.append(replace(target, share=step))
            else:
                gone.remove(before)
                steady.append(self._continued(before, target, width))
        steady += [replace(each, share=each.share - step) for each in gone if each.share > step]
        self.targets = tuple(steady)
        return self.targets

    def _continued(self, before: LocalShift, target: LocalShift, width: int) -> LocalShift:
        def followed(old: tuple[float, ...], new: tuple[float, ...]) -> tuple[float, ...]:
            change = np.subtract(new, old)
            far = np.abs(change).max() > self._config.followed * width
            return tuple((np.add(old, (1.0 if far else self._config.gain) * change)).tolist())

        return replace(
            target,
            shift=followed(before.shift, target.shift),
            box=followed(before.box, target.box),
            share=min(1.0, before.share + self._config.appearing),
        )

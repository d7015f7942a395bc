"""Where the cameras of a rig lie to each other: as calibrated, until frames show that they were moved."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.classical import evidence as judging
from irvis_fusion_ros.rig import start
from irvis_fusion_ros.rig.frame_fit import freedom
from irvis_fusion_ros.rig.refine import refine
from irvis_fusion_ros.rig.views import View, matrix_of

# Confidence from which another place is believed.
SURE = 0.9


class Place:
    """The calibration of a stream: the one that was given, or that of where the cameras were found since."""

    STREAM = ('calibration',)

    def __init__(self, given: Calibration):
        self._given = given
        self.reset()

    def reset(self) -> None:
        """Go back to the calibration that was given."""
        self.calibration = self._given


def find(
    views: Sequence[View],
    thermal: np.ndarray,
    visible: np.ndarray,
    rig: Calibration,
    least: float,
    pool: ThreadPoolExecutor,
) -> Calibration | None:
    """
    Return a rig with another transform, searched in some frames together, or None if none is clear.

    thermal, visible: the last of these frames, H x W float32 [0, 1]. least: evidence that it has to have.
    """
    shapes = thermal.shape, visible.shape
    proposal = start.find(views, pool)[0]
    moved = replace(rig, matrix=matrix_of(proposal.backward, views[0], *shapes))
    there = refine(thermal, visible, moved.backward(*shapes), freedom(moved, visible.shape))
    if there.evidence < least:
        return None
    alignment = Alignment(there.backward, 1.0, 'search', residual=there.residual)
    return moved if judging.confidence_of(thermal, visible, alignment) >= SURE else None

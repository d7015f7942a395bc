"""Aligns the pairs of a stream as a calibration says, refined for each pair where that is wanted."""

import functools
from dataclasses import replace

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.imaging.brightness import BrightPair
from irvis_fusion_ros.rig.refiner import Refiner


class RigAligner:
    """Aligns pairs. calibration: the rig. refiner: fits each pair around it, or None."""

    STREAM = ('_refiner',)

    def __init__(self, calibration: Calibration, refiner: Refiner | None = None):
        self.calibration = calibration
        self._refiner = refiner
        self._fixed: tuple[Calibration, tuple, Alignment] | None = None  # what a rig gives, for which shapes

    def reset(self) -> None:
        """Forget the stream."""
        if self._refiner is not None:
            self._refiner.reset()

    def align(self, pair: BrightPair, blank: tuple[Note, ...] = ()) -> Alignment:
        """Return the alignment of a pair; blank: notes on images that show nothing, which fit no rig."""
        shapes = pair.bright.shape, pair.luma.shape
        notes = blank
        if problem := self.calibration.mismatch(*shapes):
            notes = (*notes, Note('other_field_of_view', problem))
        if self._refiner is None:
            found = self._as_calibrated(self.calibration, shapes)
        elif blank:
            found = self._as_calibrated(self._refiner.place.calibration, shapes)
        else:
            found = pair.aligned_by(functools.partial(self._refiner.register, cuts=pair.scenes.cuts))
        return replace(found, notes=(*found.notes, *notes))

    def _as_calibrated(self, rig: Calibration, shapes: tuple) -> Alignment:
        if self._fixed is None or self._fixed[0] is not rig or self._fixed[1] != shapes:
            self._fixed = rig, shapes, rig.alignment(*shapes)
        return self._fixed[2]

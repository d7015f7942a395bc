"""Registers a stream with a rig as the prior, and follows the rig when it changes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.classical.registration import EVEN_EVIDENCE, FLAT, confidence_of, gain_of
from irvis_fusion_ros.rig import start
from irvis_fusion_ros.rig.frame_fit import Difference, freedom
from irvis_fusion_ros.rig.lens import Flat
from irvis_fusion_ros.rig.refine import Refined, at_targets, drawn, follow, refine
from irvis_fusion_ros.rig.views import matrix_of, view
from irvis_fusion_ros.tuning import TRACKING

OUTSIDE = Note(
    'outside_rig',
    'the images differ by more than the rig allows: the calibration is used as it is; calibrate again if '
    'that stays so',
)
JUMPED = Note(
    'rig_jumped', 'the cameras lie otherwise to each other than calibrated: their new place is followed'
)


@dataclass(frozen=True)
class RefinerConfig:
    """
    strain: sigmas beyond which a frame is not believed. before: how likely the rig is right before a frame is
    looked at. patience: frames without evidence after which the rig is sought anew, where there was evidence
    before. jumped: evidence that the new place has to have, in multiples of what was usual.
    """

    strain: float = 3.5
    before: float = 0.8
    patience: int = 3
    jumped: float = 0.6


@dataclass(frozen=True)
class _Stream:
    """What is known of the frame before. usual: evidence, smoothed. frames: how many were followed."""

    shapes: tuple
    difference: Difference
    trust: np.ndarray
    usual: float
    frames: int


class Refiner:
    """
    Registers with a rig as the prior; it has the interface of a system's registration (systems/base.py).

    temporal: smooth over the stream. where_targets: a function that tells for each place of a thermal image,
    H x W float32 [0, 1], how surely it is a target, h x w [0, 1]; None where targets do not decide.
    `calibration` is another one after the cameras have been moved.
    What lies outside what the rig can do is not believed: then the alignment is the rig's own, with a note.
    """

    def __init__(
        self,
        calibration: Calibration,
        temporal: bool,
        where_targets: Callable[[np.ndarray], np.ndarray] | None = None,
        config: RefinerConfig = RefinerConfig(),
    ):
        self.calibration = calibration
        self._temporal = temporal
        self._where_targets = where_targets
        self._config = config
        self._flat: Flat | None = None
        self._pool = ThreadPoolExecutor(2, thread_name_prefix='rig')
        self.reset()

    def reset(self) -> None:
        """Forget the stream, not the rig."""
        self._stream: _Stream | None = None
        self._poor = 0

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Align thermal to visible; see `systems.base.System.register`."""
        if not (self.calibration.thermal_lens or self.calibration.visible_lens):
            return self._register(thermal, visible)
        shapes = thermal.shape, visible.shape
        if self._flat is None or self._flat.shapes != shapes:
            # a rig that is moved keeps its lenses
            self._flat = Flat(self.calibration, *shapes)
        return self._flat.bent(self._register(*self._flat.images(thermal, visible)))

    def _register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        shapes = thermal.shape, visible.shape
        if not self._temporal or (self._stream is not None and self._stream.shapes != shapes):
            self.reset()
        backward = self.calibration.backward(*shapes)
        if min(float(thermal.std()), float(visible.std())) < FLAT:
            return Alignment(backward, self._config.before, 'calibration', cold=self._stream is None)
        free = freedom(self.calibration, visible.shape)
        last, found = self._stream, None
        if last is not None:
            found = follow(thermal, visible, backward, free, last.difference)
            if found.evidence < TRACKING.suspicious * last.usual:
                anew = refine(thermal, visible, backward, free)
                found = max(found, anew, key=lambda each: each.evidence)
        else:
            found = refine(thermal, visible, backward, free)
        notes: tuple[Note, ...] = ()
        if self._jumped(found):
            moved = self._sought(thermal, visible)
            if moved is not None:
                self.calibration, self._stream, notes = moved, None, (JUMPED,)
                backward = moved.backward(*shapes)
                found = refine(thermal, visible, backward, free)
        if found.fit.strain > self._config.strain:
            return Alignment(
                backward, 1 - self._config.before, 'calibration', cold=last is None, notes=(*notes, OUTSIDE)
            )
        found = self._smoothed(found, backward, shapes)
        if self._where_targets is not None:
            found = at_targets(found, thermal, visible, backward, self._where_targets(thermal))
        return Alignment(
            found.backward,
            confidence_of(found.evidence, self._config.before),
            'track',
            residual=found.residual,
            trust=_resampled(found),
            cold=last is None,
            notes=notes,
        )

    def _smoothed(self, found: Refined, backward: np.ndarray, shapes: tuple) -> Refined:
        """Return the frame with its difference smoothed over the stream, which goes on with it."""
        last, difference, trust = self._stream, found.fit.difference, found.trust
        usual, frames = found.evidence, 1
        if last is not None:
            moved = float(np.sqrt((found.fit.displacement**2).sum(-1).mean()))
            gain = gain_of(last.frames, moved)
            difference = Difference(
                last.difference.numbers + gain * (difference.numbers - last.difference.numbers),
                last.difference.regions + gain * (difference.regions - last.difference.regions),
            )
            trust = last.trust + max(gain, 0.3) * (trust - last.trust)
            usual, frames = last.usual + 0.1 * (usual - last.usual), last.frames + 1
            placed = drawn(found.level, found.model, backward, difference)
            found = replace(
                found,
                backward=placed[0],
                residual=placed[1],
                fit=replace(found.fit, difference=difference),
                trust=trust,
            )
        if self._temporal:
            self._stream = _Stream(shapes, difference, trust, usual, frames)
        return found

    def _jumped(self, found: Refined) -> bool:
        """Whether the rig has been lost for some frames, after it had been seen."""
        last = self._stream
        lost = False
        if last is not None:
            # a short jump is still within sight: then it is seen outside what the rig can do
            outside = found.fit.strain > self._config.strain
            lost = outside or found.evidence < max(EVEN_EVIDENCE, 0.5 * last.usual) < last.usual
        self._poor = self._poor + 1 if lost else 0
        return self._poor >= self._config.patience

    def _sought(self, thermal: np.ndarray, visible: np.ndarray) -> Calibration | None:
        """Return the calibration at the new place of the cameras, if one is found."""
        self._poor = 0
        kept = view(thermal, visible, 0.0)
        proposal = start.find([kept], self._pool)[0]
        if proposal.evidence < max(EVEN_EVIDENCE, self._config.jumped * self._stream.usual):
            return None
        shapes = thermal.shape, visible.shape
        return replace(self.calibration.resized(*shapes), matrix=matrix_of(proposal.backward, kept, *shapes))


def _resampled(found: Refined) -> np.ndarray:
    """Return the trust of tiles on a grid that spans the visible image edge to edge."""
    grid, (height, width) = found.model.grid, found.level.shape
    x = (np.arange(0, width, 8) + 3.5 - grid.x[0]) / grid.spacing
    y = (np.arange(0, height, 8) + 3.5 - grid.y[0]) / grid.spacing
    points = np.stack(np.meshgrid(x, y), -1).astype(np.float32)
    return cv2.remap(found.trust, points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

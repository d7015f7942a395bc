"""Registers a stream with a rig as the prior, and follows the rig when it changes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.classical import evidence as judging
from irvis_fusion_ros.classical.registration import EVEN_EVIDENCE, FLAT, confidence_of, gain_of
from irvis_fusion_ros.geometry.margins import NONE, Margins
from irvis_fusion_ros.rig import place
from irvis_fusion_ros.rig.fitted import CLEAR
from irvis_fusion_ros.rig.frame_fit import Difference, freedom
from irvis_fusion_ros.rig.lens import Flat
from irvis_fusion_ros.rig.place import Place
from irvis_fusion_ros.rig.refine import Refined, at_targets, drawn, follow, refine
from irvis_fusion_ros.rig.steady import SteadyTargets
from irvis_fusion_ros.rig.views import View, view
from irvis_fusion_ros.tuning import TRACKING

# Confidence below which a frame that does not look like the rig is left to the rig.
BELIEVED = 0.5
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
    strained: sigmas beyond which a frame is judged before it is believed; worse: share of the usual evidence
    below which it is. strain: sigmas beyond which it is not believed at all. before: how likely the rig is
    right before a frame is looked at. patience: frames in a row, strained or without evidence, after which
    the rig is sought anew. rest: frames to the next search after one that found nothing; each further one
    waits twice as long, up to `longest`. jumped: evidence that the new place has to have, in multiples of
    what was usual.

    Tuned on a made flight that hovers and is knocked (strain 0.1 before and 3 after); frames of flights over
    a village have a strain of 0.1 to 0.6.
    """

    strained: float = 1.5
    worse: float = 0.5
    strain: float = 3.5
    before: float = 0.8
    patience: int = 3
    rest: int = 30
    longest: int = 960
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
    `place` holds the calibration, which is another one after the cameras have been moved.
    What lies outside what the rig can do is not believed: then the alignment is the rig's own, trusted
    nowhere, with a note.
    """

    STREAM = ('place', '_stream', '_lost', '_rest', '_next_rest', '_steady')

    def __init__(
        self,
        calibration: Calibration,
        temporal: bool,
        where_targets: Callable[[np.ndarray], np.ndarray] | None = None,
        config: RefinerConfig = RefinerConfig(),
    ):
        self.place = Place(calibration)
        self._temporal = temporal
        self._where_targets = where_targets
        self._config = config
        self._flat: Flat | None = None
        self._pool = ThreadPoolExecutor(2, thread_name_prefix='rig')
        self._steady = SteadyTargets() if temporal else None
        self.reset()

    def reset(self) -> None:
        """Forget the stream, not the place."""
        self._stream: _Stream | None = None
        self._lost: tuple[View, ...] = ()  # frames in a row that do not fit
        self._rest, self._next_rest = 0, self._config.rest
        if self._steady is not None:
            self._steady.reset()

    def register(
        self, thermal: np.ndarray, visible: np.ndarray, cuts: tuple[Margins, Margins] = (NONE, NONE)
    ) -> Alignment:
        """Align thermal to visible, of which `cuts` were cut; see `systems.base.System.register`."""
        shapes = thermal.shape, visible.shape
        rig = self.place.calibration.resized(
            *((-cut).shape_of(shape) for cut, shape in zip(cuts, shapes, strict=True))
        ).cut(*cuts)
        if not self._temporal or (self._stream is not None and self._stream.shapes != shapes):
            self.reset()
        if not (rig.thermal_lens or rig.visible_lens):
            found, moved = self._register(thermal, visible, rig)
        else:
            # a rig that is moved keeps its lenses
            if self._flat is None or self._flat.key != (shapes, cuts):
                self._flat = Flat(rig, *shapes, key=(shapes, cuts))
            found, moved = self._register(*self._flat.images(thermal, visible), rig)
            found = self._flat.bent(found)
        if moved is not None:
            self.place.calibration = moved.cut(*(-cut for cut in cuts))
        return found

    def _register(
        self, thermal: np.ndarray, visible: np.ndarray, rig: Calibration
    ) -> tuple[Alignment, Calibration | None]:
        """Align flat images; returns also the rig at the new place of the cameras, if they have moved."""
        config, last = self._config, self._stream
        shapes = thermal.shape, visible.shape
        backward = rig.backward(*shapes)
        if min(float(thermal.std()), float(visible.std())) < FLAT:
            return Alignment(backward, config.before, 'calibration', cold=last is None), None
        free = freedom(rig, visible.shape)
        if last is not None:
            found = follow(thermal, visible, backward, free, last.difference)
            if found.evidence < TRACKING.suspicious * last.usual:
                anew = refine(thermal, visible, backward, free)
                if anew.evidence > found.evidence:
                    found, last = anew, None
        else:
            found = refine(thermal, visible, backward, free)
        moved = self._followed(thermal, visible, rig, found)
        notes: tuple[Note, ...] = ()
        if moved is not None:
            last = self._stream = None
            if self._steady is not None:
                self._steady.reset()
            notes, backward = (JUMPED,), moved.backward(*shapes)
            found = refine(thermal, visible, backward, free)
        confidence = confidence_of(found.evidence, config.before)
        if found.fit.strain > config.strained or (moved is None and self._worse(found)):
            # it is not what such a rig usually shows: then the evidence near it alone says little
            judged = Alignment(found.backward, 1.0, 'track', residual=found.residual)
            confidence = min(confidence, judging.confidence_of(thermal, visible, judged))
        outside = found.fit.strain > config.strain
        if outside or (found.fit.strain > config.strained and confidence < BELIEVED):
            confidence = min(confidence, 1 - config.before)
            notes = (*notes, OUTSIDE)
            trust = np.zeros((1, 1), np.float32)
            return Alignment(backward, confidence, 'calibration', None, trust, last is None, notes), moved
        found = self._smoothed(found, last, backward, shapes)
        if self._where_targets is not None:
            found = at_targets(found, thermal, visible, backward, self._where_targets(thermal), self._steady)
        alignment = Alignment(
            found.backward,
            confidence,
            'track',
            residual=found.residual,
            trust=found.model.grid.spanning(found.trust, found.level.shape),
            cold=last is None,
            notes=notes,
        )
        return alignment, moved

    def _smoothed(self, found: Refined, last: _Stream | None, backward: np.ndarray, shapes: tuple) -> Refined:
        """Return a frame, smoothed with the one that it was followed from; the stream goes on with it."""
        difference, trust = found.fit.difference, found.trust
        before, frames = self._stream, 1
        usual = found.evidence
        if before is not None:
            usual = before.usual + 0.1 * (usual - before.usual)
        if last is not None:
            gain = gain_of(last.frames, found.apart)
            difference = Difference(
                last.difference.numbers + gain * (difference.numbers - last.difference.numbers),
                last.difference.regions + gain * (difference.regions - last.difference.regions),
            )
            trust = last.trust + max(gain, 0.3) * (trust - last.trust)
            frames = last.frames + 1
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

    def _worse(self, found: Refined) -> bool:
        """Return whether a frame shows much less than those before."""
        return self._stream is not None and found.evidence < self._config.worse * self._stream.usual

    def _followed(
        self, thermal: np.ndarray, visible: np.ndarray, rig: Calibration, found: Refined
    ) -> Calibration | None:
        """Return the rig at another place of the cameras, if some frames in a row show that it is there."""
        config = self._config
        poor = found.evidence < EVEN_EVIDENCE or self._worse(found)
        if not (poor or found.fit.strain > config.strained):
            self._lost = ()
            return None
        self._lost = (*self._lost, view(thermal, visible, 0.0))[-config.patience :]
        self._rest -= 1
        if len(self._lost) < config.patience or self._rest > 0:
            return None
        # a night without evidence is no reason to search all the time
        self._rest, self._next_rest = self._next_rest, min(2 * self._next_rest, config.longest)
        usual = 0.0 if self._stream is None else self._stream.usual
        least = max(CLEAR * EVEN_EVIDENCE, config.jumped * usual, found.evidence)
        moved = place.find(self._lost, thermal, visible, rig, least, self._pool)
        if moved is None:
            return None
        self._lost = ()
        self._rest, self._next_rest = 0, config.rest
        return moved

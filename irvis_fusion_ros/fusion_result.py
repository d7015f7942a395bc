"""What the predictor returns of one pair, and the names of what can be asked for."""

import time
from dataclasses import dataclass, field

import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note

OUTPUTS = frozenset({'fused', 'registered', 'deformation', 'valid', 'deformation_fused', 'misregistration'})
# Those that only a system has which corrects what it fused (systems.base.PostRegistration).
OF_CORRECTION = frozenset({'deformation_fused', 'misregistration'})


@dataclass(frozen=True)
class FusionResult:
    """
    What was made of one pair. Images not asked for are None.

    fused: H x W x 3 uint8 in the colour order of the visible image, or H x W uint8 if that is gray (or gray
        was asked for). registered: the thermal image on the visible grid, its own dtype and values,
        0 outside. deformation: of the thermal image, H x W x 2 float32 pixels, NaN outside it
        (geometry/warp.py); 0 where nothing registers it. valid: H x W uint8, 255 = inside and believed.
    confidence: [0, 1] for the whole frame; where nothing registers the thermal image, how likely the pair
        is aligned as it is (systems/agreement.py). source: where the alignment came from (alignment.SOURCES).
    transform: 3x3, backward, the affine or projective part of the deformation. cold: no earlier frame helped.
    notes: what the user should know, each with a stable code. timing: milliseconds by stage, and 'total'.
    deformation_fused: how the fused image was moved where a system corrects it, H x W x 2 float32 pixels, NaN
        outside it: the effective field (2 M - 1) phi of FusionRegister. misregistration: its M, H x W float32
        [0, 1], where the fused image was found to be misaligned. Both are None with every other system.
    """

    fused: np.ndarray | None
    registered: np.ndarray | None
    deformation: np.ndarray | None
    valid: np.ndarray | None
    confidence: float
    source: str
    transform: np.ndarray
    cold: bool
    notes: tuple[Note, ...] = ()
    timing: dict[str, float] = field(default_factory=dict)
    deformation_fused: np.ndarray | None = None
    misregistration: np.ndarray | None = None


class Stopwatch:
    """Milliseconds by stage, from the moment it is made."""

    def __init__(self):
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End the stage of this name; the next one begins."""
        now = time.perf_counter()
        self._laps[name] = (now - self._last) * 1e3
        self._last = now

    def done(self) -> dict[str, float]:
        """Return the milliseconds of each stage, and 'total'."""
        return {**self._laps, 'total': (time.perf_counter() - self._start) * 1e3}


def result_of(
    alignment: Alignment,
    made: dict[str, np.ndarray | None],
    outputs: frozenset[str],
    clock: Stopwatch,
    notes: tuple[Note, ...] = (),
) -> FusionResult:
    """Return what was made of a pair, by name of output, as far as `outputs` ask for it."""
    return FusionResult(
        **{name: made.get(name) if name in outputs else None for name in OUTPUTS},
        confidence=alignment.confidence,
        source=alignment.source,
        transform=alignment.transform,
        cold=alignment.cold,
        notes=(*alignment.notes, *notes),
        timing=clock.done(),
    )

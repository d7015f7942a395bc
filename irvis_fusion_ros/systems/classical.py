"""
`classical`: registration and fusion without weights.

In a stream the previous alignment is the start, and the global search only runs again when the evidence
falls away. Too little evidence is said, and the last good alignment, or none, is used instead: doing
nothing is never made worse.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from irvis_fusion_ros.alignment import WEAK, Alignment, identity
from irvis_fusion_ros.classical import fusion
from irvis_fusion_ros.classical.registration import Frame, State
from irvis_fusion_ros.systems.registry import SystemConfig
from irvis_fusion_ros.tuning import TRACKING

# Confidence from which an alignment is taken up, and down to which one that was is followed.
TAKEN_UP, FOLLOWED = 0.5, 0.35
# What a search finds must have this much more evidence than the tracked alignment to replace it.
BETTER = 1.2
# Frames between searches that found nothing better: doubling from the first to the last.
PAUSES = (4, 64)
# A doubtful alignment is searched anew after so many frames, evidence or not.
DOUBTFUL, DOUBT_PAUSE = 0.6, 150


def build(config: SystemConfig, temporal: bool) -> 'Classical':
    """Return the system; there is nothing to choose."""
    return Classical(temporal)


class Classical:
    """Registration by structure maps and multi-scale fusion; see `systems.base.System`."""

    devices = ('cpu',)
    precision = 'float32'

    def __init__(self, temporal: bool):
        self._temporal = temporal
        self._pool = ThreadPoolExecutor(2, thread_name_prefix='classical')
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._state: State | None = None
        self._pause = 0
        self._since_search = 0

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Align thermal to visible; see `systems.base.System.register`."""
        shapes = (thermal.shape, visible.shape)
        if not self._temporal or (self._state is not None and self._state.shapes != shapes):
            self.reset()
        frame = Frame(thermal, visible, self._pool)
        self._since_search += 1
        best, source = None, 'track'
        if self._state is not None:
            best = frame.follow(self._state)
        if frame.has_structure and self._search_wanted(best):
            self._since_search = 0
            found = self._searched(frame, thermal, visible)
            sure = found.confidence >= TAKEN_UP
            if best is None or (sure and found.evidence > BETTER * best.evidence):
                best, source = found, 'search'
            replaced = sure and source == 'search'
            self._pause = 0 if replaced else min(max(PAUSES[0], 2 * self._pause), PAUSES[1])
        if best is None or best.confidence < (FOLLOWED if source == 'track' else TAKEN_UP):
            return self._hold(frame, best.confidence if best else 0.0)
        self._state = best
        return frame.alignment(best, source)

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        return fusion.fuse(visible, thermal, trust)

    def _searched(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        """Find an alignment from nothing."""
        return frame.search()

    def _search_wanted(self, tracked: State | None) -> bool:
        if self._since_search <= self._pause:
            return False
        if tracked is None:
            return True
        lost = tracked.confidence < FOLLOWED or tracked.evidence < TRACKING.suspicious * self._state.usual
        return lost or (tracked.confidence < DOUBTFUL and self._since_search > DOUBT_PAUSE)

    def _hold(self, frame: Frame, confidence: float) -> Alignment:
        """Use the last good alignment, or none."""
        if self._state is None:
            return identity(confidence, (WEAK,))
        return frame.alignment(self._state, 'held', (WEAK,), confidence)

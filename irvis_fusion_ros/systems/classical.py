"""
`classical`: registration and fusion without weights.

In a stream, registration starts from the previous alignment. The global search only runs again when the
evidence drops. If the evidence is too weak, the alignment carries the note WEAK, and the last good alignment,
or none, is used instead: without registration, the images are at least not worse than before.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from irvis_fusion_ros.alignment import WEAK, Alignment, refused
from irvis_fusion_ros.classical import fusion
from irvis_fusion_ros.classical.registration import Frame, State
from irvis_fusion_ros.systems.registry import SystemConfig
from irvis_fusion_ros.tuning import TRACKING

# Confidence from which a new alignment is accepted, and confidence down to which an accepted one is tracked.
ACCEPTED, TRACKED = 0.5, 0.35
# A search result replaces the tracked alignment if it has this many times its evidence.
BETTER = 1.2
# Frames between searches that found nothing better: the pause doubles from the first number up to the last.
PAUSES = (4, 64)
# An alignment with less confidence than DOUBTFUL is searched anew after this many frames, whatever its
# evidence.
DOUBTFUL, DOUBT_PAUSE = 0.6, 150


def build(config: SystemConfig, temporal: bool) -> 'Classical':
    """Return the system; the config has no options for it."""
    return Classical(temporal)


class Classical:
    """Registration by structure maps and multi-scale fusion; see `systems.base.System`."""

    devices = ('cpu',)
    precision = 'float32'

    STREAM = ('_state', '_pause', '_since_search')

    def __init__(self, temporal: bool):
        self._temporal = temporal
        self._pool = ThreadPoolExecutor(2, thread_name_prefix='classical')
        self.reset()

    def reset(self) -> None:
        """Drop the state of the stream."""
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
            best = self._track(frame, self._state)
        if self._search_wanted(best) and frame.has_structure:
            self._since_search = 0
            found = self._search(frame, thermal, visible)
            sure = found.confidence >= ACCEPTED
            if best is None or (sure and found.evidence > BETTER * best.evidence):
                best, source = found, 'search'
            replaced = sure and source == 'search'
            self._pause = 0 if replaced else min(max(PAUSES[0], 2 * self._pause), PAUSES[1])
        if best is None or best.confidence < (TRACKED if source == 'track' else ACCEPTED):
            return self._hold(frame, best.confidence if best else 0.0)
        if source == 'search':
            best = frame.finish(best)
        self._state = best
        return frame.alignment(best, source)

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        return fusion.fuse(visible, thermal, trust)

    def _search(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        """Find an alignment without a previous one, and judge it."""
        return frame.judged(frame.search())

    def _track(self, frame: Frame, last: State) -> State:
        """Follow the last alignment; it is judged again from time to time, and where it seems to be lost."""
        found = frame.follow(last)
        again = TRACKING.judges_again(found.evidence, last.usual, found.frames)
        return frame.judged(found) if again else found

    def _search_wanted(self, tracked: State | None) -> bool:
        if self._since_search <= self._pause:
            return False
        if tracked is None:
            return True
        lost = tracked.confidence < TRACKED or tracked.evidence < TRACKING.suspicious * self._state.usual
        return lost or (tracked.confidence < DOUBTFUL and self._since_search > DOUBT_PAUSE)

    def _hold(self, frame: Frame, confidence: float) -> Alignment:
        """Return the last good alignment, or identity."""
        if self._state is None:
            return refused(confidence)
        return frame.alignment(self._state, 'held', (WEAK,), confidence)

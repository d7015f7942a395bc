"""
Registration that networks propose and structure maps refine.

A network finds correspondences between the two spectra that hand-made structure maps miss. The maps measure
to a fraction of a pixel, where the network is noisy, and they track a rig in a third of the time. So the
network searches, and the maps of `classical` refine and track what it finds. Where the evidence for that is
weak, the maps search as well, and then another network. What two of them find is believed, and else the
proposal with most evidence (classical/evidence.py) is taken.
"""

import functools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.classical import evidence
from irvis_fusion_ros.classical.registration import Frame, State
from irvis_fusion_ros.systems.classical import ACCEPTED, Classical
from irvis_fusion_ros.systems.matcher import Matcher

# Mean distance, in visible pixels of an image WIDE pixels wide, from which what the maps made of a proposal
# has to be better than the proposal itself; and below which two proposals are the same (classical/evidence.py
# says what that was measured on).
CORRECTED, SAME, WIDE = 4.0, 5.0, 640
# Confidence from which nothing else searches: the maps take three times as long as the network.
SETTLED = 0.85
# A later proposal takes the place of an earlier one with this many times its odds: the maps search for what
# they are judged by. On 76 training pairs the mean error is 2.08 px with it, 2.25 without.
MORE = 3.0


class Hybrid(Classical):
    """
    `classical` with networks in place of its global search; see `systems.base.System`.

    network: searches first. other: searches last, or None. Both must be without state and return every
    proposal (Matcher with temporal False and `proposes`). temporal: as for Classical.
    """

    devices = ('cuda', 'cpu')

    def __init__(self, network: Matcher, temporal: bool, other: Matcher | None = None):
        super().__init__(temporal)
        self._network = network
        self._searches = [functools.partial(self._proposed, network), super()._search]
        if other is not None:
            self._searches.append(functools.partial(self._proposed, other))

    @property
    def precision(self) -> str:
        """The number format of the network."""
        return self._network.precision

    @property
    def network(self):
        """The network that searches."""
        return self._network.network

    def _search(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        return choose((search(frame, thermal, visible) for search in self._searches), frame, visible.shape[1])

    def _proposed(self, network: Matcher, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        """Return what the maps make of the proposal of a network, judged."""
        frame.prepare()
        proposed = network.register(thermal, visible)
        refined = frame.settle(proposed.transform)
        found = frame.judged(refined)
        if _apart(frame, refined, proposed, visible.shape[1]) > CORRECTED:
            # the maps fit a different alignment: it has to be the better one
            kept = frame.judged(frame.without_residual(proposed.transform, refined))
            found = max(found, kept, key=lambda state: state.confidence)
        return found


def choose(proposals: Iterable[State], frame: Frame, width: int) -> State:
    """
    Return the best of judged proposals, with its confidence; no more are asked for than are needed.

    width: of the visible image, pixels.
    """
    found: list[State] = []
    for proposal in proposals:
        found = _with(proposal, found, frame, width)
        # all are compared anew: the latest may have confirmed one that another had replaced
        best = functools.reduce(_better, found)
        if best.confidence >= (ACCEPTED if best.confirmed else SETTLED):
            break
    return best


def _better(earlier: State, later: State) -> State:
    """Return the later proposal where it has MORE times the odds of the earlier one."""
    new, old = later.confidence, earlier.confidence
    return later if new * (1 - old) > MORE * old * (1 - new) else earlier


def _apart(frame: Frame, state: State, proposal: Alignment, width: int) -> float:
    """Return the mean distance of two alignments in an image `width` wide, pixels as if it were WIDE wide."""
    return frame.mean_distance(state, proposal) * WIDE / width


def _with(proposal: State, found: list[State], frame: Frame, width: int) -> list[State]:
    """Return all alignments, of which a proposal confirms those that are the same, and they confirm it."""
    alignment = frame.alignment(proposal, 'search')
    same = [_apart(frame, each, alignment, width) < SAME for each in found]
    return [
        _confirmed(each) if alike else each
        for each, alike in zip((*found, proposal), (*same, any(same)), strict=True)
    ]


def _confirmed(state: State) -> State:
    if state.confirmed:
        return state
    return replace(state, confirmed=True, confidence=evidence.confirmed(state.confidence))

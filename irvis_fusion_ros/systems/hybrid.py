"""
Registration that a network proposes and structure maps refine.

A network finds correspondences between the two spectra that hand-made structure maps miss. The maps measure
to a fraction of a pixel, where the network is noisy, and they track a rig in a third of the time. So the
network searches, and the maps of `classical` refine and track what it finds. Where the evidence for that is
weak, the maps search as well, and the proposal with more evidence (classical/evidence.py) is taken.
"""

from dataclasses import replace

import numpy as np

from irvis_fusion_ros.classical.registration import Frame, State
from irvis_fusion_ros.systems.classical import ACCEPTED, Classical
from irvis_fusion_ros.systems.matcher import Matcher

# Search radius of the refinement around a proposal, level pixels.
SHARPENED = 4
# Mean distance, in visible pixels of an image WIDE pixels wide, from which what the maps made of a proposal
# has to be better than the proposal itself.
CORRECTED, WIDE = 4.0, 640
# Confidence of what the network proposed from which the maps do not search, which takes three times as long.
SETTLED = 0.85
# Confidence from which a proposal is accepted all the same, with confidence ACCEPTED, where the network has
# at least as much in it. Set on two validation scenes of roadscene that were refused though right to 2.5 px.
CONFIRMED = 0.1


class Hybrid(Classical):
    """
    `classical` with a network in place of its global search; see `systems.base.System`.

    network: must be without state and return every proposal (Matcher with temporal False and `proposes`).
    temporal: as for Classical.
    """

    devices = ('cuda', 'cpu')

    def __init__(self, network: Matcher, temporal: bool):
        super().__init__(temporal)
        self._network = network

    @property
    def precision(self) -> str:
        """The number format of the network."""
        return self._network.precision

    @property
    def network(self):
        """The network that searches."""
        return self._network.network

    def _search(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        proposed = self._network.register(thermal, visible)
        refined = frame.sharpen(proposed.transform, SHARPENED)
        first = frame.judged(refined)
        if frame.mean_distance(refined, proposed) * WIDE / visible.shape[1] > CORRECTED:
            # the maps fit a different alignment: refined once more, it has to be the better one
            kept = frame.judged(frame.without_residual(proposed.transform, refined))
            again = frame.judged(frame.sharpen(refined.backward, SHARPENED))
            first = max(again, kept, key=lambda state: state.confidence)
        if proposed.confidence >= ACCEPTED and CONFIRMED <= first.confidence < ACCEPTED:
            first = replace(first, confidence=ACCEPTED)
        if first.confidence >= SETTLED:
            return first
        second = super()._search(frame, thermal, visible)
        return max(first, second, key=lambda state: state.confidence)

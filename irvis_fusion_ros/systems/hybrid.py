"""
Registration that a network proposes and structure maps make exact.

A network sees what two spectra have in common where hand-made maps do not; they in turn measure to a fraction
of a pixel where it has noise, and follow a rig in a third of the time. So the network searches, the maps of
`classical` refine what it finds and track it.
"""

from dataclasses import replace

import numpy as np

from irvis_fusion_ros.classical.registration import Frame, State, believed
from irvis_fusion_ros.systems.classical import TAKEN_UP, Classical
from irvis_fusion_ros.systems.matcher import Matcher

# Level pixels that the maps look around what is proposed.
SHARPENED = 4
# Mean distance, visible pixels of an image of WIDE, to which the maps may correct the network.
CORRECTED, WIDE = 4.0, 640


class Hybrid(Classical):
    """
    `classical` whose search a network does; see `systems.base.System`.

    network: without a state of its own, and proposing whatever it found (Matcher with temporal False and
    least_confidence 0). temporal: as for Classical.
    """

    devices = ('cuda', 'cpu')

    def __init__(self, network: Matcher, temporal: bool):
        super().__init__(temporal)
        self._network = network

    @property
    def precision(self) -> str:
        """What the network is computed in."""
        return self._network.precision

    @property
    def network(self):
        """The network that searches."""
        return self._network.network

    def _searched(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        proposed = self._network.register(thermal, visible)
        refined = frame.sharpen(proposed.transform, SHARPENED)
        # The network and the maps err apart, so their odds multiply: of 255 wrong alignments of pairs to
        # learn from the network alone believes 50 and both together 4, of 262 right ones none is lost.
        belief = believed(refined.evidence, proposed.confidence)
        if frame.apart(refined, proposed) * WIDE / visible.shape[1] > CORRECTED:
            # what the maps see is elsewhere: little of it speaks against the proposal, much does not for it
            refined = frame.unrefined(proposed.transform, refined)
            belief = min(belief, proposed.confidence)
        if belief < TAKEN_UP:
            # what the network proposes is not believed: perhaps the maps find something that is
            return frame.search()
        return replace(refined, belief=belief)

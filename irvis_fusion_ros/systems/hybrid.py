"""
Registration that a network proposes and structure maps refine.

A network finds correspondences between the two spectra that hand-made structure maps miss. The maps measure
to a fraction of a pixel, where the network is noisy, and they track a rig in a third of the time. So the
network searches, and the maps of `classical` refine and track what it finds.
"""

from dataclasses import replace

import numpy as np

from irvis_fusion_ros.classical.registration import Frame, State, confidence_of
from irvis_fusion_ros.systems.classical import ACCEPTED, Classical
from irvis_fusion_ros.systems.matcher import Matcher

# Search radius of the refinement around a proposal, level pixels.
SHARPENED = 4
# Largest mean distance, in visible pixels of an image WIDE pixels wide, by which the maps may correct the
# network.
CORRECTED, WIDE = 4.0, 640


class Hybrid(Classical):
    """
    `classical` with a network in place of its global search; see `systems.base.System`.

    network: must be without state and return every proposal (Matcher with temporal False and least_confidence
    0). temporal: as for Classical.
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
        # Errors of the network and of the maps are independent, so their odds multiply. Of 255 wrong
        # alignments of training pairs, the network alone accepts 50, both together 4; of 262 correct ones
        # both keep all.
        belief = confidence_of(refined.evidence, proposed.confidence)
        if frame.mean_distance(refined, proposed) * WIDE / visible.shape[1] > CORRECTED:
            # The maps fit a different alignment: keep the proposal, and let the evidence of the maps only
            # lower its confidence.
            refined = frame.without_residual(proposed.transform, refined)
            belief = min(belief, proposed.confidence)
        if belief < ACCEPTED:
            # the proposal is rejected; the global search of the maps may find a better one
            return frame.search()
        return replace(refined, belief=belief)

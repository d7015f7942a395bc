"""
Registration that a network proposes and structure maps make exact.

A network sees what two spectra have in common where hand-made maps do not; they in turn measure to a fraction
of a pixel where it has noise, and follow a rig in a third of the time. So the network searches, the maps of
`classical` refine what it finds and track it.
"""

from dataclasses import replace

import numpy as np

from irvis_fusion_ros.systems.classical import Classical
from irvis_fusion_ros.systems.learned import Learned
from irvis_fusion_ros.systems.registration import Frame, State

# Mean distance, visible pixels of an image of WIDE, to which the maps may correct the network.
CORRECTED, WIDE = 4.0, 640


class Proposed(Classical):
    """
    `classical` whose search a network does; see `systems.base.System`.

    network: without a state of its own (Learned with temporal False). temporal: as for Classical.
    """

    devices = ('cuda', 'cpu')

    def __init__(self, network: Learned, temporal: bool):
        super().__init__(temporal)
        self._network = network

    @property
    def network(self):
        """The network that searches."""
        return self._network.network

    def _searched(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        proposed = self._network.register(thermal, visible)
        if proposed.source == 'identity':
            # the network does not believe what it sees: perhaps the maps do
            return frame.search()
        refined = frame.refine(proposed.transform)
        if frame.apart(refined, proposed) * WIDE / visible.shape[1] > CORRECTED:
            refined = frame.unrefined(proposed.transform, refined)
        return replace(refined, belief=proposed.confidence)

"""What one frame adds to a known rig: nearness, region by region, and a small shift."""

import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.calibration import Calibration


class Refiner:
    """
    Registers with a rig as the prior; it has the interface of a system's registration (systems/base.py).

    temporal: smooth over the stream. What lies outside what the rig can do is not believed: then the
    alignment is the rig's own, with the note 'outside_rig'.
    """

    def __init__(self, calibration: Calibration, temporal: bool):
        self.calibration = calibration
        self._temporal = temporal

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Align thermal to visible; see `systems.base.System.register`."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the stream, not the rig."""

"""What the lenses of a rig add to its transform, on the small grids of registration."""

import numpy as np

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.rig.refine import Bent


def of(calibration: Calibration, thermal: tuple[int, int], visible: tuple[int, int]) -> Bent | None:
    """Return it as `refine` takes it, for images of these shapes; None where the lenses are straight."""
    if calibration.thermal_lens is None and calibration.visible_lens is None:
        return None
    known: dict[tuple[int, int], np.ndarray] = {}

    def bent(shape: tuple[int, int]) -> np.ndarray:
        if shape not in known:
            residual = calibration.alignment(thermal, shape).residual
            stretched = (np.array(visible[::-1]) - 1) / (np.array(shape[::-1]) - 1)
            known[shape] = (residual * stretched).astype(np.float32)
        return known[shape]

    return bent

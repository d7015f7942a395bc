"""Tells where targets are in a thermal image, before it is registered: what the rig refines at them."""

import cv2
import numpy as np

from irvis_fusion_ros.systems.targets import Finder, TargetsConfig

# The thermal image is stretched between these percentiles.
PERCENTILES = (0.5, 99.5)


class WhereTargets:
    """
    The network of systems/targets.py on the thermal image alone.

    device: where it runs, 'cpu' or 'cuda:N'. It raises FileError, with the remedy, if the weights are missing
    or damaged.
    """

    def __init__(self, device: str = 'cpu', side: int = TargetsConfig().side):
        self._finder = Finder(device)
        self._side = side

    def __call__(self, thermal: np.ndarray) -> np.ndarray:
        """Return how likely each place is a target, h x w float32 [0, 1]; thermal: H x W float32 [0, 1]."""
        scale = min(1.0, self._side / min(thermal.shape))
        size = tuple(max(8, round(side * scale)) for side in thermal.shape[::-1])
        small = cv2.resize(thermal, size, interpolation=cv2.INTER_AREA)
        low, high = np.percentile(small, PERCENTILES)
        small = np.clip((small - low) / max(high - low, 1e-3), 0, 1).astype(np.float32)
        return self._finder(small)

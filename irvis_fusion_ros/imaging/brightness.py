"""From the images of a stream to what registration sees."""

import numpy as np

from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.depth import DepthConfig, VisibleDepth
from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig


class Brightness:
    """
    From the pixels of a stream to brightness, H x W float32 [0, 1].

    tone, depth: the gain control of the thermal image, and which bits of the visible one are used.
    """

    def __init__(self, tone: ToneConfig = ToneConfig(), depth: DepthConfig = DepthConfig()):
        self._tone, self._depth = ThermalTone(tone), VisibleDepth(depth)

    def reset(self) -> None:
        """Forget the stream."""
        self._tone.reset()
        self._depth.reset()

    def thermal(self, pixels: np.ndarray, order: str = 'bgr') -> np.ndarray:
        """Return the brightness of a thermal image."""
        gray = color.gray(pixels, order)
        self._tone.update(gray)
        return self._tone.apply(gray)

    def visible(self, pixels: np.ndarray, order: str = 'bgr') -> np.ndarray:
        """Return the brightness of a visible image."""
        return color.luminance(self._depth.adjust(pixels)[0], order)

    def of(self, camera: str, pixels: np.ndarray, order: str = 'bgr') -> np.ndarray:
        """Return the brightness of an image of a camera."""
        return getattr(self, camera)(pixels, order)

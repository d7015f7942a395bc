"""From the images of a stream to what registration sees."""

import numpy as np

from irvis_fusion_ros.imaging import borders, color
from irvis_fusion_ros.imaging.depth import DepthConfig, VisibleDepth
from irvis_fusion_ros.imaging.scene import LastingMargins, PairScene, Scenes
from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig


class Brightness:
    """
    From the pixels of a stream to brightness, H x W float32 [0, 1].

    tone, depth: the gain control of the thermal image, and which bits of the visible one are used.
    thermal_roi, visible_roi: as for scene.Scenes.
    """

    def __init__(
        self,
        tone: ToneConfig = ToneConfig(),
        depth: DepthConfig = DepthConfig(),
        thermal_roi: tuple[int, ...] = (),
        visible_roi: tuple[int, ...] = (),
    ):
        self._tone, self._depth = ThermalTone(tone), VisibleDepth(depth)
        self._scenes = Scenes(thermal_roi, visible_roi)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._tone.reset()
        self._depth.reset()
        self._scenes.reset()
        self._margins = {'thermal': LastingMargins(), 'visible': LastingMargins()}

    def set_rois(self, thermal: tuple[int, ...], visible: tuple[int, ...]) -> None:
        """Change what is scene, and forget the stream."""
        self._scenes = Scenes(thermal, visible)
        self.reset()

    def of(self, camera: str, pixels: np.ndarray, order: str = 'bgr') -> np.ndarray:
        """Return the brightness of any image of a camera, without its border: how it moves."""
        if camera == 'visible':
            pixels = self._depth.adjust(pixels)[0]
        gray = color.gray(pixels, order)
        found = borders.find(borders.as_byte(gray))[0]
        inner = np.ascontiguousarray(self._margins[camera].settled(found, gray.shape).inner(gray))
        if camera == 'visible':
            return color.luminance(inner, order)
        self._tone.update(inner)
        return self._tone.apply(inner)

    def pair(
        self,
        thermal: np.ndarray,
        visible: np.ndarray,
        thermal_order: str = 'bgr',
        visible_order: str = 'bgr',
    ) -> tuple[np.ndarray, np.ndarray, PairScene]:
        """Return the brightness of both images of a pair, and what of them is scene. Raises ImageError."""
        gray = color.gray(thermal, thermal_order)
        visible = self._depth.adjust(visible)[0]
        scenes = self._scenes.find(gray, color.gray(visible, visible_order))
        self._tone.update(gray, scenes.thermal.counted())
        images = self._tone.apply(gray), color.luminance(visible, visible_order)
        return *images, self._scenes.without_overlays(scenes, *images)

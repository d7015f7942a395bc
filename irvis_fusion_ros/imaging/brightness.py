"""From the images of a stream to what registration and fusion see: brightness, and what of it is scene."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.imaging import borders, color, content
from irvis_fusion_ros.imaging.depth import DepthConfig, VisibleDepth
from irvis_fusion_ros.imaging.scene import LastingMargins, PairScene, Scenes, of_whole
from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig

EXCHANGED = Note(
    'exchanged',
    'the thermal images have colours and the visible ones have none: are the cameras exchanged? If they are '
    'not, let the thermal camera send gray values instead of a palette',
)


@dataclass(frozen=True)
class BrightPair:
    """
    A pair, as registration and fusion see it.

    thermal: values, H x W, as they were recorded. visible: H x W or H x W x 3, uint8, or uint16 that uses
    all its bits. bright, luma: thermal and visible brightness, H x W float32 [0, 1], each on its own grid.
    absent: why an image shows nothing (content.absent), by camera. cut_anew: other margins are cut away than
    from the pair before. notes: what the user should know of the images.
    """

    thermal: np.ndarray
    visible: np.ndarray
    bright: np.ndarray
    luma: np.ndarray
    scenes: PairScene
    absent: dict[str, str]
    cut_anew: bool
    notes: tuple[Note, ...]

    def aligned_by(self, register: Callable[[np.ndarray, np.ndarray], Alignment]) -> Alignment:
        """Return the alignment of the whole images, of which `register` is given what is scene."""
        if self.scenes.whole:
            return register(self.bright, self.luma)
        shown = self.scenes.thermal.shown(self.bright), self.scenes.visible.shown(self.luma)
        return of_whole(register(*shown), self.scenes)


class Brightness:
    """
    From the pixels of a stream to brightness, H x W float32 [0, 1].

    tone, depth: the gain control of the thermal image, and which bits of the visible one are used.
    thermal_roi, visible_roi: as for scene.Scenes.
    """

    STREAM = ('_tone', '_depth', '_scenes', '_last', '_margins')

    def __init__(
        self,
        tone: ToneConfig = ToneConfig(),
        depth: DepthConfig = DepthConfig(),
        thermal_roi: tuple[int, ...] = (),
        visible_roi: tuple[int, ...] = (),
    ):
        self.set_tone(tone)
        self.set_depth(depth)
        self.set_rois(thermal_roi, visible_roi)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._tone.reset()
        self._depth.reset()
        self._scenes.reset()
        self._last: PairScene | None = None
        self._margins = {'thermal': LastingMargins(), 'visible': LastingMargins()}

    def set_tone(self, tone: ToneConfig) -> None:
        """Change the gain control."""
        self._tone = ThermalTone(tone)

    def set_depth(self, depth: DepthConfig) -> None:
        """Change the depth of the visible image."""
        self._depth = VisibleDepth(depth)

    def set_rois(self, thermal: tuple[int, ...], visible: tuple[int, ...]) -> None:
        """Change what is scene."""
        self.rois = thermal, visible
        self._scenes = Scenes(thermal, visible)

    def apply(self, thermal: np.ndarray) -> np.ndarray:
        """Return the brightness of thermal values, H x W, with the gain of the last image."""
        return self._tone.apply(thermal)

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
        lap: Callable[[str], None] = lambda stage: None,
    ) -> BrightPair:
        """
        Return the brightness of both images of a pair, and what of them is scene.

        lap is told when a stage ends, 'scene' and 'tone'. Raises ImageError.
        """
        visible, notes = self.visible_alone(visible)
        if content.are_exchanged(thermal, visible):
            notes = (*notes, EXCHANGED)
        values, gray = color.gray(thermal, thermal_order), color.gray(visible, visible_order)
        luma = color.luminance(gray, visible_order)
        scenes = self._scenes.find(values, gray)
        cut_anew = self._last is not None and scenes.cuts != self._last.cuts
        lap('scene')
        inner = scenes.thermal.margins.inner(thermal), scenes.visible.margins.inner(visible)
        why = {name: content.absent(each) for name, each in zip(('thermal', 'visible'), inner, strict=True)}
        absent = {name: reason for name, reason in why.items() if reason}
        # what a blank frame would teach the gain control is wrong for the next one
        learns = 'thermal' not in absent
        bright, scenes = self._brightened(values, gray if gray.dtype == np.uint8 else luma, scenes, learns)
        lap('tone')
        return BrightPair(values, visible, bright, luma, scenes, absent, cut_anew, notes)

    def visible_alone(self, visible: np.ndarray) -> tuple[np.ndarray, tuple[Note, ...]]:
        """Return a visible image that uses all its bits, and what the user should know of it."""
        return self._depth.adjust(visible)

    def thermal_alone(self, thermal: np.ndarray) -> None:
        """Let the gain follow thermal values, H x W, that came without a visible image."""
        self._tone.update(thermal, self._scenes.of_thermal(thermal, self._last).counted())

    def _brightened(
        self, thermal: np.ndarray, visible: np.ndarray, scenes: PairScene, learns: bool
    ) -> tuple[np.ndarray, PairScene]:
        """Return the brightness of thermal values, and the scene without overlays."""
        first = not self._tone.ready
        if learns or first:
            # what is overlaid is only known of the frame before
            self._tone.update(thermal, scenes.overlaid_as(self._last).thermal.counted())
        bright = self._tone.apply(thermal)
        scenes = self._scenes.without_overlays(scenes, bright, visible)
        if first and scenes.thermal.overlay is not None:
            self._tone.reset()
            self._tone.update(thermal, scenes.thermal.counted())
            bright = self._tone.apply(thermal)
        self._last = scenes
        return bright, scenes

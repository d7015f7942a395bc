"""
What of a pair of images is the scene: not borders, overlays, or what lies beyond a region of interest.

Borders are cut away before the images are registered: a network takes the edge of a border for one of the
scene, and a black rim as well. Corners and overlays are filled from what is around them.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.geometry.margins import NONE, Margins
from irvis_fusion_ros.imaging import borders, overlays
from irvis_fusion_ros.imaging.fill import fill
from irvis_fusion_ros.imaging.scene_margins import LastingMargins, cuts_of, has_black_rim, with_roi

# Pairs of a stream from one look for overlays to the next. One is known to be where it was in at least half
# of the last looks, about a quarter of them new; by so many pixels its digits change.
LOOK = 5
KNOWN, NEW, NEAR = 0.5, 0.25, 16
# The share of an image that has to be scene for full confidence.
ENOUGH = 0.5
LITTLE = Note(
    'little_scene',
    'borders and overlays take more than half of an image: set the cameras to record without them',
)


@dataclass(frozen=True)
class Scene:
    """
    The scene of one image, H x W.

    cut: what is cut away before registration. margins: the border. corners: uint8 0/1 of the image without
    its margins, where rounded corners are, or None. overlay: uint8 0/1, H x W, or None. black_rim: whether
    the border is registered as it is.
    """

    shape: tuple[int, int]
    cut: Margins = NONE
    margins: Margins = NONE
    corners: np.ndarray | None = None
    overlay: np.ndarray | None = None
    black_rim: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of the image is scene."""
        return not self.bordered and self.overlay is None

    @property
    def bordered(self) -> bool:
        """Whether the image has borders."""
        return bool(self.margins) or self.corners is not None

    def within(self) -> np.ndarray:
        """Return what the borders enclose, overlays as well, H x W uint8 0/1."""
        found = np.zeros(self.shape, np.uint8)
        self.margins.inner(found)[:] = 1 if self.corners is None else 1 - self.corners
        return found

    def mask(self) -> np.ndarray:
        """Return where the scene is, H x W uint8 0/1."""
        found = self.within()
        return found if self.overlay is None else found & (1 - self.overlay)

    def counted(self) -> np.ndarray | None:
        """Return `mask`, or None where all of the image is scene."""
        return None if self.whole else self.mask()

    def shown(self, image: np.ndarray) -> np.ndarray:
        """Return what is registered of an image, H x W float32: it is cut, and what is no scene is filled."""
        if self.black_rim:
            if self.overlay is None and self.corners is None:
                return image
            return replace(self, margins=NONE, corners=None, black_rim=False).shown(image)
        return self._filled(image, self.cut)

    def filled(self, image: np.ndarray) -> np.ndarray:
        """Return an image, H x W float32, as `shown`, but what would be cut is filled as well."""
        return replace(self, cut=NONE).shown(image)

    def smooth(self, image: np.ndarray) -> np.ndarray:
        """Return an image, H x W float32, without its margins, and with corners and overlays filled."""
        return self._filled(image, self.margins)

    def _filled(self, image: np.ndarray, without: Margins) -> np.ndarray:
        hole = without.inner(1 - self.mask())
        image = np.ascontiguousarray(without.inner(image))
        return fill(image, hole) if hole.any() else image

    def sampled(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Sample `smooth` at points of the whole image, H x W x 2 float32; its edge goes on beyond it."""
        offset = np.float32([self.margins.left, self.margins.top])
        smooth = self.smooth(image)
        return cv2.remap(smooth, points - offset, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class PairScene:
    """The scene of both images of a pair."""

    thermal: Scene
    visible: Scene

    @property
    def whole(self) -> bool:
        """Whether all of both images is scene."""
        return self.thermal.whole and self.visible.whole

    @property
    def cuts(self) -> tuple[Margins, Margins]:
        """What is cut of both images before registration."""
        return self.thermal.cut, self.visible.cut

    def share(self) -> float:
        """Return the share of the image that is scene, of the image of which less is."""
        return min(float(scene.mask().mean()) for scene in (self.thermal, self.visible))

    def enclosed(self) -> np.ndarray | None:
        """Return what the borders of both images enclose, before registration, on the visible grid."""
        if not (self.thermal.bordered or self.visible.bordered):
            return None
        shape = self.visible.shape
        # the end of a border that both have is equal and sharp, as an overlay is
        thermal = cv2.erode(self.thermal.within(), np.ones((5, 5), np.uint8), borderValue=0)
        return self.visible.within() & cv2.resize(thermal, shape[::-1], interpolation=cv2.INTER_NEAREST)

    def overlaid_as(self, other: 'PairScene | None') -> 'PairScene':
        """Return the scene without the overlays of another one, if that is of the same shapes."""
        if other is None or (other.thermal.shape, other.visible.shape) != (
            self.thermal.shape,
            self.visible.shape,
        ):
            return self
        return PairScene(
            replace(self.thermal, overlay=other.thermal.overlay),
            replace(self.visible, overlay=other.visible.overlay),
        )

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Return where both images show the scene, H x W bool; points sample the thermal one."""
        thermal = cv2.remap(self.thermal.mask(), points, None, cv2.INTER_NEAREST)
        return (thermal & self.visible.mask()) > 0


def of_whole(found: Alignment, scenes: PairScene) -> Alignment:
    """
    Return an alignment of the scenes as one of the whole images.

    Its confidence falls where the scenes are less than ENOUGH of the images.
    """
    share = scenes.share() / ENOUGH
    notes = (*found.notes, LITTLE) if share < 1 else found.notes
    found = replace(found, confidence=found.confidence * min(1.0, share), notes=notes)
    # no alignment at all is the same for both
    if found.source == 'identity' or not any(scenes.cuts):
        return found
    return found.uncut(*((scene.shape, scene.cut) for scene in (scenes.thermal, scenes.visible)))


class Scenes:
    """
    Finds the scene of pairs, with the memory of a stream.

    rois: (x, y, width, height) of the thermal and the visible image, a width or height of 0 reaching to the
    edge.
    """

    STREAM = ('_margins', '_shapes', '_pairs', '_overlay', '_areas')

    def __init__(self, thermal_roi: tuple[int, ...] = (), visible_roi: tuple[int, ...] = ()):
        self._rois = thermal_roi, visible_roi
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._margins = (LastingMargins(), LastingMargins())
        self._shapes, self._pairs = ((0, 0), (0, 0)), 0
        self._overlay: np.ndarray | None = None
        self._areas: np.ndarray | None = None

    def find(self, thermal: np.ndarray, visible: np.ndarray) -> PairScene:
        """
        Return the scene of a thermal and a visible image, H x W of integers or floats, without overlays.

        Raises ImageError for a region of interest that is not within its image.
        """
        images = [borders.as_byte(image) for image in (thermal, visible)]
        found = borders.find(*images)
        shapes = [image.shape for image in images]
        settled = [memory.settled(*each) for memory, *each in zip(self._margins, found, shapes, strict=True)]
        named = zip(settled, ('thermal', 'visible'), self._rois, shapes, strict=True)
        margins = [with_roi(*each) for each in named]
        black = has_black_rim(images, margins)
        cuts = [NONE, NONE] if black else cuts_of(margins, shapes)
        return PairScene(
            *(
                Scene(image.shape, cut, own, borders.corners(own.inner(image)), black_rim=black)
                for image, cut, own in zip(images, cuts, margins, strict=True)
            )
        )

    def of_thermal(self, thermal: np.ndarray, last: PairScene | None) -> Scene:
        """Return the scene of a thermal image, H x W, that came alone: as in the last pair, if any."""
        if last is not None and last.thermal.shape == thermal.shape:
            return last.thermal
        image = borders.as_byte(thermal)
        margins = with_roi(borders.find(image)[0], 'thermal', self._rois[0], image.shape)
        return Scene(image.shape, margins, margins, borders.corners(margins.inner(image)))

    def without_overlays(self, scenes: PairScene, thermal: np.ndarray, visible: np.ndarray) -> PairScene:
        """
        Return scenes with what overlays take of them, looked for at every LOOK-th pair of a stream.

        Images are H x W float32 brightness in [0, 1], or uint8.
        """
        shapes = thermal.shape, visible.shape
        if shapes != self._shapes or self._pairs % LOOK == 0:
            if shapes != self._shapes:
                self._shapes, self._pairs, self._areas = shapes, 0, None
            self._overlay = self._known(self._common(scenes, thermal, visible))
        self._pairs += 1
        found = self._overlay
        if found is None:
            return scenes
        own = found
        if thermal.shape != visible.shape:
            own = cv2.resize(found, thermal.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return PairScene(replace(scenes.thermal, overlay=own), replace(scenes.visible, overlay=found))

    def _common(self, scenes: PairScene, thermal: np.ndarray, visible: np.ndarray) -> np.ndarray | None:
        images = [
            image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=255)
            for image in (thermal, visible)
        ]
        if thermal.shape != visible.shape:
            images[0] = cv2.resize(images[0], visible.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return overlays.common(*images, scenes.enclosed())

    def _known(self, found: np.ndarray | None) -> np.ndarray | None:
        """Return what of an overlay is where overlays were in the stream: what moves is scene."""
        shape = self._shapes[1]
        grid = tuple(max(1, side // NEAR) for side in shape)
        if found is None:
            here = np.zeros(grid, np.float32)
        else:
            near = cv2.dilate(found, np.ones((NEAR, NEAR), np.uint8))
            here = cv2.resize(near, grid[::-1], interpolation=cv2.INTER_NEAREST).astype(np.float32)
        if self._areas is None:
            self._areas = here
            return found
        self._areas += np.float32(NEW) * (here - self._areas)
        if found is None:
            return None
        known = (self._areas >= KNOWN).astype(np.uint8)
        found = found & cv2.resize(known, shape[::-1], interpolation=cv2.INTER_NEAREST)
        return found if found.any() else None

"""Fuses a pair with a system, where both images show the scene, and gives the result its colours."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.brightness import BrightPair
from irvis_fusion_ros.steps.place import Placed
from irvis_fusion_ros.systems.base import Correction, PostRegistration, System

# Said where a network that fuses colours gets none.
GRAY = (
    'backbone {} takes the colours of the visible image, but that is gray: its brightness is used for all '
    'three; have the camera send colours, or name a backbone that takes brightness'
)


@dataclass(frozen=True)
class Fused:
    """
    What was fused of a pair.

    luma: brightness, H x W float32 [0, 1], or colours, H x W x 3, red first. correction: how a system
    corrected it, if it did. notes: what the user should know.
    """

    luma: np.ndarray
    correction: Correction | None
    notes: tuple[Note, ...] = ()

    def of_correction(self) -> dict[str, np.ndarray]:
        """Return the outputs that tell of a correction, by name."""
        if self.correction is None:
            return {}
        moved = self.correction.moved
        return {
            'deformation_fused': warp.mark_outside(moved, moved.shape),
            'misregistration': self.correction.misregistration,
        }


def fuse(
    system: System,
    pair: BrightPair,
    placed: Placed,
    fading: np.ndarray,
    orders: tuple[str, str],
    brightness_of: Callable[[np.ndarray], np.ndarray],
    backbone: str | None,
) -> Fused:
    """
    Fuse a pair.

    fading: the weight of the thermal image, H x W float32 [0, 1]. orders: of the colours of the thermal and
    the visible image. brightness_of: turns thermal values into brightness. backbone: its name, for a note.
    """
    visible, notes = pair.luma, ()
    if getattr(system, 'takes_rgb', False):
        if pair.visible.ndim == 2:
            notes = (Note('visible_gray', GRAY.format(backbone)),)
        else:
            visible = color.rgb(pair.visible, orders[1])
    if pair.scenes.whole:
        # beyond its edge the thermal image goes on with its edge values: black were a new edge
        thermal = brightness_of(color.gray(placed.thermal, orders[0]))
        return Fused(*_fused(system, visible, thermal, fading), notes)
    return Fused(*_fused_scene(system, visible, pair, placed.points, fading), notes)


def painted(pair: BrightPair, fused: np.ndarray, order: str, gray: bool) -> np.ndarray:
    """
    Return the fused picture, H x W uint8, or H x W x 3 uint8 where the visible image has colours.

    fused: as Fused.luma. order: of the colours. gray: without colours.
    """
    if pair.visible.ndim == 2 or gray:
        return color.to_byte(color.brightness(fused))
    if fused.ndim == 3:
        colours = color.to_byte(fused)
        return colours if order == 'rgb' else cv2.cvtColor(colours, cv2.COLOR_RGB2BGR)
    return color.with_luminance(color.eight_bit(pair.visible), pair.luma, fused)


def _fused(
    system: System, visible: np.ndarray, thermal: np.ndarray, fading: np.ndarray
) -> tuple[np.ndarray, Correction | None]:
    """Fuse brightness or colours; returns the result, and how it was corrected, if it was."""
    if not isinstance(system, PostRegistration):
        return system.fuse(visible, thermal, fading), None
    corrected = system.correct(visible, thermal, fading)
    return corrected.fused, corrected


def _fused_scene(
    system: System, visible: np.ndarray, pair: BrightPair, points: np.ndarray, fading: np.ndarray
) -> tuple[np.ndarray, Correction | None]:
    """Do what `_fused` does where both images show the scene; the visible image stays elsewhere."""
    luma, scene = pair.luma, pair.scenes.visible
    inner = scene.margins.inner
    sampled = pair.scenes.thermal.sampled(pair.bright, inner(points))
    part, corrected = _fused(system, scene.smooth(visible), sampled, np.ascontiguousarray(inner(fading)))
    unfused = visible if part.ndim == visible.ndim else luma
    fused = unfused.copy()
    inner(fused)[:] = part
    if scene.overlay is not None:
        kept = scene.overlay > 0
        fused[kept] = unfused[kept]
    if corrected is None or not scene.margins:
        return fused, corrected
    moved = np.zeros((*luma.shape, 2), np.float32)
    misregistration = np.zeros(luma.shape, np.float32)
    inner(moved)[:] = corrected.moved
    inner(misregistration)[:] = corrected.misregistration
    return fused, Correction(fused, moved, misregistration)

"""
Follows a rig that has changed: a knock that turned a camera, or a step of the zoom.

One frame that lies outside what the rig can do is a bad frame. Several in a row, in which a search from
nothing finds the same alignment, are another rig: its matrix is taken from that alignment, and what the
distance of the scene changes is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.geometry import transform

OUTSIDE, MOVED = 'outside_rig', 'rig_moved'


@dataclass(frozen=True)
class FollowConfig:
    """
    patience: frames outside the rig before a search. agreeing: searches in a row that have to find the same,
    within `apart` of the visible width at the corners, each with this confidence at least.

    Reasoned, not tuned: single frames that fit nothing are common (a hand before the lens), and what a wrong
    search finds is not found again in the next frames.
    """

    patience: int = 3
    agreeing: int = 3
    apart: float = 0.01
    confidence: float = 0.7


class Registration(Protocol):
    """What a prior is beside: it finds alignments without one (systems/base.py)."""

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Align thermal to visible."""

    def reset(self) -> None:
        """Forget the stream."""


class Follower:
    """
    Registers with a rig as the prior, and goes over to another rig where the rig has changed.

    prior: registers with a rig; its attribute `calibration` is set. search: registers without one.
    moved: called with the new rig whenever the rig has changed.
    """

    def __init__(
        self,
        prior: Registration,
        search: Registration,
        moved: Callable[[Calibration], None] = lambda rig: None,
        config: FollowConfig = FollowConfig(),
    ):
        self.rig: Calibration = prior.calibration
        self._prior, self._search = prior, search
        self._tell, self._config = moved, config
        self._now: Calibration | None = None
        self._outside = 0
        self._found: tuple[np.ndarray, ...] = ()

    @property
    def calibration(self) -> Calibration:
        """The rig as it is now."""
        return self._now or self.rig

    def reset(self) -> None:
        """Forget the stream; the rig is the one that was given."""
        self._prior.reset()
        self._search.reset()
        self._now = None
        self._outside = 0
        self._found = ()

    def register(self, thermal: np.ndarray, visible: np.ndarray, *more) -> Alignment:
        """Align thermal to visible; see `systems.base.System.register`."""
        self._prior.calibration = self.calibration
        aligned = self._prior.register(thermal, visible, *more)
        if not any(note.code == OUTSIDE for note in aligned.notes):
            self._outside, self._found = 0, ()
            return aligned
        self._outside += 1
        if self._outside < self._config.patience:
            return aligned
        if self._outside == self._config.patience:
            self._search.reset()
        searched = self._search.register(thermal, visible)
        if searched.confidence < self._config.confidence:
            self._found = ()
            return aligned
        if not self._agrees(searched, visible.shape):
            return replace(searched, notes=(*searched.notes, *aligned.notes))
        self._now = moved_rig(self.calibration, searched, thermal.shape, visible.shape)
        self._outside, self._found = 0, ()
        self._prior.reset()
        self._tell(self._now)
        text = 'the rig has changed (a knock, a zoom) and is followed; measure it again with ~/calibrate'
        return replace(searched, notes=(*searched.notes, Note(MOVED, text)))

    def _agrees(self, found: Alignment, shape: tuple[int, int]) -> bool:
        """Take another alignment that was found, and say whether the last ones are the same."""
        height, width = shape
        corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1.0]])
        at = transform.apply(found.transform, corners)
        limit = self._config.apart * width
        self._found = (*(each for each in self._found if np.abs(each - at).max() < limit), at)
        return len(self._found) >= self._config.agreeing


def moved_rig(
    rig: Calibration, found: Alignment, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]
) -> Calibration:
    """Return a rig whose matrix is that of an alignment, and which is the same else."""
    height, width = visible_shape
    points = np.stack(np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 7)), -1)
    points = points.reshape(-1, 2)
    stretched = transform.apply(found.transform, points)
    thermal = transform.apply(transform.stretch(visible_shape, thermal_shape), stretched)
    thermal = transform.apply(transform.resize_transform(thermal_shape, rig.thermal_shape), thermal)
    visible = transform.apply(transform.resize_transform(visible_shape, rig.visible_shape), points)
    (thermal_height, thermal_width) = rig.thermal_shape
    # only where the thermal image is: a lens means nothing far outside it
    inside = (thermal > -0.5).all(1) & (thermal < [thermal_width, thermal_height]).all(1)
    thermal, visible = thermal[inside], visible[inside]
    if rig.thermal_lens:
        thermal = transform.apply(rig.thermal_lens.k, rig.thermal_lens.to_rays(thermal))
    if rig.visible_lens:
        visible = transform.apply(rig.visible_lens.k, rig.visible_lens.to_rays(visible))
    known = np.isfinite(thermal).all(1) & np.isfinite(visible).all(1)
    if known.sum() < 8:
        return rig
    matrix, _ = cv2.findHomography(thermal[known], visible[known])
    return rig if matrix is None else replace(rig, matrix=matrix)

"""Shows what stands out of the thermal image in what was fused of a pair."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from irvis_fusion_ros import lazy
from irvis_fusion_ros.config import unknown
from irvis_fusion_ros.errors import ChoiceError
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.brightness import BrightPair
from irvis_fusion_ros.imaging.scene import PairScene
from irvis_fusion_ros.imaging.tone import ThermalTone, ToneConfig
from irvis_fusion_ros.steps.place import Placed
from irvis_fusion_ros.systems import registry

if TYPE_CHECKING:
    from irvis_fusion_ros.systems.targets import Found

# It brings torch, which takes nearly 200 MB and is not everywhere.
_TARGETS = 'irvis_fusion_ros.systems.targets:Targets'
# Colours of highlighted targets by their sign, red, green and blue; how much of it they take.
TINTS = {1: (1.0, 0.45, 0.05), -1: (0.1, 0.55, 1.0)}
TINTED = 0.8
# How the thermal image is stretched for the search for targets, whatever the gain that is fused.
CONTRAST = ToneConfig(normalisation='percentile')


@dataclass(frozen=True)
class Shown:
    """
    luma: what was fused, with its targets. where: by sign where they are, H x W float32 [0, 1], for those
    that are highlighted.
    """

    luma: np.ndarray
    where: dict[int, np.ndarray] = field(default_factory=dict)

    def tinted(self, picture: np.ndarray, order: str) -> np.ndarray:
        """Return a picture, H x W x 3 uint8, with highlighted targets; a gray one stays as it is."""
        if picture.ndim == 3:
            for sign, share in self.where.items():
                picture = color.tinted(picture, share * TINTED, TINTS[sign], order)
        return picture


# What was sought: the stretched thermal image and its weight on the visible grid, and what was found.
Sought = tuple[np.ndarray, np.ndarray, 'Found']


class TargetLayer:
    """
    Finds targets and shows them.

    kind: one of registry.TARGETS; highlight: one of registry.HIGHLIGHTS. emphasised: targets are shown in
    brightness. temporal: follow a stream. device: where the network runs. Raises ChoiceError for unknown
    names, and FileError, with the remedy, if the weights are missing or damaged.
    """

    STREAM = ('_targets', '_contrast')

    def __init__(self, kind: str, highlight: str, emphasised: bool, temporal: bool, device: str):
        for name, value, valid in (
            ('targets', kind, registry.TARGETS),
            ('highlight', highlight, registry.HIGHLIGHTS),
        ):
            if value not in valid:
                raise ChoiceError(name, unknown(name, value, valid))
        self.chosen = kind, highlight
        self._emphasised, self._highlight = emphasised, highlight == 'tint'
        wanted = kind != 'off' and (emphasised or self._highlight)
        self._targets = lazy.load(_TARGETS)(kind, temporal, device=device) if wanted else None
        self._contrast = ThermalTone(CONTRAST)
        # a GPU is not shared by two threads: one may record what it runs
        self._beside = ThreadPoolExecutor(1, thread_name_prefix='targets') if device == 'cpu' else None

    @property
    def wanted(self) -> bool:
        """Whether any are shown."""
        return self._targets is not None

    def reset(self) -> None:
        """Forget the stream."""
        self._contrast.reset()
        if self._targets is not None:
            self._targets.reset()

    @contextmanager
    def sought(
        self, pair: BrightPair, placed: Placed, fading: np.ndarray
    ) -> Iterator[Callable[[], Sought] | None]:
        """
        Seek the targets of a pair beside what is done within; gives a function that returns them.

        fading: the weight of the thermal image, H x W float32 [0, 1]. It gives None where none are to be
        shown: a blank thermal image teaches nothing and shows no target.
        """
        if self._targets is None or 'thermal' in pair.absent:
            yield None
            return
        seek = functools.partial(self._seek, pair, placed, fading)
        if self._beside is None:
            yield seek
            return
        seeking = self._beside.submit(seek)
        try:
            yield seeking.result
        finally:
            wait([seeking])

    def show(self, luma: np.ndarray, sought: Callable[[], Sought] | None, scenes: PairScene) -> Shown:
        """Show targets in what was fused (fuse.Fused.luma), where both images show the scene."""
        if sought is None:
            return Shown(luma)
        inner = scenes.visible.margins.inner
        where = {} if self._highlight else None
        part = np.array(inner(color.brightness(luma)))
        self._targets.show(part, *sought(), where)
        if self._emphasised and luma.ndim == 2:
            luma = part if part.shape == luma.shape else luma.copy()
            inner(luma)[:] = part
        if where is None:
            return Shown(luma)
        if scenes.visible.margins:
            for sign, share in where.items():
                where[sign] = np.zeros(luma.shape[:2], np.float32)
                inner(where[sign])[:] = share
        return Shown(luma, where)

    def _seek(self, pair: BrightPair, placed: Placed, fading: np.ndarray) -> Sought:
        thermal, inner = pair.scenes.thermal, pair.scenes.visible.margins.inner
        self._contrast.update(pair.thermal, thermal.counted())
        if pair.scenes.whole and placed.thermal.ndim == 2:
            warmth = self._contrast.stretch(placed.thermal)
        else:
            warmth = thermal.sampled(self._contrast.stretch(pair.thermal), inner(placed.points))
        trust = np.ascontiguousarray(inner(fading))
        return warmth, trust, self._targets.find(warmth, trust)

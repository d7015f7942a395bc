"""Pairs that are kept for a rig, and their evidence summed: what no single pair shows can be seen in all."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from irvis_fusion_ros.classical.correlation import Surfaces, Tiles, correlate
from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.margins import Margins
from irvis_fusion_ros.imaging.scene import PairScene

# Pixels of the images that are kept: more than the finest level has.
KEPT_PIXELS = 480 * 640


@dataclass(frozen=True)
class View:
    """
    A pair that is kept, small: brightness H x W uint8, what is no scene filled. stamp: seconds, of the
    visible image. gap: by how much the stamp of the thermal image is later, each by its own clock, seconds,
    if known. cuts: the borders of both images, shares of their sides (left, top, right, bottom).
    """

    thermal: np.ndarray
    visible: np.ndarray
    stamp: float
    name: str
    gap: float | None = None
    cuts: np.ndarray = field(default_factory=lambda: np.zeros((2, 4)))

    def cut(self, thermal: Margins, visible: Margins) -> 'View':
        """Return it without these margins."""
        return replace(self, thermal=thermal.inner(self.thermal), visible=visible.inner(self.visible))


def view(
    thermal: np.ndarray,
    visible: np.ndarray,
    stamp: float,
    name: str = '',
    gap: float | None = None,
    scenes: PairScene | None = None,
) -> View:
    """Return a pair, H x W float32 [0, 1], as it is kept; scenes: what of it counts, None is all of it."""
    if scenes is None or scenes.whole:
        return View(_kept(thermal), _kept(visible), stamp, name, gap)
    kept = _kept(scenes.thermal.filled(thermal)), _kept(scenes.visible.filled(visible))
    cuts = [
        np.divide([cut.left, cut.top, cut.right, cut.bottom], image.shape[1::-1] * 2)
        for cut, image in zip(scenes.cuts, (thermal, visible), strict=True)
    ]
    return View(*kept, stamp, name, gap, np.array(cuts))


def common_cuts(views: Sequence[View]) -> tuple[Margins, Margins]:
    """Return the borders that most of these pairs have, pixels of the images that are kept."""
    shares = np.median([each.cuts for each in views], axis=0)
    sides = (image.shape[1::-1] * 2 for image in (views[0].thermal, views[0].visible))
    return tuple(
        Margins(*np.ceil(part * side).astype(int).tolist()) for part, side in zip(shares, sides, strict=True)
    )


class Levels:
    """The levels of several pairs of one rig."""

    def __init__(self, levels: Sequence[Level]):
        self.levels = levels

    @classmethod
    def of(cls, views: Sequence[View], pixels: int) -> 'Levels':
        """Return the levels of pairs."""
        return cls(
            [
                Level(brightness(each.visible), ThermalPyramid(brightness(each.thermal)), pixels)
                for each in views
            ]
        )

    def chosen(self, numbers: Sequence[int]) -> 'Levels':
        """Return some of the levels."""
        return Levels([self.levels[number] for number in numbers])

    def __getitem__(self, number: int) -> Level:
        return self.levels[number]

    def __len__(self) -> int:
        return len(self.levels)

    def each(
        self, grid: Tiles, backward: Sequence[np.ndarray], radius: int, pool: Executor | None = None
    ) -> Iterator[Surfaces]:
        """Yield the surfaces of each pair at its transform."""
        for level, matrix in zip(self.levels, backward, strict=True):
            yield correlate(level, grid, matrix, None, radius, pool)

    def summed(
        self, grid: Tiles, backward: Sequence[np.ndarray], radius: int, pool: Executor | None = None
    ) -> Surfaces:
        """Return the sum over pairs of the surfaces at one transform each, weighted by their structure."""
        return summed(self.each(grid, backward, radius, pool), np.ones(len(self), np.float32))


def summed(surfaces: Iterable[Surfaces], counts: np.ndarray) -> Surfaces:
    """Return the sum of surfaces, weighted by their structure and by how often each counts."""
    values = energy = cover = None
    for found, count in zip(surfaces, counts, strict=True):
        weight = found.energy * found.cover * count
        if values is None:
            values, energy, cover = found.values * weight, weight, found.cover * count
        else:
            values += found.values * weight
            energy += weight
            cover += found.cover * count
    total = np.float32(counts.sum())
    values /= np.maximum(energy, 1e-9)
    return Surfaces(values=values, energy=energy / total, cover=cover / total)


def moved(level: Level, backward: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return a backward transform with a step, 3x3 in level pixels, applied before it."""
    return transform.normalised(backward @ level.to_full @ step @ level.to_level)


def matrix_of(
    backward: np.ndarray, kept: View, thermal: tuple[int, int], visible: tuple[int, int]
) -> np.ndarray:
    """Return the matrix of a calibration, for images of these shapes, from the transform of a kept pair."""
    small, light = kept.thermal.shape, kept.visible.shape
    matrix = np.linalg.inv(transform.stretch(light, small) @ backward)
    matrix = transform.resize_transform(light, visible) @ matrix
    return transform.normalised(matrix @ transform.resize_transform(thermal, small))


def brightness(image: np.ndarray) -> np.ndarray:
    """Return an image that is kept as H x W float32 brightness, [0, 1]."""
    return image.astype(np.float32) * np.float32(1 / 255)


def _kept(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, (KEPT_PIXELS / image.size) ** 0.5)
    if scale < 1:
        shape = tuple(round(side * scale) for side in image.shape)
        image = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)

"""
The transform of a rig that fits a set of pairs.

It is searched in a few pairs together. Then every pair tells what it differs by, and the sum of all pairs,
each moved by its own difference, sharpens the transform.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.classical import field_fit
from irvis_fusion_ros.classical.correlation import Surfaces, Tiles, tiles
from irvis_fusion_ros.classical.field_fit import FitConfig
from irvis_fusion_ros.classical.pyramid import Level
from irvis_fusion_ros.classical.registration import confidence_of
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.rig import start
from irvis_fusion_ros.rig.frame_fit import Difference, Freedom
from irvis_fusion_ros.rig.refine import Refined, refine
from irvis_fusion_ros.rig.views import Levels, View, brightness, moved

SHARPENED = FitConfig('homography', sharpness=30, reach=(2.0, 1.2))


@dataclass(frozen=True)
class FittedConfig:
    """
    searched: pairs that are searched together. rounds: how often pairs and rig are fitted in turn. agreeing:
    share of the median evidence from which a pair counts. pixels, spacing, radius, model: of the sum that
    sharpens the transform.
    """

    searched: int = 10
    rounds: int = 2
    agreeing: float = 0.5
    pixels: int = 260 * 347
    spacing: int = 14
    radius: int = 3
    model: FitConfig = SHARPENED


@dataclass(frozen=True)
class Fitted:
    """
    backward: 3x3, of the images that are kept. pairs: what each differs from it by. agree: which of them show
    this rig, bools. halves: the transform by every second pair alone, to tell how sure it is. evidence: of
    all together.
    """

    backward: np.ndarray
    pairs: tuple[Refined, ...]
    agree: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    evidence: float

    @property
    def confidence(self) -> float:
        """How likely it is right, [0, 1]."""
        return confidence_of(self.evidence)

    def uncertainty(self, shape: tuple[int, int]) -> float:
        """Return the standard error of where it puts a pixel, mean over a visible image of `shape`."""
        first, second = (transform.displacement(half, shape) for half in self.halves)
        # half the difference of two halves is the error of their mean
        return float(np.linalg.norm(first - second, axis=-1).mean() / 2)


def fit(
    views: Sequence[View],
    pool: ThreadPoolExecutor,
    known: np.ndarray | None = None,
    config: FittedConfig = FittedConfig(),
) -> Fitted:
    """Fit a rig to pairs; known: its transform, 3x3 of the images that are kept, where there is one."""
    backward = known
    if backward is None:
        chosen = [views[i] for i in _spread(len(views), config.searched)]
        backward = start.find(chosen, pool)[0].backward
    free = Freedom.of(views[0].visible.shape[1])
    levels = Levels.of(views, config.pixels)
    for _ in range(config.rounds):
        pairs = _each(views, backward, free, pool)
        evidence = np.array([pair.evidence for pair in pairs])
        agree = evidence >= config.agreeing * np.median(evidence)
        # the mean of what pairs differ by is the rig's own
        common = np.median([pairs[i].fit.difference.numbers for i in np.flatnonzero(agree)], axis=0)
        surfaces, halves = _sharpened(levels, pairs, agree, config)
        level, grid = levels[0], _grid(levels[0], config)
        steps = [field_fit.fit(level, grid, each, config.model) for each in (surfaces, *halves)]
        model = pairs[0].model
        about = moved(level, backward, model.step(Difference(common, model.none.regions)))
        backward, *halves = (moved(level, about, found.step) for found in steps)
    pairs = _each(views, backward, free, pool)
    return Fitted(backward, tuple(pairs), agree, tuple(halves), steps[0].score * steps[0].energy ** 0.5)


def _each(
    views: Sequence[View], backward: np.ndarray, free: Freedom, pool: ThreadPoolExecutor
) -> list[Refined]:
    return list(
        pool.map(
            lambda each: refine(brightness(each.thermal), brightness(each.visible), backward, free), views
        )
    )


def _sharpened(
    levels: Levels, pairs: Sequence[Refined], agree: np.ndarray, config: FittedConfig
) -> tuple[Surfaces, tuple[Surfaces, Surfaces]]:
    """Return the surfaces of all pairs, each moved by its own difference, and of every second one."""
    used = np.flatnonzero(agree)
    grid = _grid(levels[0], config)
    halves = []
    for part in (used[::2], used[1::2]):
        chosen = levels.chosen(part)
        halves.append(chosen.summed(grid, [pairs[i].backward for i in part], config.radius))
    first, second = halves
    energy = first.energy + second.energy
    values = first.values * first.energy + second.values * second.energy
    both = Surfaces(values / np.maximum(energy, 1e-9), energy / 2, (first.cover + second.cover) / 2)
    return both, (first, second)


def _grid(level: Level, config: FittedConfig) -> Tiles:
    return tiles(level, config.spacing, 2)


def _spread(count: int, wanted: int) -> np.ndarray:
    """Return at most `wanted` of `count` numbers, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))

"""
The transform of a rig that fits a set of pairs.

It is searched in a few pairs together. Then every pair tells what it differs by, and the sum of all pairs,
each moved by its own difference, sharpens the transform.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.classical import field_fit
from irvis_fusion_ros.classical.correlation import Surfaces, Tiles, tiles
from irvis_fusion_ros.classical.field_fit import FitConfig
from irvis_fusion_ros.classical.pyramid import Level
from irvis_fusion_ros.classical.registration import EVEN_EVIDENCE, MIDDLE_PIXELS, confidence_of
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.rig import start
from irvis_fusion_ros.rig.frame_fit import Difference, Freedom
from irvis_fusion_ros.rig.refine import QUICK, Refined, refine
from irvis_fusion_ros.rig.views import Levels, View, brightness, moved

# Times the evidence at which an alignment is as likely wrong as right, from which it is clear.
CLEAR = 2.0
SHARPENED = FitConfig('homography', sharpness=30, reach=(2.0, 1.2))


@dataclass(frozen=True)
class FittedConfig:
    """
    searched: pairs that are searched together. rounds: how often pairs and rig are fitted in turn. agreeing:
    share of the evidence that a quarter of the pairs exceed, from which a pair counts. strain: sigmas beyond
    which it is of another rig. pixels, spacing, radius, model: of the sum that sharpens the transform. told:
    pairs whose evidence together tells how likely it is right.
    """

    searched: int = 10
    rounds: int = 2
    agreeing: float = 0.5
    strain: float = 4.0
    pixels: int = 260 * 347
    spacing: int = 14
    radius: int = 3
    told: int = 16
    model: FitConfig = SHARPENED


@dataclass(frozen=True)
class Fitted:
    """
    backward: 3x3, of the images that are kept. pairs: what each differs from it by. agree: which of them show
    this rig, bools. halves: the transform by every second pair alone, to tell how sure it is. evidence: of
    several pairs together, none moved by itself. independent: how many views these are.
    """

    backward: np.ndarray
    pairs: tuple[Refined, ...]
    agree: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    evidence: float
    independent: float

    @property
    def confidence(self) -> float:
        """How likely it is right, [0, 1]: the evidence of a wrong one falls with the number of views."""
        return confidence_of(self.evidence * self.independent**0.5)

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
    free = Freedom.of(views[0].visible.shape[1]).wide()
    levels = Levels.of(views, config.pixels)
    for _ in range(config.rounds):
        pairs = _each(views, backward, free, pool)
        evidence = np.array([pair.evidence for pair in pairs])
        # near things lower the evidence of a frame, but what is clear needs no comparison; and half of the
        # pairs may be of another rig
        usual = np.percentile(evidence, 75)
        agree = evidence >= min(config.agreeing * usual, CLEAR * EVEN_EVIDENCE)
        agree &= np.array([pair.fit.strain for pair in pairs]) < config.strain
        if agree.sum() < 2:
            agree[:] = True
        surfaces, halves = _sharpened(levels, pairs, agree, config)
        level, grid = levels[0], _grid(levels[0], config)
        steps = [field_fit.fit(level, grid, each, config.model) for each in (surfaces, *halves)]
        about = _centred(backward, pairs, agree)
        backward, *halves = (moved(level, about, found.step) for found in steps)
    pairs = _each(views, backward, free, pool)
    told = [views[i] for i in np.flatnonzero(agree)[_spread(int(agree.sum()), config.told)]]
    return Fitted(
        backward,
        tuple(pairs),
        agree,
        tuple(halves),
        _evidence(told, backward),
        independent_views(told),
    )


def _centred(backward: np.ndarray, pairs: Sequence[Refined], agree: np.ndarray) -> np.ndarray:
    """Return the transform of a rig with what most pairs differ from it by."""
    common = np.median([pairs[i].fit.difference.numbers for i in np.flatnonzero(agree)], axis=0)
    model, level = pairs[0].model, pairs[0].level
    return moved(level, backward, model.step(Difference(common, model.none.regions)))


def _evidence(views: Sequence[View], backward: np.ndarray) -> float:
    """Return the evidence of pairs together for one transform."""
    levels = Levels.of(views, MIDDLE_PIXELS)
    grid = tiles(levels[0], 14, 3)
    surfaces = levels.summed(grid, [backward] * len(levels), 5)
    found = field_fit.fit(levels[0], grid, surfaces, FitConfig('affine'))
    return found.score * found.energy**0.5


def independent_views(views: Sequence[View]) -> float:
    """Return how many different views these are: a drone that hovers shows one again and again."""
    edges = []
    for each in views:
        small = cv2.resize(brightness(each.visible), (96, 72), interpolation=cv2.INTER_AREA)
        edges.append((small - cv2.GaussianBlur(small, (0, 0), 2)).ravel())
    alike = np.corrcoef(np.array(edges)) if len(edges) > 1 else np.ones((1, 1))
    alike = np.nan_to_num(alike, nan=1.0)
    return float(np.trace(alike) ** 2 / (alike**2).sum())


def _each(
    views: Sequence[View],
    backward: np.ndarray,
    free: Freedom,
    pool: ThreadPoolExecutor,
) -> list[Refined]:
    return list(
        pool.map(
            lambda each: refine(brightness(each.thermal), brightness(each.visible), backward, free, QUICK),
            views,
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

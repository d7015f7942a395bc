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
from irvis_fusion_ros.classical.correlation import tiles
from irvis_fusion_ros.classical.field_fit import FitConfig
from irvis_fusion_ros.classical.registration import EVEN_EVIDENCE, FINE_PIXELS, MIDDLE_PIXELS, confidence_of
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.rig import start
from irvis_fusion_ros.rig.frame_fit import Difference, Freedom
from irvis_fusion_ros.rig.refine import QUICK, Refined, refine
from irvis_fusion_ros.rig.views import Levels, View, brightness, moved, summed

# Times the evidence at which an alignment is as likely wrong as right, from which it is clear.
CLEAR = 2.0
# Standard error that no number of pairs lowers, share of the visible width, and the correlation of pairs in a
# row beyond which they count no less. Both were set on two made flights, by day and by night: a rig of 20 of
# their pairs is 0.4 px of 640 from the truth.
LEAST_ERROR = 0.0005
MOST_ALIKE = 0.5
SHARPENED = FitConfig('homography', sharpness=30, reach=(2.0, 1.2))


@dataclass(frozen=True)
class FittedConfig:
    """
    searched: pairs that are searched together. rounds: how often pairs and rig are fitted in turn. agreeing:
    share of the evidence that a quarter of the pairs exceed, from which a pair counts. strain: sigmas beyond
    which it is of another rig. pixels, spacing, radius, model: of the sum that sharpens the transform. told:
    pairs whose evidence together tells how likely it is right. draws: how often pairs are drawn anew.
    """

    searched: int = 10
    rounds: int = 2
    agreeing: float = 0.5
    strain: float = 4.0
    pixels: int = FINE_PIXELS
    spacing: int = 14
    radius: int = 3
    told: int = 16
    draws: int = 32
    model: FitConfig = SHARPENED


@dataclass(frozen=True)
class Fitted:
    """
    backward: 3x3, of the images that are kept. pairs: what each differs from it by. agree: which of them show
    this rig, bools. drawn: the transform by pairs that are drawn anew, to tell how sure it is. evidence: of
    several pairs together, none moved by itself. independent: how many views these are.
    """

    backward: np.ndarray
    pairs: tuple[Refined, ...]
    agree: np.ndarray
    drawn: tuple[np.ndarray, ...]
    evidence: float
    independent: float

    @property
    def confidence(self) -> float:
        """How likely it is right, [0, 1]: the evidence of a wrong one falls with the number of views."""
        return confidence_of(self.evidence * self.independent**0.5)

    def uncertainty(self, shape: tuple[int, int]) -> float:
        """
        Return the standard error of where it puts a pixel, mean over a visible image of `shape`.

        Each pair counts as one measurement, by how much the transform changes with pairs that are drawn anew;
        pairs in a row that differ from the rig alike count as fewer.
        """
        found = transform.displacement(self.backward, shape)
        apart = [transform.displacement(each, shape) - found for each in self.drawn]
        used = [self.pairs[i] for i in np.flatnonzero(self.agree)]
        variance = np.mean(np.square(apart), 0).sum(-1) * len(used) / (len(used) - 1)
        return float(np.sqrt(variance * _counted_twice(used) + (LEAST_ERROR * shape[1]) ** 2).mean())


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
        used = np.flatnonzero(agree)
        sharpened = _Sharpened(levels.chosen(used), [pairs[i] for i in used], backward, config)
        backward = sharpened.by(np.ones(len(used)))
    drawn = sharpened.drawn()
    pairs = _each(views, backward, free, pool)
    told = [views[i] for i in np.flatnonzero(agree)[_spread(int(agree.sum()), config.told)]]
    return Fitted(
        backward,
        tuple(pairs),
        agree,
        drawn,
        _evidence(told, backward),
        independent_views(told),
    )


class _Sharpened:
    """
    The transform by the sum of pairs, each moved by its own difference from a rig.

    levels, pairs: those that agree. backward: the rig.
    """

    def __init__(self, levels: Levels, pairs: Sequence[Refined], backward: np.ndarray, config: FittedConfig):
        self._level, self._backward, self._config = levels[0], backward, config
        self._model = pairs[0].model
        self._grid = tiles(levels[0], config.spacing, 2)
        self._numbers = np.array([pair.fit.difference.numbers for pair in pairs])
        self._surfaces = [*levels.each(self._grid, [pair.backward for pair in pairs], config.radius)]

    def by(self, counts: np.ndarray) -> np.ndarray:
        """Return the transform, 3x3 backward, where each pair counts as often as `counts` say."""
        common = np.median(np.repeat(self._numbers, counts.astype(int), 0), axis=0)
        about = moved(
            self._model.level, self._backward, self._model.step(Difference(common, self._model.none.regions))
        )
        surfaces = summed(self._surfaces, counts.astype(np.float32))
        return moved(
            self._level, about, field_fit.fit(self._level, self._grid, surfaces, self._config.model).step
        )

    def drawn(self) -> tuple[np.ndarray, ...]:
        """Return the transforms by pairs that are drawn anew from these, each as many (a bootstrap)."""
        rng, count = np.random.default_rng(0), len(self._surfaces)
        return tuple(
            self.by(rng.multinomial(count, np.full(count, 1 / count))) for _ in range(self._config.draws)
        )


def _counted_twice(pairs: Sequence[Refined]) -> float:
    """Return by how much pairs in a row that differ alike raise the variance of their mean, 1 for none."""
    shifts = np.array([pair.numbers[:2] for pair in pairs])
    shifts = shifts - shifts.mean(0)
    alike = float((shifts[1:] * shifts[:-1]).sum()) / max(float((shifts**2).sum()), 1e-9)
    alike = min(max(alike, 0.0), MOST_ALIKE)
    return (1 + alike) / (1 - alike)


def _evidence(views: Sequence[View], backward: np.ndarray) -> float:
    """Return the evidence of pairs together for one transform."""
    levels = Levels.of(views, MIDDLE_PIXELS)
    grid = tiles(levels[0], 14, 3)
    surfaces = levels.summed(grid, [backward] * len(levels), 5)
    return field_fit.fit(levels[0], grid, surfaces, FitConfig('affine')).evidence


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


def _spread(count: int, wanted: int) -> np.ndarray:
    """Return at most `wanted` of `count` numbers, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))

"""
Judges an alignment, whoever proposed it: how much of the structure that both images share it explains.

The measure is the same for every preset, so that proposals of different methods compare. Two things are
measured on structure maps, at a resolution that no method ends on:

- Every tile is correlated at all small shifts around the alignment. A right alignment has nearly the best
  correlation of every tile at once (`attained`). By chance, each tile prefers a shift of its own; under
  parallax, so do the tiles of everything at another depth than that which decided.
- The whole images are correlated at all large shifts (`ambiguity`). Strips, fences and tiles agree about as
  well one period further, and noise agrees nowhere.

Both become one confidence, by one map for all presets.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.classical.correlation import Surfaces, correlate, tiles
from irvis_fusion_ros.classical.field_fit import LEAST_COVER
from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid


@dataclass(frozen=True)
class EvidenceConfig:
    """
    pixels: of the visible image. spacing, span: of the tiles, see correlation.Tiles. radius: of the shifts
    around the alignment, level pixels: 13 pixels of an image 640 wide. padding: size of the canvas of the
    large shifts over that of the image. near: shifts up to this, level pixels, are the alignment itself.
    overlap: least share, at a shift, of what overlaps at the alignment; smaller parts agree by chance.
    bias, attained, strength: of the logistic map to confidence, fitted to 216 right and 102 wrong alignments
    (of two scenes, or more than 5 px off) by maps and network, of training scenes of roadscene and
    m3svd_frames; bias is 0.4 lower, for pairs of unlike drawn scenes.
    usual, elsewhere: ambiguity up to which nothing is taken away, and what each unit beyond it takes from the
    logit. small: what halving the pixels e times takes from it, because in few pixels anything agrees. Set on
    30 training scenes of roadscene at 128x96, each with its own and with another scene's thermal image: of 90
    proposals for unlike scenes 14 were believed, none is, and of 47 right ones all are.
    unique, ambiguous: ambiguity from which confidence fades, and from which none is left. Right alignments of
    whole scenes have at most .62; drawn strips, checkers, fences, grids and dots .92 or more.
    confirmed: what a second method that finds the same alignment, by a search of its own, multiplies the odds
    by. Of those 30 scenes, another method was less than 5 pixels (of 640) away for 45 of 47 right proposals,
    and for none of 90 for unlike scenes, where the nearest was 12 away: 28 times as often at least (95 %). 30
    was tried first; 50 was set after two validation pairs of roadscene had been refused with it though right.
    most: confidence that it can lend. Both methods end on the same maps, and may both follow what is near
    where it fills the image.
    """

    pixels: int = 180 * 240
    spacing: int = 10
    span: int = 3
    radius: int = 5
    padding: float = 1.5
    overlap: float = 0.5
    near: float = 7.0
    bias: float = -9.4
    attained: float = 17.83
    strength: float = 1.43
    usual: float = 0.55
    elsewhere: float = 8.0
    small: float = 1.5
    unique: float = 0.85
    ambiguous: float = 0.92
    confirmed: float = 50.0
    most: float = 0.89


CONFIG = EvidenceConfig()
# Least energy at a shift, as a share of that at the alignment: little overlap is not divided by nothing.
LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Evidence:
    """
    attained: share of the best correlation nearby, [0, 1], that the alignment has. strength: that correlation
    above the mean of all shifts, times the root of the energy of the structure. ambiguity: correlation of the
    best other shift over that of the alignment, both above the mean of all; 1 or more: as good elsewhere.
    pixels: of the level it was measured at.
    """

    attained: float
    strength: float
    ambiguity: float
    pixels: int = CONFIG.pixels

    @property
    def confidence(self) -> float:
        """How likely the alignment is right to 5 pixels of an image 640 wide, [0, 1]."""
        logit = (
            CONFIG.bias
            + CONFIG.attained * self.attained
            + CONFIG.strength * np.log(max(self.strength, 1e-3))
            - CONFIG.elsewhere * max(self.ambiguity - CONFIG.usual, 0)
            + CONFIG.small * min(np.log(self.pixels / CONFIG.pixels), 0)
        )
        left = (CONFIG.ambiguous - self.ambiguity) / (CONFIG.ambiguous - CONFIG.unique)
        return float(np.clip(left, 0, 1) / (1 + np.exp(-logit)))


def level_of(visible: np.ndarray, thermal: ThermalPyramid, pool: Executor | None = None) -> Level:
    """Return the level that alignments of a pair are judged at; pool: see `Level`."""
    return Level(visible, thermal, CONFIG.pixels, pool=pool)


def judge(level: Level, alignment: Alignment, pool: Executor | None = None) -> Evidence:
    """Return the evidence for an alignment; level: of `level_of`. pool: judges in two threads."""
    residual = alignment.residual
    if residual is not None:
        residual = cv2.resize(residual, level.shape[::-1], interpolation=cv2.INTER_LINEAR)

    def elsewhere() -> float:
        support = np.ones(level.shape, np.float32) if level.support is None else level.support
        return ambiguity((level.maps, support), level.moving(alignment.transform, residual, 0))

    beside = elsewhere if pool is None else pool.submit(elsewhere).result
    grid = tiles(level, CONFIG.spacing, CONFIG.span)
    surfaces = correlate(level, grid, alignment.transform, residual, CONFIG.radius)
    return Evidence(*attained(surfaces), beside(), level.maps[0].size)


def confirmed(confidence: float) -> float:
    """Return a confidence, [0, 1], once a second method has found the same alignment."""
    odds = CONFIG.confirmed * confidence
    return max(confidence, min(odds / (odds + 1 - confidence), CONFIG.most))


def confidence_of(thermal: np.ndarray, visible: np.ndarray, alignment: Alignment) -> float:
    """Return how likely an alignment is right, [0, 1]; images as for `systems.base.System.register`."""
    return judge(level_of(visible, ThermalPyramid(thermal)), alignment).confidence


def attained(surfaces: Surfaces) -> tuple[float, float]:
    """Return `Evidence.attained` and `Evidence.strength` of the alignment at shift 0; 0 without structure."""
    radius, values = surfaces.radius, surfaces.values
    usual = values.mean((0, 1))
    energy = surfaces.energy * (surfaces.cover > LEAST_COVER)
    total = float(energy.sum())
    here = values[radius - 1 : radius + 2, radius - 1 : radius + 2].max((0, 1))
    most = float(((values.max((0, 1)) - usual) * energy).sum())
    if most <= 0:
        return 0.0, 0.0
    found = max(float(((here - usual) * energy).sum()), 0.0)
    return found / most, found / total * (total / energy.size) ** 0.5


def ambiguity(reference: tuple[np.ndarray, np.ndarray], moving: tuple[np.ndarray, np.ndarray]) -> float:
    """
    Return how well two images agree at the best other shift, over how well they do where they are.

    reference, moving: structure maps, of which the first two planes are used, and support, H x W 0/1 float32.
    """
    height, width = reference[1].shape
    canvas = tuple(cv2.getOptimalDFTSize(int(side * CONFIG.padding)) for side in (height, width))
    # the shifts that do not wrap around
    down, along = (
        np.arange(-reach, reach + 1)
        for reach in (min(canvas[0] - height, height // 2), min(canvas[1] - width, width // 2))
    )

    def spectra(maps: np.ndarray, support: np.ndarray) -> list[np.ndarray]:
        """Return those of both planes, of the energy, and of the support."""
        found = []
        for plane in (maps[0], maps[1], maps[0] ** 2 + maps[1] ** 2, support):
            padded = np.zeros(canvas, np.float32)
            padded[:height, :width] = plane
            found.append(cv2.dft(padded))
        return found

    def product(own: int, other: int) -> np.ndarray:
        return cv2.mulSpectrums(ours[own], theirs[other], 0, conjB=True)

    def lags(spectrum: np.ndarray) -> np.ndarray:
        every = cv2.dft(spectrum, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        return every[np.ix_(down, along)]

    ours, theirs = spectra(*moving), spectra(*reference)
    agreed = lags(product(0, 0) + product(1, 1))
    energy = [lags(product(2, 3)), lags(product(3, 2))]
    overlap = lags(product(3, 3))
    centre = (len(down) // 2, len(along) // 2)
    overlap = np.clip(overlap / max(overlap[centre], 1.0), 0, 1)
    # chance grows as the overlap shrinks
    norm = np.prod([np.maximum(each, LEAST_SHARE * each[centre] + 1e-6) for each in energy], 0)
    score = agreed * np.sqrt(overlap / norm)
    distance = np.hypot(down[:, None], along)
    far = score[(distance > CONFIG.near) & (overlap > CONFIG.overlap)]
    if far.size == 0:
        return 1.0
    here = score[distance <= 1.5].max() - far.mean()
    return float(min((far.max() - far.mean()) / max(here, 1e-9), 9.0)) if far.max() > far.mean() else 1.0

"""
Registration of one pair by structure maps: a global search, or tracking from the previous frame.

The global search over scale, rotation and shift proposes hypotheses. They are refined level by level, each
level keeps the best ones, and at the end the one with the most evidence wins. A projective model and a smooth
residual are fitted at the finest level.
"""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.classical import evidence as judging
from irvis_fusion_ros.classical.consistency import local_trust
from irvis_fusion_ros.classical.correlation import Surfaces, Tiles, correlate, tiles
from irvis_fusion_ros.classical.field_fit import FitConfig, fit
from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid
from irvis_fusion_ros.classical.residual import basis_of, field_of
from irvis_fusion_ros.classical.search import Candidate, SearchConfig, search
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.tuning import TRACKING

# Pixels of the visible image at the three levels.
COARSE_PIXELS = 96 * 128
MIDDLE_PIXELS = judging.CONFIG.pixels
FINE_PIXELS = 260 * 347
# Evidence at which an alignment is as likely wrong as right (measured on real pairs).
EVEN_EVIDENCE = 0.029
# Standard deviation of brightness below which an image counts as flat.
FLAT = 1e-3
# Shift error of a tile, full visible pixels, that halves its trust.
TOLERANCE = 3.0
# Two hypotheses with a corner distance below this, in coarse level pixels, count as one: after the search
# (ALIKE), and during refinement (SAME).
ALIKE, SAME = 5.0, 2.0
# A search that ends with less evidence is repeated with more hypotheses (measured on real pairs).
SURE = 0.03

# Shifts, level pixels, that the finest level looks at: evidence is comparable where these are the same.
SEEN = 3

SIMILARITY = FitConfig('similarity')
AFFINE = FitConfig('affine', reach=(2.0, 1.2))
AFFINE_FINE = FitConfig('affine', reach=(3.0, 2.0, 1.2))
DENSE = FitConfig('homography', sharpness=15, reach=(3.0, 1.5), tile_weight=0.07)
DENSE_LAST = FitConfig('homography', sharpness=15, reach=(1.5,), tile_weight=0.07)


@dataclass(frozen=True)
class FinalConfig:
    """
    The last measurement of a new alignment.

    pixels: of its level. spacing, span: of its tiles. harmonics: see `structure`.

    Tuned on 4 to 8 training pairs each of roadscene and m3svd_frames and on 8 pairs of made flights. Pixels
    make it exact, neither more passes nor smaller tiles: with those of the finest level made flights are off
    by 0.37 px instead of 0.29. The second harmonic costs a third more time, takes 0.03 px off made flights
    and nothing off real pairs. With 1.5 times the size of the residual the consistency of elastic_mid is 0.06
    to 0.09 px better on validation pairs, but their labels and made flights are 0.05 px farther away.
    """

    pixels: int = 360 * 480
    spacing: int = 19
    span: int = 3
    harmonics: int = 1


FINAL = FinalConfig()


@dataclass(frozen=True)
class Effort:
    """How many hypotheses are kept for the similarity, the affine, the middle and the finest level."""

    similarity: int
    affine: int
    middle: int
    finest: int


QUICK = Effort(10, 4, 3, 2)
THOROUGH = Effort(32, 12, 6, 3)


@dataclass(frozen=True)
class State:
    """
    One alignment, as the fit represents it.

    backward: 3x3. residual: coefficients of the cosine basis, level pixels, applied before `backward`.
    evidence: of this frame. usual: evidence smoothed over the stream. frames: how many frames the alignment
    has been tracked. confidence: how likely the alignment is right, [0, 1], as `Frame.judged` found it; it
    holds as long as the evidence shows the same alignment. confirmed: whether two methods found it.
    """

    shapes: tuple
    backward: np.ndarray
    residual: np.ndarray
    evidence: float
    trust: np.ndarray
    usual: float
    frames: int = 1
    confidence: float = 0.0
    confirmed: bool = False


def confidence_of(evidence: float, before: float = 0.5) -> float:
    """
    Return the probability, [0, 1], that an alignment near a known one is right, from evidence and the prior.

    evidence: of the maps themselves. Where nothing is known before, evidence.judge says more.
    """
    for_it, against = before * evidence**2, (1 - before) * EVEN_EVIDENCE**2
    return for_it / max(for_it + against, 1e-12)


def gain_of(frames: int, moved: float) -> float:
    """Return the weight of a new frame in an alignment tracked for `frames`; moved: level pixels."""
    return max(TRACKING.least_share(frames), min(1.0, moved / TRACKING.followed_level))


class Frame:
    """One pair on its finest level, and the registration methods on it."""

    def __init__(self, thermal: np.ndarray, visible: np.ndarray, pool: ThreadPoolExecutor):
        self._visible = visible
        self._pool = pool
        self._shapes = (thermal.shape, visible.shape)
        self._pyramid = ThermalPyramid(thermal)
        self._level = Level(visible, self._pyramid, FINE_PIXELS, pool=pool)
        self._wide, self._narrow = tiles(self._level, 18, 3), tiles(self._level, 14, 2)
        self._basis = basis_of(self._level)

    @property
    def has_structure(self) -> bool:
        """Whether both images have structure that a search could match."""
        return bool(self._level.maps.any()) and float(self._pyramid.image.std()) > FLAT

    def search(self) -> State:
        """Return the alignment with the most evidence, by a global search."""
        found = search(self._visible, self._pyramid, SearchConfig(), self._pool)
        best = self._best(found, QUICK)
        if best.evidence < SURE:
            best = max(best, self._best(found, THOROUGH), key=lambda state: state.evidence)
        return best

    def settle(self, backward: np.ndarray) -> State:
        """
        Refine a proposed transform, 3x3 backward, from wherever in its surroundings it lies.

        Without the middle level, two proposals for one alignment end 0.3 px apart, with it 0.02: a fit at the
        finest level alone stops where it began, in part.
        """
        middle = self._improve(self._middle, 14, backward, AFFINE_FINE, 5, self._pool)[1]
        return self.sharpen(middle)

    def prepare(self) -> None:
        """Begin, in the background, to describe the visible image as a search needs it after the network."""
        _ = self._middle, self._final

    def refine(self, backward: np.ndarray) -> State:
        """Refine a transform, 3x3 backward, that is right to within a few pixels."""
        level = self._level
        found = fit(level, self._wide, self._correlate(self._wide, backward, None, 4), AFFINE_FINE)
        return self.sharpen(_compose(level, backward, found.step))

    def sharpen(self, backward: np.ndarray) -> State:
        """Refine a transform, 3x3 backward, at the finest level, by at most SEEN level pixels."""
        level, basis = self._level, self._basis
        surfaces = self._correlate(self._narrow, backward, None, SEEN)
        found = fit(level, self._narrow, surfaces, DENSE, basis)
        backward = _compose(level, backward, found.step)
        trust = local_trust(surfaces, self._narrow, found.displacement, self._tolerance)
        evidence = found.evidence
        return State(self._shapes, backward, found.residual, evidence, trust, usual=evidence)

    def finish(self, state: State) -> State:
        """
        Measure an alignment that has just been found once more, at a higher resolution.

        One `without_residual` is returned as it is: the maps lead away from it.
        """
        if not state.residual.any():
            return state
        level = self._final
        grid, basis = tiles(level, FINAL.spacing, FINAL.span), basis_of(level)
        # the same coefficients are displacements in pixels of the larger level
        larger = (level.scale / self._level.scale)[:, None]
        present = self._basis.carried(state.residual, basis) * larger
        field = field_of(basis, level, state.backward, present)
        surfaces = correlate(level, grid, state.backward, field, SEEN, self._pool)
        found = fit(level, grid, surfaces, DENSE_LAST, basis, present)
        return replace(
            state,
            backward=_compose(level, state.backward, found.step),
            residual=basis.carried(found.residual, self._basis) / larger,
        )

    def mean_distance(self, state: State, proposal: Alignment) -> float:
        """Return the mean distance of an alignment from a proposed one, full visible pixels."""
        # evaluated at the tiles: a few hundred points are enough
        level, grid = self._level, self._narrow
        points = np.stack(np.meshgrid(grid.x, grid.y), -1).reshape(-1, 2)
        visible = transform.apply(level.to_full, points)
        found = self.alignment(state, 'search').deformation_at(visible, level.full_shape)
        distance = found - proposal.deformation_at(visible, level.full_shape)
        return float(np.linalg.norm(distance, axis=-1).mean())

    def without_residual(self, backward: np.ndarray, like: State) -> State:
        """Return a transform as a state without residual, with the evidence and trust of `like`."""
        return replace(like, backward=backward, residual=np.zeros_like(like.residual))

    def follow(self, state: State) -> State:
        """Track `state` into this frame; the result is smoothed over the stream."""
        field = self._field(state.backward, state.residual)
        surfaces = self._correlate(self._narrow, state.backward, field, SEEN)
        found = fit(self._level, self._narrow, surfaces, DENSE_LAST, self._basis, state.residual)
        moved = float(np.sqrt((found.displacement**2).sum(-1).mean()))
        gain = gain_of(state.frames, moved)
        step = np.eye(3) + gain * (found.step - np.eye(3))
        evidence = found.evidence
        trust = local_trust(surfaces, self._narrow, gain * found.displacement, self._tolerance)
        return State(
            self._shapes,
            _compose(self._level, state.backward, step),
            state.residual + gain * (found.residual - state.residual),
            evidence,
            state.trust + max(gain, 0.3) * (trust - state.trust),
            usual=state.usual + 0.1 * (evidence - state.usual),
            frames=state.frames + 1,
            confidence=state.confidence,
            confirmed=state.confirmed,
        )

    def judged(self, state: State) -> State:
        """Return an alignment with the confidence that the evidence for it deserves."""
        found = judging.judge(self._middle, self.alignment(state, 'search'), self._pool).confidence
        return replace(state, confidence=judging.confirmed(found) if state.confirmed else found)

    def alignment(
        self, state: State, source: str, notes: tuple[Note, ...] = (), confidence: float | None = None
    ) -> Alignment:
        """Convert a state to an Alignment."""
        residual = self._field(state.backward, state.residual)
        return Alignment(
            state.backward,
            state.confidence if confidence is None else confidence,
            source,
            residual=residual,
            trust=self._narrow.spanning(state.trust, self._level.shape),
            cold=source == 'search',
            notes=notes,
        )

    def _best(self, found: list[Candidate], effort: Effort) -> State:
        """Refine candidates, best first; identity is always among them."""
        level = self._coarse
        first = _distinct(level, [c.backward for c in found], ALIKE, effort.similarity)
        similar = self._fit_all(level, 8, [*first, np.eye(3)], SIMILARITY, 4)
        chosen = _distinct(level, similar, SAME, effort.affine)
        affine = self._fit_all(level, 8, chosen, AFFINE, 4)
        chosen = _distinct(level, affine, SAME, effort.middle)
        middle = self._fit_all(self._middle, 14, chosen, AFFINE_FINE, 5)
        chosen = _distinct(level, middle, SAME / 4, effort.finest)
        return max((self.refine(backward) for backward in chosen), key=lambda state: state.evidence)

    def _fit_all(
        self, level: Level, spacing: int, proposals: list[np.ndarray], config: FitConfig, radius: int
    ) -> list[np.ndarray]:
        """Fit every proposal at a level, and return them sorted by evidence, highest first."""

        def improve(backward: np.ndarray) -> tuple[float, np.ndarray]:
            return self._improve(level, spacing, backward, config, radius)

        fitted = sorted(self._pool.map(improve, proposals), key=lambda proposal: -proposal[0])
        return [backward for _, backward in fitted]

    def _improve(
        self,
        level: Level,
        spacing: int,
        backward: np.ndarray,
        config: FitConfig,
        radius: int,
        pool: ThreadPoolExecutor | None = None,
    ) -> tuple[float, np.ndarray]:
        """Fit one proposal at a level; return its evidence and the transform. pool: see `correlate`."""
        grid = tiles(level, spacing, 3)
        found = fit(level, grid, correlate(level, grid, backward, None, radius, pool), config)
        return found.evidence, _compose(level, backward, found.step)

    @functools.cached_property
    def _coarse(self) -> Level:
        return Level(self._visible, self._pyramid, COARSE_PIXELS)

    @functools.cached_property
    def _middle(self) -> Level:
        # the level that alignments are judged at is built once, for both
        return judging.level_of(self._visible, self._pyramid, self._pool)

    @functools.cached_property
    def _final(self) -> Level:
        return Level(self._visible, self._pyramid, FINAL.pixels, pool=self._pool, harmonics=FINAL.harmonics)

    def _field(self, backward: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        return field_of(self._basis, self._level, backward, coefficients)

    def _correlate(
        self, grid: Tiles, backward: np.ndarray, residual: np.ndarray | None, radius: int
    ) -> Surfaces:
        return correlate(self._level, grid, backward, residual, radius, self._pool)

    @property
    def _tolerance(self) -> float:
        return max(1.0, TOLERANCE * float(self._level.scale[0]))


def _compose(level: Level, backward: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Apply a step in level pixels before a backward transform."""
    return transform.normalised(backward @ level.to_full @ step @ level.to_level)


def _distinct(level: Level, proposals: list[np.ndarray], apart: float, limit: int) -> list[np.ndarray]:
    """Return the first `limit` proposals that differ from all earlier ones."""
    kept: list[np.ndarray] = []
    for backward in proposals:
        if len(kept) == limit:
            break
        if all(_corner_distance(level, backward, other) > apart for other in kept):
            kept.append(backward)
    return kept


def _corner_distance(level: Level, a: np.ndarray, b: np.ndarray) -> float:
    height, width = level.full_shape
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1.0]])
    apart = transform.apply(a, corners) - transform.apply(b, corners)
    return float(np.linalg.norm(apart * level.scale, axis=-1).max())

"""Finds the transform of a rig from nothing: a global search on the evidence of several pairs together."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.classical import field_fit
from irvis_fusion_ros.classical.correlation import tiles
from irvis_fusion_ros.classical.field_fit import FitConfig
from irvis_fusion_ros.classical.pyramid import ThermalPyramid
from irvis_fusion_ros.classical.registration import COARSE_PIXELS, MIDDLE_PIXELS
from irvis_fusion_ros.classical.search import SearchConfig, search_together
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.rig.views import Levels, View, brightness, moved


@dataclass(frozen=True)
class StartConfig:
    """
    How the search is refined. kept: how many proposals are fitted at each level; the levels' pixels, the
    spacing of their tiles, the radius of their surfaces, and the model. apart: proposals with less between
    their corners, in shares of the visible width, count as one.
    """

    kept: tuple[int, ...] = (24, 8, 4)
    pixels: tuple[int, ...] = (COARSE_PIXELS, COARSE_PIXELS, MIDDLE_PIXELS)
    spacing: tuple[int, ...] = (8, 8, 14)
    radius: tuple[int, ...] = (4, 4, 5)
    models: tuple[FitConfig, ...] = (
        FitConfig('similarity'),
        FitConfig('affine', reach=(2.0, 1.2)),
        FitConfig('affine'),
    )
    apart: float = 0.03


@dataclass(frozen=True)
class Proposal:
    """backward: 3x3, for the images that are kept. evidence: of all pairs together."""

    backward: np.ndarray
    evidence: float


def find(
    views: Sequence[View], pool: ThreadPoolExecutor, config: StartConfig = StartConfig()
) -> list[Proposal]:
    """Return what may be the transform of the rig, the one with the most evidence first; all differ."""
    pairs = [(brightness(each.visible), ThermalPyramid(brightness(each.thermal))) for each in views]
    shape = views[0].visible.shape
    found = [candidate.backward for candidate in search_together(pairs, SearchConfig(), pool)]
    # a rig may be aligned already
    proposals = [np.eye(3), *found]
    for kept, pixels, spacing, radius, model in zip(
        config.kept, config.pixels, config.spacing, config.radius, config.models, strict=True
    ):
        levels = Levels.of(views, pixels)
        grid = tiles(levels[0], spacing, 3)

        def improved(backward: np.ndarray, levels=levels, grid=grid, radius=radius, model=model) -> Proposal:
            surfaces = levels.summed(grid, [backward] * len(levels), radius)
            fit = field_fit.fit(levels[0], grid, surfaces, model)
            return Proposal(moved(levels[0], backward, fit.step), fit.evidence)

        chosen = _distinct(proposals, shape, config.apart * shape[1], kept)
        ranked = sorted(pool.map(improved, chosen), key=lambda proposal: -proposal.evidence)
        proposals = [proposal.backward for proposal in ranked]
    distinct = _distinct(proposals, shape, config.apart * shape[1], len(proposals))
    return [proposal for proposal in ranked if any(proposal.backward is each for each in distinct)]


def _distinct(
    proposals: list[np.ndarray], shape: tuple[int, int], apart: float, most: int
) -> list[np.ndarray]:
    """Return the first proposals that differ from all before them."""
    height, width = shape
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1.0]])
    kept, seen = [], []
    for backward in proposals:
        at = transform.apply(backward, corners)
        if all(np.linalg.norm(at - other, axis=-1).max() > apart for other in seen):
            kept.append(backward)
            seen.append(at)
        if len(kept) == most:
            break
    return kept

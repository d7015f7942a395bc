"""Fits one pair with a rig as the prior: nearness, region by region, and a small shift."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from irvis_fusion_ros.classical.consistency import local_trust
from irvis_fusion_ros.classical.correlation import correlate, tiles
from irvis_fusion_ros.classical.pyramid import Level, ThermalPyramid
from irvis_fusion_ros.classical.registration import EVEN_EVIDENCE, FINE_PIXELS, MIDDLE_PIXELS
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.rig import local
from irvis_fusion_ros.rig.frame_fit import Difference, FrameFit, FrameModel, Freedom
from irvis_fusion_ros.rig.local import LocalConfig, LocalShift
from irvis_fusion_ros.rig.steady import SteadyTargets
from irvis_fusion_ros.rig.views import moved


@dataclass(frozen=True)
class FineLevel:
    """
    pixels: of the visible image. spacing: of the tiles, level pixels. tile_weight, sharpness: see
    RefineConfig. radius: of the surfaces.

    The second one takes away what the first is off by at coarse pixels, a tenth to a third of a pixel. It was
    tuned on one made flight by day.
    """

    pixels: int
    spacing: int
    tile_weight: float
    sharpness: float = 15.0
    radius: int = 3


@dataclass(frozen=True)
class RefineConfig:
    """
    How one frame is fitted, coarse to fine.

    middle: pixels of the visible image at the coarse level. radius: of the surfaces, level pixels.
    sharpness, tile_weight: as of field_fit.FitConfig. turn: degrees to both sides at which a frame without
    evidence is tried again; the other one has to have `clearly` times the evidence. fine: the further levels;
    the first of them tells evidence and trust.
    """

    middle: int = MIDDLE_PIXELS
    middle_radius: int = 5
    turn: float = 5.0
    clearly: float = 1.5
    middle_sharpness: float = 30.0
    middle_weight: float = 0.1
    fine: tuple[FineLevel, ...] = (FineLevel(FINE_PIXELS, 14, 0.07), FineLevel(480 * 640, 20, 0.03))


QUICK = RefineConfig(fine=RefineConfig().fine[:1])


@dataclass(frozen=True)
class Refined:
    """
    backward: 3x3. residual: h x w x 2 float32, visible pixels, added to its displacement. fit: at the finest
    level. numbers: those of fit.difference, in visible pixels. trust: rows x columns of tiles. at, regional:
    K x 2, visible pixels, where tiles are, and what the regions differ by there. seen: K, structure there.
    model, level: of the fit. evidence: how much both images agree, as
    registration.State has it. apart: root mean square of what the last fit of the first fine level moved, its
    pixels. targets: those that are where they themselves show to be.
    """

    backward: np.ndarray
    residual: np.ndarray
    fit: FrameFit
    numbers: np.ndarray
    trust: np.ndarray
    at: np.ndarray
    regional: np.ndarray
    seen: np.ndarray
    model: FrameModel
    level: Level
    evidence: float
    apart: float
    targets: tuple[LocalShift, ...] = ()


def refine(
    thermal: np.ndarray,
    visible: np.ndarray,
    backward: np.ndarray,
    free: Freedom,
    config: RefineConfig = RefineConfig(),
) -> Refined:
    """Fit one pair, H x W float32 [0, 1], around a rig's transform, 3x3 backward."""
    pyramid = ThermalPyramid(thermal)
    level = Level(visible, pyramid, config.middle)
    model = FrameModel(level, tiles(level, 14, 3), free, config.middle_sharpness, config.middle_weight)
    found = _coarse(level, model, backward, 0.0, config)
    if found.evidence < EVEN_EVIDENCE:
        # the camera may have turned fast between the two exposures
        turned = [_coarse(level, model, backward, side * config.turn, config) for side in (-1, 1)]
        other = max(turned, key=lambda fit: fit.evidence)
        if other.evidence > max(EVEN_EVIDENCE, config.clearly * found.evidence):
            found = other
    models = _models(visible, pyramid, free, config)
    return _fine(models, backward, model.carried(found.difference, models[0]), (3.0, 1.5), config)


def follow(
    thermal: np.ndarray,
    visible: np.ndarray,
    backward: np.ndarray,
    free: Freedom,
    last: Difference,
    config: RefineConfig = RefineConfig(),
) -> Refined:
    """Fit a pair whose difference from the rig is close to `last`, that of the frame before; as `refine`."""
    models = _models(visible, ThermalPyramid(thermal), free, config)
    return _fine(models, backward, models[-1].carried(last, models[0]), (1.5,), config)


def _models(
    visible: np.ndarray, pyramid: ThermalPyramid, free: Freedom, config: RefineConfig
) -> list[FrameModel]:
    levels = [Level(visible, pyramid, fine.pixels) for fine in config.fine]
    return [
        FrameModel(level, tiles(level, fine.spacing, 2), free, fine.sharpness, fine.tile_weight)
        for level, fine in zip(levels, config.fine, strict=True)
    ]


def _fine(
    models: list[FrameModel],
    backward: np.ndarray,
    found: Difference,
    reaches: tuple[float, ...],
    config: RefineConfig,
) -> Refined:
    """
    Fit from a difference at the first of the fine levels.

    reaches: of the first fit there, in sigmas of level pixels; the last of them is that of all others.
    """
    first = None
    for model, step in zip(models, config.fine, strict=True):
        level, grid = model.level, model.grid
        rounds = [reaches[-1:]]
        if first is not None:
            found = models[0].carried(found, model)
        elif len(reaches) > 1:
            rounds = [reaches, *rounds]
        for each in rounds:
            present, residual = drawn(level, model, backward, found)
            surfaces = correlate(level, grid, present, residual, step.radius)
            fit = model.fit(surfaces, found, each)
            found = fit.difference
        if first is None:
            trust = local_trust(surfaces, grid, fit.displacement, max(1.0, 3.0 * float(level.scale[0])))
            apart = float(np.sqrt((fit.displacement**2).sum(-1).mean()))
            first = trust, fit.evidence, apart, level, grid
    points = transform.apply(level.to_full, np.stack(np.meshgrid(grid.x, grid.y), -1).reshape(-1, 2))
    trust, evidence, apart, coarse, told = first
    return Refined(
        *drawn(level, model, backward, found),
        fit,
        found.numbers / float(level.scale[0]),
        told.at(trust, transform.apply(coarse.to_level, points).reshape(grid.rows, grid.columns, 2)),
        points,
        model.regional(found) / level.scale,
        (surfaces.energy * fit.weight).ravel(),
        model,
        level,
        evidence,
        apart,
    )


def drawn(
    level: Level, model: FrameModel, backward: np.ndarray, difference: Difference
) -> tuple[np.ndarray, np.ndarray]:
    """Return transform and residual of a frame with this difference from its rig."""
    present = moved(level, backward, model.step(difference))
    return present, _after(level, present, model.field(difference))


def _coarse(
    level: Level, model: FrameModel, backward: np.ndarray, turn: float, config: RefineConfig
) -> FrameFit:
    """Fit the numbers of a frame alone; turn: where to begin, degrees."""
    found = model.turned(np.deg2rad(turn))
    for reaches in ((4.0, 2.5), (2.5, 1.2), (2.5, 1.2)):
        present = moved(level, backward, model.step(found))
        surfaces = correlate(level, model.grid, present, None, config.middle_radius)
        fit = model.fit(surfaces, found, reaches, regions=False)
        found = fit.difference
    return fit


def at_targets(
    frame: Refined,
    thermal: np.ndarray,
    visible: np.ndarray,
    backward: np.ndarray,
    targets: np.ndarray,
    steady: SteadyTargets | None = None,
    config: LocalConfig = LocalConfig(),
) -> Refined:
    """
    Return the frame with its targets where they themselves show to be, as far as that is told.

    They are sought where the rig has them: near branches may have moved the frame, but they move no people.
    steady: what smooths them over a stream.
    """
    level, full, model, difference = frame.level, visible.shape, frame.model, frame.fit.difference
    turned = model.step(model.without_shift(difference))
    sought = moved(level, backward, turned)
    scale = min(1.0, config.width / full[1])
    grid = tuple(round(side * scale) for side in full)
    here = transform.resize_transform(full, grid)
    small = transform.stretch(full, grid) @ sought @ np.linalg.inv(here)
    # where the frame has them, from there
    apart = transform.displacement(turned, level.shape) - transform.displacement(
        model.step(difference), level.shape
    )
    apart = cv2.resize((apart - model.field(difference)) / level.scale * np.float32(scale), grid[::-1])
    # the more the frame as a whole shows, the less a target may differ
    config = replace(config, cost=config.cost * frame.evidence / EVEN_EVIDENCE)
    expected = transform.displacement(small, grid)
    known = () if steady is None else steady.targets
    shifts = local.find(thermal, visible, targets, expected, apart, known, config)
    if steady is not None:
        shifts = steady.smoothed(shifts, full[1])
    if not shifts:
        return frame
    own, share = local.field(shifts, level.shape, full, config.around)
    instead = _difference(level, sought, frame.backward) + _after(level, sought, own * level.scale)
    residual = frame.residual + share[..., None] * (instead - frame.residual)
    return replace(frame, residual=residual, targets=tuple(shifts))


def _difference(level: Level, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the displacement of a transform beyond that of another, h x w x 2, stretched thermal pixels."""
    points = transform.apply(level.to_full, transform.pixel_grid(level.shape, np.float64))
    return (transform.apply(first, points) - transform.apply(second, points)).astype(np.float32)


def _after(level: Level, backward: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Turn a field before `backward`, level pixels, into one after it, stretched thermal pixels."""
    linear = transform.linear_part(backward, level.full_shape)
    return ((field / level.scale) @ linear.T).astype(np.float32)

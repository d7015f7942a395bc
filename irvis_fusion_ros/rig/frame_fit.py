"""
Fits what one frame differs from its rig by, to correlation surfaces: a few numbers, each with its prior.

The frame is shifted and turned a little, because the two exposures are not simultaneous, and moved along the
parallax by its distance, in a plane over the image and region by region. Weak evidence leaves the rig as it
is.
"""

from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.classical import field_fit
from irvis_fusion_ros.classical.correlation import Surfaces, Tiles
from irvis_fusion_ros.classical.field_fit import LEAST_COVER, CosineBasis
from irvis_fusion_ros.classical.pyramid import Level


@dataclass(frozen=True)
class Freedom:
    """
    How much a frame may differ from its rig: sigmas, in pixels of the visible image.

    shift: x and y. turn: at half the width from the centre. growth: the same by a change of scale. nearness:
    of the whole frame along the parallax, whose unit vector is `direction`; slope: its change over half the
    width. along, across: of regions, along the parallax and across it, over `length` pixels.
    """

    shift: tuple[float, float]
    turn: float
    growth: float
    along: float
    across: float
    length: float
    nearness: float = 0.0
    slope: float = 0.0
    direction: tuple[float, float] = (1.0, 0.0)

    def wide(self) -> 'Freedom':
        """Return that of a rig whose differences are not known yet: of distance, and of clocks."""
        return replace(
            self,
            shift=tuple(3 * sigma for sigma in self.shift),
            along=1.5 * self.along,
            across=1.5 * self.across,
        )

    @classmethod
    def of(cls, width: int) -> 'Freedom':
        """Return that of a rig of which only the transform is known, for visible images of this width."""
        # tuned on the frames of wisard
        return cls(
            shift=(0.003 * width, 0.003 * width),
            turn=0.010 * width,
            growth=0.006 * width,
            along=0.004 * width,
            across=0.004 * width,
            length=0.08 * width,
        )


def freedom(calibration: Calibration, shape: tuple[int, int]) -> Freedom:
    """Return how much frames of a rig differ from it, for visible images of this shape (height, width)."""
    ratio = shape[1] / calibration.visible_shape[1]
    found = Freedom.of(shape[1])
    if calibration.spread:
        x, y, turn, growth, regions = (sigma * ratio for sigma in calibration.spread)
        # few frames may have been alike by chance, and single ones turn fast
        least = 0.001 * shape[1]
        found = replace(
            found,
            shift=(max(x, least), max(y, least)),
            turn=max(turn, found.turn),
            growth=max(growth, found.growth),
            along=max(regions, least),
            across=max(regions, least),
        )
    if calibration.parallax:
        low, high = calibration.parallax.range
        reach = max((high - low) / 2 * ratio, 0.001 * shape[1])
        found = replace(
            found,
            nearness=reach,
            slope=0.5 * reach,
            along=0.5 * reach,
            across=min(found.across, 0.5 * reach),
            direction=calibration.parallax.direction,
        )
    return found


@dataclass(frozen=True)
class Difference:
    """
    What a frame differs from its rig by, in level pixels and units of the width.

    numbers: shift x, y, turn, growth, nearness, and its slope in x and y. regions: 2 x modes, along the
    parallax and across it.
    """

    numbers: np.ndarray
    regions: np.ndarray


@dataclass(frozen=True)
class FrameFit:
    """
    difference: the total. displacement: rows x columns x 2, level pixels, within the surfaces. weight: rows x
    columns, each tile's robust weight. score, energy: as of field_fit.Fit. strain: how many sigmas the
    numbers are from the rig, root mean square.
    """

    difference: Difference
    displacement: np.ndarray
    weight: np.ndarray
    score: float
    energy: float
    strain: float

    @property
    def evidence(self) -> float:
        """How much both images agree, as registration.State has it."""
        return self.score * self.energy**0.5


class FrameModel:
    """The model of one level."""

    def __init__(self, level: Level, grid: Tiles, freedom: Freedom, sharpness: float, tile_weight: float):
        self.grid, self._sharpness, self._tile_weight = grid, sharpness, tile_weight
        self.level = level
        scale = float(level.scale[0])
        ux, uy = freedom.direction
        # from along and across the parallax to x and y
        self._axes = np.array([[ux, -uy], [uy, ux]])
        self._parametric = self._at(*(plane.ravel() for plane in np.meshgrid(grid.x, grid.y)))
        sigma = [*freedom.shift, freedom.turn, freedom.growth]
        sigma += [freedom.nearness, freedom.slope, freedom.slope]
        self._sigma = np.maximum(np.array(sigma) * scale, 1e-3)
        self.basis = CosineBasis(level.shape, freedom.length * scale, 1.0)
        self._modes = self.basis.at(grid.x, grid.y).reshape(len(self._parametric), -1)
        sizes = np.maximum(np.array([freedom.along, freedom.across]) * scale, 1e-3)
        regions = [1 / (self.basis.variance * size**2) for size in sizes]
        self._ridge = np.concatenate([1 / self._sigma**2, *regions])

    @property
    def none(self) -> Difference:
        """No difference."""
        return Difference(np.zeros(7), np.zeros((2, len(self.basis.variance))))

    def turned(self, angle: float) -> Difference:
        """Return a frame that is turned by an angle, radians, and nothing else."""
        found = self.none
        found.numbers[2] = angle * self.level.shape[1] / 2
        return found

    def carried(self, difference: Difference, other: 'FrameModel') -> Difference:
        """Return a difference of this level as one of another level of the same images."""
        ratio = other.level.shape[1] / self.level.shape[1]
        return Difference(
            ratio * difference.numbers, ratio * self.basis.carried(difference.regions, other.basis)
        )

    def without_shift(self, difference: Difference) -> Difference:
        """Return the turn and the growth of a difference alone."""
        found = self.none
        found.numbers[2:4] = difference.numbers[2:4]
        return found

    def fit(
        self, surfaces: Surfaces, present: Difference, reaches: tuple[float, ...], regions: bool = True
    ) -> FrameFit:
        """
        Fit to surfaces of the thermal image that was warped by `present` already.

        reaches: sigmas, level pixels, of the window around the estimate, one fit each. regions: fit them too.
        """
        grid = self.grid
        modes = self._modes if regions else self._modes[:, :0]
        ridge = self._ridge if regions else self._ridge[:7]
        # along and across the parallax, each with a size of its own
        parametric = np.einsum('ab,kap->kbp', self._axes, self._parametric)
        offset = parametric @ present.numbers + modes @ present.regions.T[: modes.shape[1]]
        usable = (surfaces.cover > LEAST_COVER).ravel() * self._tile_weight
        displacement = np.zeros((len(offset), 2))
        weight = np.ones(len(offset))
        for reach in reaches:
            centre = displacement.reshape(grid.rows, grid.columns, 2)
            mean, precision = field_fit.tile_evidence(surfaces, centre, reach, self._sharpness)
            mean, precision = self._turned(mean, precision)
            mean, precision = mean + offset, precision * usable[:, None]
            numbers, found = field_fit.solve(parametric, modes, ridge, mean, precision * weight[:, None])
            total = parametric @ numbers + modes @ found.T
            weight = field_fit.robust_weight(total - mean, precision)
            displacement = (total - offset) @ self._axes.T
            displacement = np.clip(displacement, -surfaces.radius, surfaces.radius)
        displacement = displacement.reshape(grid.rows, grid.columns, 2)
        score, energy = field_fit.excess(surfaces, displacement)
        if not regions:
            found = present.regions
        return FrameFit(
            Difference(numbers, found),
            displacement,
            weight.reshape(grid.rows, grid.columns),
            score,
            energy,
            float(np.sqrt(((numbers / self._sigma) ** 2).mean())),
        )

    def step(self, difference: Difference) -> np.ndarray:
        """Return what a difference does, but for its regions, as a 3x3 in level pixels."""
        at = np.array([[0, 0], [1, 0], [0, 1.0]])
        moved = at + self._at(at[:, 0], at[:, 1]) @ difference.numbers
        matrix = np.eye(3)
        matrix[:2, 2] = moved[0]
        matrix[:2, 0], matrix[:2, 1] = moved[1] - moved[0], moved[2] - moved[0]
        return matrix

    def field(self, difference: Difference) -> np.ndarray:
        """Return what its regions do, h x w x 2 float32, level pixels."""
        return self.basis.field(self._axes @ difference.regions)

    def regional(self, difference: Difference) -> np.ndarray:
        """Return what its regions do at the tiles, K x 2, level pixels."""
        return self._modes @ (self._axes @ difference.regions).T

    def _at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the linear model at K points, K x 2 x 7."""
        height, width = self.level.shape
        x, y = (x - (width - 1) / 2) / width * 2, (y - (height - 1) / 2) / width * 2
        one, none = np.ones_like(x), np.zeros_like(x)
        ux, uy = self._axes[:, 0]
        columns = [(one, none), (none, one), (-y, x), (x, y)]
        columns += [(ux * plane, uy * plane) for plane in (one, x, y)]
        return np.stack([np.stack(column, -1) for column in columns], -1)

    def _turned(self, mean: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means and precisions (xx, yy, xy) along and across the parallax."""
        xx, yy, xy = precision.T
        full = np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2)
        turned = np.einsum('ab,kac,cd->kbd', self._axes, full, self._axes)
        return mean @ self._axes, np.stack([turned[:, 0, 0], turned[:, 1, 1], turned[:, 0, 1]], -1)

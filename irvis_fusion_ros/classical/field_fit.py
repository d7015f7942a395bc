"""
Fits one smooth displacement to correlation surfaces, by combining the evidence of all tiles.

The displacement is affine or projective plus a residual in a cosine basis, whose Gaussian-process prior
limits its size and roughness (Solin & Sarkka, "Hilbert space methods for reduced-rank Gaussian process
regression", 2020). Each tile contributes the mean and the precision of its surface around the current
estimate. A straight edge has high precision across and none along itself. Tiles that contradict the others
lose weight (Student's t).
"""

import functools
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.classical.correlation import Surfaces, Tiles
from irvis_fusion_ros.classical.pyramid import Level
from irvis_fusion_ros.tuning import ROBUST

# Tiles of which the thermal image covers less than this share are ignored.
LEAST_COVER = 0.5
# Variance of the position of a peak, in level pixels squared, that no surface can resolve.
LEAST_VARIANCE = 0.05
# Precision of a tile, per level pixel squared, below which it tells nothing.
LEAST_PRECISION = 1e-3


@dataclass(frozen=True)
class FitConfig:
    """
    model: 'similarity', 'affine' or 'homography'. sharpness: inverse temperature that turns correlation into
    a density. reach: sigmas, level pixels, of the window around the estimate, one fit per entry. tile_weight:
    share of independent evidence in a tile (tiles overlap, and errors of neighbours are correlated).
    """

    model: str = 'affine'
    sharpness: float = 30.0
    reach: tuple[float, ...] = (3.0, 2.0, 1.2)
    tile_weight: float = 1.0


@dataclass(frozen=True)
class Fit:
    """
    step: 3x3, level pixels, the parametric displacement. displacement: rows x columns x 2, level pixels, the
    total displacement at the tiles. residual: cosine coefficients, 2 x modes, level pixels. weight: rows x
    columns, each tile's robust weight. score, energy: see `excess`.
    """

    step: np.ndarray
    displacement: np.ndarray
    residual: np.ndarray | None
    weight: np.ndarray
    score: float
    energy: float

    @property
    def evidence(self) -> float:
        """What the alignment after the step is judged by."""
        return self.score * self.energy**0.5


class CosineBasis:
    """
    Smooth displacement fields of a level: cosines up to the highest frequency that the prior allows.

    length, size: correlation length and standard deviation of the residual, level pixels. wider: the same of
    further, slower fields that are added to it.
    """

    def __init__(self, shape: tuple[int, int], length: float, size: float, *wider: tuple[float, float]):
        height, width = shape
        highest = 2.0 / length
        nx, ny = (int(highest * side / np.pi) for side in (width, height))
        wx, wy = np.meshgrid(np.arange(nx + 1) * np.pi / width, np.arange(ny + 1) * np.pi / height)
        frequency = wx**2 + wy**2
        self._used = (frequency > 0) & (frequency < highest**2)
        spectrum = sum(
            deviation**2 * 2 * np.pi * reach**2 * np.exp(-(reach**2) * frequency / 2)
            for reach, deviation in ((length, size), *wider)
        )
        norm = np.where(wx > 0, 2, 1) * np.where(wy > 0, 2, 1) / (width * height)
        self.variance = (spectrum * norm)[self._used]
        self._shape = shape

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the modes on the grid of these columns and rows, len(y) x len(x) x modes."""
        cos_x, cos_y = self._cosines(x, y)
        ny, nx = np.nonzero(self._used)
        return cos_y[:, None, ny] * cos_x[None, :, nx]

    def carried(self, coefficients: np.ndarray, other: 'CosineBasis') -> np.ndarray:
        """Return the coefficients of the same fields, 2 x modes, in a basis on another grid."""
        sides = np.maximum(self._used.shape, other._used.shape)
        spectrum = np.zeros((2, *sides))
        ny, nx = np.nonzero(self._used)
        spectrum[:, ny, nx] = coefficients
        ny, nx = np.nonzero(other._used)
        return spectrum[:, ny, nx]

    def field(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the displacement at every pixel, H x W x 2 float32."""
        height, width = self._shape
        cos_x, cos_y = self._everywhere
        out = np.empty((height, width, 2), np.float32)
        for axis in (0, 1):
            spectrum = np.zeros(self._used.shape)
            spectrum[self._used] = coefficients[axis]
            out[..., axis] = cos_y @ spectrum @ cos_x.T
        return out

    @functools.cached_property
    def _everywhere(self) -> tuple[np.ndarray, np.ndarray]:
        height, width = self._shape
        return self._cosines(np.arange(width), np.arange(height))

    def _cosines(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = self._shape
        ny, nx = self._used.shape
        cos_x = np.cos(np.pi * np.outer((x + 0.5) / width, np.arange(nx)))
        cos_y = np.cos(np.pi * np.outer((y + 0.5) / height, np.arange(ny)))
        return cos_x, cos_y


def fit(
    level: Level,
    grid: Tiles,
    surfaces: Surfaces,
    config: FitConfig,
    basis: CosineBasis | None = None,
    present: np.ndarray | None = None,
) -> Fit:
    """
    Fit the displacement to the surfaces.

    basis: of the residual, or None. present: 2 x modes, the residual that the thermal image was already
    warped by; the prior then holds for the sum. It never raises for weak evidence: then the priors decide,
    and the score is low.
    """
    ny, nx = grid.rows, grid.columns
    count = ny * nx
    parametric, ridge = _parametric(level, grid, config.model)
    modes = np.zeros((count, 0))
    offset = np.zeros((count, 2))
    if basis is not None:
        modes = _modes(basis, grid)
        ridge = np.concatenate([ridge, 1 / basis.variance, 1 / basis.variance])
        if present is not None:
            offset = modes @ present.T
    usable = (surfaces.cover > LEAST_COVER).ravel() * config.tile_weight
    displacement = np.zeros((count, 2))
    weight = np.ones(count)
    for reach in config.reach:
        mean, precision = tile_evidence(surfaces, displacement.reshape(ny, nx, 2), reach, config.sharpness)
        mean, precision = mean + offset, precision * usable[:, None]
        solution, residual = solve(parametric, modes, ridge, mean, precision * weight[:, None])
        total = parametric @ solution + modes @ residual.T
        weight = robust_weight(total - mean, precision)
        displacement = np.clip(total - offset, -surfaces.radius, surfaces.radius)
    score, energy = excess(surfaces, displacement.reshape(ny, nx, 2))
    return Fit(
        step=_as_matrix(level, solution, config.model),
        displacement=displacement.reshape(ny, nx, 2),
        residual=None if basis is None else residual,
        weight=weight.reshape(ny, nx),
        score=score,
        energy=energy,
    )


@functools.lru_cache(maxsize=8)
def _modes(basis: CosineBasis, grid: Tiles) -> np.ndarray:
    """Return the modes at the tiles, K x modes; they are the same for all frames of a stream."""
    modes = basis.at(grid.x, grid.y).reshape(grid.rows * grid.columns, -1)
    modes.flags.writeable = False
    return modes


def excess(surfaces: Surfaces, displacement: np.ndarray) -> tuple[float, float]:
    """
    Return how far the correlation at `displacement` exceeds that of all shifts, and the energy behind it.

    Repetitive or one-directional structure correlates at any shift, so only the excess is evidence.
    """
    ny, nx = surfaces.energy.shape
    radius = surfaces.radius
    at = np.clip(np.rint(displacement).astype(int) + radius, 0, 2 * radius)
    rows, columns = np.mgrid[:ny, :nx]
    peak = surfaces.values[at[..., 1], at[..., 0], rows, columns]
    energy = surfaces.energy * (surfaces.cover > LEAST_COVER)
    total = float(energy.sum())
    if total <= 0:
        return 0.0, 0.0
    score = float(((peak - surfaces.values.mean((0, 1))) * energy).sum()) / total
    return score, total / energy.size


def tile_evidence(
    surfaces: Surfaces, centre: np.ndarray, reach: float, sharpness: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the measurement of each tile: its mean (K x 2) and precision (K x 3: xx, yy, xy), level pixels.

    The surface, sharpened and windowed around `centre`, is treated as a density. The window is divided out
    afterwards, cut off where the surface ends as well: a flat surface has no precision, wherever the centre.
    """
    shifts = np.arange(-surfaces.radius, surfaces.radius + 1, dtype=np.float32)
    centre = centre.astype(np.float32)
    window_x = (shifts[:, None, None] - centre[..., 0]) ** 2 / (2 * reach * reach)
    window_y = (shifts[:, None, None] - centre[..., 1]) ** 2 / (2 * reach * reach)
    density = np.float32(sharpness) * surfaces.values
    density -= window_x[None]
    density -= window_y[:, None]
    density -= density.max((0, 1))
    np.exp(density, out=density)
    mx, xx = _moments(density.sum(0), shifts)
    my, yy = _moments(density.sum(1), shifts)
    xy = np.tensordot(shifts, np.tensordot(shifts, density, 1), 1) / density.sum((0, 1)) - mx * my
    # of the window alone, which ends where the surface does
    window = [_moments(np.exp(each.min(0) - each), shifts) for each in (window_x, window_y)]
    return _without_window(
        np.stack([mx, my], -1).reshape(-1, 2).astype(np.float64),
        np.stack([xx, yy, xy], -1).reshape(-1, 3).astype(np.float64),
        np.stack([mean for mean, _ in window], -1).reshape(-1, 2).astype(np.float64),
        np.stack([variance for _, variance in window], -1).reshape(-1, 2).astype(np.float64),
        reach,
    )


def _moments(density: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of densities over shifts, along the first axis."""
    total = density.sum(0)
    mean = np.tensordot(shifts, density, 1) / total
    return mean, np.tensordot(shifts**2, density, 1) / total - mean * mean + np.float32(LEAST_VARIANCE)


def _without_window(mean, covariance, window_mean, window_variance, reach) -> tuple[np.ndarray, np.ndarray]:
    """Divide a Gaussian (xx, yy, xy) by that of the window: mean and precision of the quotient."""
    xx, yy, xy = covariance.T
    determinant = np.maximum(xx * yy - xy * xy, 1e-9)
    window = 1 / window_variance
    joint = np.empty((len(mean), 2, 2))
    joint[:, 0, 0], joint[:, 1, 1] = yy / determinant, xx / determinant
    joint[:, 0, 1] = joint[:, 1, 0] = -xy / determinant
    weighted = np.einsum('kij,kj->ki', joint, mean) - window * window_mean
    joint[:, 0, 0] -= window[:, 0]
    joint[:, 1, 1] -= window[:, 1]
    own, axes = np.linalg.eigh(joint)
    own = np.where(own > LEAST_PRECISION, own, 0)
    centre = np.einsum('kij,ki->kj', axes, window_mean)
    along = np.einsum('kij,ki->kj', axes, weighted) / np.maximum(own, LEAST_PRECISION)
    along = np.where(own > 0, np.clip(along, centre - 3 * reach, centre + 3 * reach), centre)
    precision = np.einsum('kij,kj,klj->kil', axes, own, axes)
    packed = np.stack([precision[:, 0, 0], precision[:, 1, 1], precision[:, 0, 1]], -1)
    return np.einsum('kij,kj->ki', axes, along), packed


def solve(parametric, modes, ridge, mean, precision) -> tuple[np.ndarray, np.ndarray]:
    """
    Solve weighted least squares with a diagonal prior: parameters, and coefficients of the modes, 2 x modes.

    parametric: K x 2 x parameters. modes: K x modes, the same basis for both axes, with coefficients of their
    own.
    """
    xx, yy, xy = precision.T[:, :, None]
    px, py = parametric[:, 0], parametric[:, 1]
    # the weighted parametric model, and the weighted modes of x and of y
    wx, wy = xx * px + xy * py, xy * px + yy * py
    mx, my, mxy = xx * modes, yy * modes, xy * modes
    first, count = len(px.T), modes.shape[1]
    x, y = slice(first, first + count), slice(first + count, None)
    normal = np.empty((first + 2 * count,) * 2)
    normal[:first, :first] = px.T @ wx + py.T @ wy
    normal[x, :first], normal[y, :first] = modes.T @ wx, modes.T @ wy
    normal[:first, x], normal[:first, y] = normal[x, :first].T, normal[y, :first].T
    normal[x, x], normal[y, y], normal[x, y] = modes.T @ mx, modes.T @ my, modes.T @ mxy
    normal[y, x] = normal[x, y]
    normal[np.diag_indices_from(normal)] += ridge
    u, v = mean.T
    right = np.concatenate([wx.T @ u + wy.T @ v, mx.T @ u + mxy.T @ v, mxy.T @ u + my.T @ v])
    solution = np.linalg.solve(normal, right)
    return solution[:first], solution[first:].reshape(2, count)


def robust_weight(error: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return the weight of each tile under Student's t."""
    xx, yy, xy = precision.T
    distance = xx * error[:, 0] ** 2 + yy * error[:, 1] ** 2 + 2 * xy * error[:, 0] * error[:, 1]
    return (ROBUST.tail + 2) / (ROBUST.tail + distance)


def _parametric(level: Level, grid: Tiles, model: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear model at the tiles, K x 2 x parameters, and the ridge of each parameter."""
    height, width = level.shape
    columns_x, rows_y = np.meshgrid(grid.x, grid.y)
    x = (columns_x.ravel() - (width - 1) / 2) / width
    y = (rows_y.ravel() - (height - 1) / 2) / width
    one, none = np.ones_like(x), np.zeros_like(x)
    columns = [(one, none), (none, one)]
    if model == 'similarity':
        columns += [(x, y), (-y, x)]
    else:
        columns += [(x, none), (y, none), (none, x), (none, y)]
    if model == 'homography':
        columns += [(x * x, x * y), (x * y, y * y)]
    ridge = np.array([1e-3] * 2 + [2e-2] * 4 + [1.0] * 2)[: len(columns)]
    return np.stack([np.stack(c, -1) for c in columns], -1), ridge


def _as_matrix(level: Level, parameters: np.ndarray, model: str) -> np.ndarray:
    """Return the 3x3, in level pixels, that equals the linear model to first order."""
    height, width = level.shape
    t = np.zeros(8)
    if model == 'similarity':
        t[:2] = parameters[:2]
        t[2], t[3], t[4], t[5] = parameters[2], -parameters[3], parameters[3], parameters[2]
    else:
        t[: len(parameters)] = parameters
    about_centre = np.array(
        [[1 / width, 0, -(width - 1) / 2 / width], [0, 1 / width, -(height - 1) / 2 / width], [0, 0, 1]]
    )
    change = np.eye(3)
    change[:2] += np.array([[t[2], t[3], t[0]], [t[4], t[5], t[1]]]) / width
    change[2, :2] = -t[6:] / width
    return np.linalg.inv(about_centre) @ change @ about_centre

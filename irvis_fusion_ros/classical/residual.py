"""The residual: how a field bends, beside its 3x3, and how much it may."""

import functools
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.classical.field_fit import CosineBasis
from irvis_fusion_ros.classical.pyramid import Level
from irvis_fusion_ros.geometry import transform


@dataclass(frozen=True)
class ResidualConfig:
    """
    The prior of the residual: a sum of bending within a few tiles, and of slow bending by lenses and depth.

    length, size, slow_length, slow_size: correlation lengths and standard deviations of the two, full visible
    pixels. least_scale: level pixels per full visible pixel, at least: lengths in a larger image are those in
    one of 640 x 512.

    With the slow one, 12 pairs of made flights are off by 0.45 px by day and 0.62 by night instead of 0.62
    and 0.78, people of 7 frames of wisard by 5.2 px instead of 5.3. A slow_size of 3 brings more there (0.38,
    0.55, 4.9), but moves 7 pairs of m3svd_frames from 0.71 to 0.81 px from their labels, and costs
    consistency.

    The size is one for all pairs, as tiles do not tell which of them bend: on 16 training pairs of roadscene
    and m3svd_frames the root mean square of the residual is 0.38 to 0.74 px as recorded, 0.43 to 0.88 px
    moved by elastic_mid, and the marginal likelihood prefers half this size or less on all of them. Nor would
    freedom help: against the fit without residual of the unmoved pair, fields are most exact on elastic_mid
    at 1 to 2 times this size (1.5 px on 4 pairs of roadscene, 1.3 px on 4 of m3svd_frames; without residual
    1.8 and 1.4). At 4 times this size they agree better between two displacements by 0.2 and 0.4 px, because
    errors of tiles are the same in both and cancel, but rigid pairs are 0.6 px farther from their labels, and
    made flights 0.4 px farther from the truth.
    """

    length: float = 35.0
    size: float = 2.0
    slow_length: float = 200.0
    slow_size: float = 1.5
    least_scale: float = 0.5


CONFIG = ResidualConfig()


def basis_of(level: Level) -> CosineBasis:
    """Return the basis of the residual on a level."""
    return _basis(level.shape, max(float(level.scale[0]), CONFIG.least_scale))


@functools.lru_cache(maxsize=4)
def _basis(shape: tuple[int, int], scale: float) -> CosineBasis:
    """Return the basis, which is the same for all frames of a stream."""
    slow = CONFIG.slow_length * scale, CONFIG.slow_size * scale
    return CosineBasis(shape, CONFIG.length * scale, CONFIG.size * scale, slow)


def field_of(basis: CosineBasis, level: Level, backward: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Turn coefficients (before `backward`, level pixels) into a field (after it, visible pixels)."""
    linear = transform.linear_part(backward, level.full_shape)
    return basis.field(linear @ (coefficients / level.scale[:, None]))

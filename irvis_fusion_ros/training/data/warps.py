"""
Batches of known warps on a device: `moved(x) = thermal(T(x))`; geometry/random_warp makes single ones.

They are drawn from the ranges of the evaluation protocols, with shift and elastic displacement scaled to the
size of the crop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from irvis_fusion_ros.data import protocols
from irvis_fusion_ros.data.protocols import RANGES
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.geometry.random_warp import WarpRange, affine_about_centre

# Training labels are exact to this many pixels.
TOLERANCE = 0.01
ITERATIONS = 60
# Dilations of protocols dilate5 to dilate50, as shares of the width of an image 500 pixels wide.
DILATE, DILATED = 'dilate', (0.0, 0.1)
# Names that warps can be drawn from.
NAMES = (*RANGES, *protocols.SHIFTS, DILATE)
# Nodes of the elastic field per sigma of its smoothness; more nodes make it no smoother.
NODES = 3


def check_mixture(mixture: Mapping[str, float]) -> None:
    """Raise ValueError if a share is negative, all are 0, or a name is not a protocol to draw from."""
    for name, share in mixture.items():
        if name not in NAMES:
            raise ValueError(f"'{name}' is no protocol to draw warps from; valid: {', '.join(NAMES)}")
        if not share >= 0:
            raise ValueError(f"the share of '{name}' is {share}; it must be 0 or more")
    if not sum(mixture.values()) > 0:
        raise ValueError('the mixture of protocols needs a share above 0')


@dataclass(frozen=True)
class Warps:
    """
    T of every image of a batch: `T(x) = matrix x + elastic(x)`.

    matrix: B x 3 x 3 float32 in pixels. elastic: B x 2 x H x W float32 in pixels, constant beyond the edge.
    """

    matrix: Tensor
    elastic: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        """Map points, B x H x W x 2."""
        moved = tensors.sample(self.elastic, points).permute(0, 2, 3, 1)
        return tensors.apply(self.matrix, points) + moved

    def truth(self) -> tuple[Tensor, Tensor]:
        """
        Return the exact deformation of the moved images, and the mask where it is defined.

        The deformation d (B x H x W x 2) solves `T(x + d) = x` by fixed-point iteration; the mask (B x 1 x H
        x W bool) is the part of the reference that the moved image contains. Where T folds, the residual
        stays above TOLERANCE, and the pixels are excluded from the mask.
        """
        grid = tensors.pixel_grid(*self.elastic.shape[-2:], self.elastic)
        inverse = torch.linalg.inv(self.matrix.double()).float()
        points = tensors.apply(inverse, grid)
        elastic = self.elastic.flatten(1).any(1)
        # an affine T needs no iteration
        if elastic.any():
            part = Warps(self.matrix[elastic], self.elastic[elastic])
            points[elastic] = part._fixed_point(points[elastic], inverse[elastic], grid)
        return points - grid, tensors.inside(points, grid.shape[1:3]) & self._converged(points, grid)

    def _fixed_point(self, points: Tensor, inverse: Tensor, grid: Tensor) -> Tensor:
        back = inverse.clone()
        back[:, :, 2] = 0
        for iteration in range(ITERATIONS):
            points = points - tensors.apply(back, self(points) - grid)
            # the convergence check costs as much as an iteration, so it runs at every fourth only
            if iteration % 4 == 3:
                shown = tensors.inside(points, grid.shape[1:3])
                if bool((self._converged(points, grid) | ~shown).all()):
                    break
        return points

    def _converged(self, points: Tensor, grid: Tensor) -> Tensor:
        residual = self(points) - grid
        return ((residual**2).sum(-1) < TOLERANCE**2)[:, None]


def draw(
    names: Sequence[str],
    scales: Sequence[float],
    shape: tuple[int, int],
    rng: np.random.Generator,
    noise: torch.Generator,
) -> Warps:
    """
    Draw the warp of each image of a batch.

    names: the protocol of each image. scales: factors on the pixels of a protocol, for images smaller than
    those that the protocols are stated for. shape: height and width. noise: a generator on the device to work
    on.
    """
    ranges = [RANGES.get(name, WarpRange()) for name in names]
    matrices = [_matrix(name, scale, shape, rng) for name, scale in zip(names, scales, strict=True)]
    matrix = torch.from_numpy(np.stack(matrices)).float().to(noise.device)
    elastic = matrix.new_zeros((len(ranges), 2, *shape))
    for field, each, scale in zip(elastic, ranges, scales, strict=True):
        if each.elastic > 0:
            field.copy_(_elastic(shape, each.elastic_sigma * scale, noise) * (each.elastic * scale))
    return Warps(matrix, elastic)


def pick(mixture: Mapping[str, float], count: int, rng: np.random.Generator) -> list[str]:
    """Draw protocols with the probabilities of their shares."""
    shares = np.array(list(mixture.values()), float)
    return [str(name) for name in rng.choice(list(mixture), count, p=shares / shares.sum())]


def _matrix(name: str, scale: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    if name in protocols.SHIFTS:
        shift = protocols.any_direction(rng) if name == 'shift' else rng.choice(protocols.BOTH_WAYS)
        return affine_about_centre(shape, 0, 1, 0, np.multiply(shift, scale))
    if name == DILATE:
        return affine_about_centre(shape, 0, 1 / (1 + rng.uniform(*DILATED)), 0, (0, 0))
    ranges = RANGES[name]
    rotation, shear = rng.uniform(-1, 1, 2) * (ranges.rotation, ranges.shear)
    shift = rng.uniform(-1, 1, 2) * ranges.shift * scale
    return affine_about_centre(shape, rotation, rng.uniform(*ranges.scale), shear, shift)


def _elastic(shape: tuple[int, int], sigma: float, noise: torch.Generator) -> Tensor:
    """Return smooth noise with a longest vector of one pixel, 2 x H x W, by cubic interpolation of nodes."""
    spacing = max(sigma / NODES, 1.0)
    # a margin of three sigmas of nodes on each side, so that the smoothing never reaches beyond them
    reach = 3 * NODES
    height, width = (int(np.ceil((side - 1) / spacing)) + 3 for side in shape)
    white = torch.randn((2, 1, height + 2 * reach, width + 2 * reach), generator=noise, device=noise.device)
    place = torch.arange(-reach, reach + 1, device=noise.device, dtype=torch.float32)
    kernel = torch.exp(-(place**2) / (2 * NODES**2))
    smooth = F.conv2d(F.conv2d(white, kernel[None, None, :, None]), kernel[None, None, None])
    full = [round((nodes - 1) * spacing) + 1 for nodes in (height, width)]
    dense = F.interpolate(smooth, full, mode='bicubic', align_corners=True)
    dense = dense[:, 0, : shape[0], : shape[1]]
    return dense / (dense[0] ** 2 + dense[1] ** 2).amax().sqrt().clamp(min=1e-6)

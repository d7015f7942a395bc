"""
The same geometry on torch tensors, in batches: what networks and their training sample with.

Points and deformations are B x H x W x 2, (x, y) or (dx, dy) in pixels, pixel centres at integers, backward
(geometry/warp.py). Images are B x C x H x W float.
"""

import torch
from kornia.geometry.transform import remap
from torch import Tensor

from irvis_fusion_ros.geometry.warp import EDGE_TOLERANCE


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Return the (x, y) of every pixel centre, 1 x H x W x 2, of the device and dtype of `like`."""
    x = torch.arange(width, device=like.device, dtype=like.dtype)
    y = torch.arange(height, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)[None]


def apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Map points through affine 2x3 or 3x3 matrices, B x 2 x 3 or B x 3 x 3 (last row 0 0 1)."""
    points = points.expand(len(matrix), *points.shape[1:])
    # one product for each image, not one for each row of it
    mapped = torch.baddbmm(matrix[:, None, :2, 2], points.flatten(1, 2), matrix[:, :2, :2].mT)
    return mapped.view_as(points)


def sample(image: Tensor, points: Tensor, outside: str = 'border') -> Tensor:
    """
    Sample an image bilinearly at points.

    Beyond the edge it goes on with its edge values ('border') or with zeros ('zeros').
    """
    height, width = image.shape[-2:]
    # normalised here: remap makes the constants for it on the host, which a CUDA graph cannot record
    x, y = points[..., 0] * (2 / max(1, width - 1)) - 1, points[..., 1] * (2 / max(1, height - 1)) - 1
    return remap(image, x, y, padding_mode=outside, align_corners=True, normalized_coordinates=True)


def inside(points: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Say which points lie within an image of shape (..., H, W), B x 1 x H x W bool; NaN is outside."""
    limit_x, limit_y = shape[-1] - 1 + EDGE_TOLERANCE, shape[-2] - 1 + EDGE_TOLERANCE
    x, y = points[:, None, ..., 0], points[:, None, ..., 1]
    return (x >= -EDGE_TOLERANCE) & (y >= -EDGE_TOLERANCE) & (x <= limit_x) & (y <= limit_y)


def warp(image: Tensor, deformation: Tensor, outside: str = 'border') -> Tensor:
    """Return `registered(x) = image(x + d(x))` for an image on the grid of the deformation."""
    height, width = deformation.shape[1:3]
    return sample(image, pixel_grid(height, width, deformation) + deformation, outside)

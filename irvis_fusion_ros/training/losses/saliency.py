"""The fusion loss of UMF-CMGR (eq. 16 to 19), based on the saliency of both images; layouts: basic.py."""

import torch
from torch import Tensor

from irvis_fusion_ros.training.losses.basic import in_float32, laplacian, mean, weighted_ssim

# Gray levels of the histogram.
LEVELS = 256


@torch.no_grad()
def saliency(image: Tensor) -> Tensor:
    """
    Return the saliency of each pixel, B x 1 x H x W, at most 1: its mean contrast to all other pixels.

    `S(p) = sum_i h(i) |p - i|`, h the histogram of the image, divided by its largest value. A flat image has
    saliency 0.
    """
    level = (image.clamp(0, 1) * (LEVELS - 1)).round().long().flatten(1)
    histogram = image.new_zeros(len(image), LEVELS)
    histogram.scatter_add_(1, level, torch.ones_like(level, dtype=image.dtype))
    at = torch.arange(LEVELS, device=image.device, dtype=image.dtype)
    contrast = histogram @ (at[:, None] - at).abs()
    found = contrast.gather(1, level)
    return (found / found.amax(1, keepdim=True).clamp(min=1e-6)).view_as(image)


@in_float32
def similarity(fused: Tensor, visible: Tensor, thermal: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return `1 - SSIM(F, T) + 1 - SSIM(F, V)` (eq. 16), at one scale as printed in the paper."""
    return 2 * weighted_ssim(fused, visible, thermal, mask)


@in_float32
def joint_gradient(fused: Tensor, visible: Tensor, thermal: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return `mean |max(|L T|, |L V|) - |L F||`, L the 4-neighbour Laplacian (eq. 17)."""
    of_fused, of_visible, of_thermal = (laplacian(image).abs() for image in (fused, visible, thermal))
    return mean((torch.maximum(of_thermal, of_visible) - of_fused).abs(), mask)


@in_float32
def salient(fused: Tensor, visible: Tensor, thermal: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return `mean |w T + (1 - w) V - F|` (eq. 18), `w = 1/2 + (S_T - S_V) / 2` of the saliencies.

    The weight is that of the released code: the quotient printed in the paper divides by a difference.
    """
    share = 0.5 + (saliency(thermal) - saliency(visible)) / 2
    return mean((share * thermal + (1 - share) * visible - fused).abs(), mask)


def terms(fused: Tensor, visible: Tensor, thermal: Tensor) -> dict[str, Tensor]:
    """Return the terms of L_fus (eq. 19) without their weights."""
    return {
        'ssim': similarity(fused, visible, thermal),
        'salient': salient(fused, visible, thermal),
        'gradient': joint_gradient(fused, visible, thermal),
    }

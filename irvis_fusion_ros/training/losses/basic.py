"""
Losses that several systems share, each with its equation.

Images and masks are B x 1 x H x W, brightness in [0, 1] and 1 where a pixel counts; deformations are B x H x
W x 2 in pixels (geometry/warp.py). Every loss is a scalar with a minimum of 0. All are computed in float32,
also under autocast, because half precision is too coarse for variances. An empty mask gives 0.
"""

from collections.abc import Callable
from functools import wraps

import torch
from kornia.filters import spatial_gradient
from kornia.metrics import ssim as ssim_map
from torch import Tensor
from torch.nn import functional as F

from irvis_fusion_ros.networks import layers

# SSIM: Gaussian window of 11 pixels, sigma 1.5 (Wang et al., 2004)
SSIM_WINDOW = 11
# Charbonnier, pixels: errors well below this are squared, well above it absolute
ENDPOINT_SOFTNESS = 0.05
# the same for brightness, as in the released code of FusionRegister
SOFTNESS = 1e-3
# Blur within which the position of detail does not matter, standard deviation in pixels
SHARPNESS_BLUR = 4.0
# Gaussian pyramid (Burt and Adelson, 1983, a = 0.4)
PYRAMID = (0.05, 0.25, 0.4, 0.25, 0.05)


def in_float32(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorate a loss to compute in float32, also under autocast."""

    @wraps(loss)
    def wrapper(*arguments: Tensor | None, **options) -> Tensor:
        with layers.single_precision(arguments[0].device):
            return loss(*(None if tensor is None else tensor.float() for tensor in arguments), **options)

    return wrapper


@in_float32
def masked_ncc(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return 1 - MNCC, [0, 2], mean over the batch: L_MNCC of BusReF plus one (eq. 10 and 11).

    `MNCC = sum(a' b') / sqrt(sum(a'^2) sum(b'^2))` over the mask, a' = a minus its mean over the mask. A flat
    image has a correlation of 0.
    """
    mask = torch.ones_like(a) if mask is None else mask
    count = mask.sum((1, 2, 3), keepdim=True).clamp(min=1)
    a, b = ((image - (image * mask).sum((1, 2, 3), keepdim=True) / count) * mask for image in (a, b))
    # a flat image has no variance, and the square root no gradient at 0
    power_a, power_b = ((image * image).sum((1, 2, 3)) + 1e-7 for image in (a, b))
    correlation = (a * b).sum((1, 2, 3)) / (power_a * power_b).sqrt()
    seen = (mask.sum((1, 2, 3)) > 0).to(correlation)
    return mean(1 - correlation, seen)


@in_float32
def gradient(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return `mean |Sx a - Sx b| + |Sy a - Sy b|` over the mask, S the Sobel filters over eight (unit gain).

    A full edge between black and white counts 1 / 2.
    """
    difference = spatial_gradient(a) - spatial_gradient(b)
    return mean(difference.abs().sum(2), mask)


@in_float32
def sharpness(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return `mean |G S a - G S b|` over the mask, S the magnitude of the Sobel gradient, G a Gaussian blur.

    It compares the amount of detail of a place, regardless of its exact position. Losses of single pixels
    would blur detail whose position is uncertain by a few pixels.
    """
    of_a, of_b = (layers.blur(steepness(image), SHARPNESS_BLUR) for image in (a, b))
    return mean((of_a - of_b).abs(), mask)


@in_float32
def masked_laplacian(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return `sqrt(mean((L a - L b)^2))` over the mask, mean over the batch, L the 4-neighbour Laplacian.

    With a and b the fusions of a registered and of an aligned pair this is the masked gradient loss L_MG of
    BusReF (eq. 12), and with `target_laplacian` L_grad (eq. 6); the root of the mean stands for the norm, so
    that the value does not grow with the image.
    """
    return _root_mean_square(laplacian(a) - laplacian(b), mask)


@in_float32
def fusion_gradient(
    fused: Tensor, visible: Tensor, thermal: Tensor, mask: Tensor | None = None, gamma: float = 0.7
) -> Tensor:
    """
    Return L_grad of BusReF (eq. 6 and 7): the Laplacian of the fused image against the stronger of the
    sources.

    The target at each pixel is `sign(l) |l|^gamma` of the Laplacian l of larger magnitude; the norm is as in
    `masked_laplacian`.
    """
    of_visible, of_thermal = laplacian(visible), laplacian(thermal)
    stronger = torch.where(of_visible.abs() > of_thermal.abs(), of_visible, of_thermal)
    target = stronger.sign() * stronger.abs() ** gamma
    return _root_mean_square(laplacian(fused) - target, mask)


@in_float32
def charbonnier(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return `mean sqrt((a - b)^2 + e^2) - e` over the mask, e = 0.001: L_g of FusionRegister (eq. 12).

    This is the form of its code; the paper has L2.
    """
    return mean(((a - b) ** 2 + SOFTNESS**2).sqrt() - SOFTNESS, mask)


@in_float32
def edges(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return the Charbonnier distance of the finest levels of two Laplacian pyramids: L_e of FusionRegister.

    The finest level is the image minus its Gaussian pyramid reduced once and expanded again, a difference of
    Gaussians (eq. 12).
    """
    return charbonnier(finest(a), finest(b), mask)


@in_float32
def spectrum(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return `mean |F(a m) - F(b m)|`, F the orthonormal Fourier transform, m the mask: L_f of FusionRegister.

    The transform of its code is not normalised: its values are `sqrt(H W)` times as large.
    """
    difference = a - b if mask is None else (a - b) * mask
    found = torch.fft.rfft2(difference, norm='ortho')
    # the modulus has no gradient at 0; rfft2 leaves out the mirrored half, so all but two columns count twice
    modulus = (found.real**2 + found.imag**2 + 1e-12).sqrt() - 1e-6
    twice = modulus.new_full(modulus.shape[-1:], 2)
    twice[0] = 1
    if a.shape[-1] % 2 == 0:
        twice[-1] = 1
    return (modulus * twice).sum() / difference.numel()


@in_float32
def ssim(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return 1 - SSIM, mean over the mask (Wang et al., 2004, eq. 13), with reflected borders."""
    return mean(1 - ssim_map(a, b, SSIM_WINDOW), mask)


@in_float32
def weighted_ssim(fused: Tensor, visible: Tensor, thermal: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return L_wsim of BusReF (eq. 5): `1 - (SSIM(fused, visible) + SSIM(fused, thermal)) / 2`."""
    return (ssim(fused, visible, mask) + ssim(fused, thermal, mask)) / 2


@in_float32
def reconstruction(a: Tensor, b: Tensor, *, weight: float = 1.0) -> Tensor:
    """
    Return L_re of BusReF (eq. 4): `mean (a - b)^2 + weight (1 - SSIM)`.

    The paper has a norm. The mean square replaces it, so that its balance with SSIM does not depend on image
    size.
    """
    return F.mse_loss(a, b) + weight * ssim(a, b)


@in_float32
def strongest(
    fused: Tensor, visible: Tensor, thermal: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """
    Return the fusion losses of B-SR (eq. 13): brightness and gradient against the stronger of the sources.

    `mean |F - max(T, V)|` and `mean ||S F| - max(|S T|, |S V|)|`, |S .| the sum of the magnitudes of both
    Sobel filters over four, for unit gain (CDDFuse has the sum).
    """
    of_fused, of_visible, of_thermal = (
        2 * spatial_gradient(image).abs().sum(2) for image in (fused, visible, thermal)
    )
    brightness = (fused - torch.maximum(visible, thermal)).abs()
    return mean(brightness, mask), mean((of_fused - torch.maximum(of_visible, of_thermal)).abs(), mask)


@in_float32
def decomposition(
    visible_base: Tensor, thermal_base: Tensor, visible_detail: Tensor, thermal_detail: Tensor
) -> Tensor:
    """
    Return `cc(detail)^2 / (1.01 + cc(base))`, cc the correlation over the image, mean over channels.

    Both cameras share base features and differ in detail features. This is the loss of CDDFuse, which eq. 12
    of B-SR refers to (its printed form is inverted).
    """
    base, detail = (
        _correlation(*pair) for pair in ((visible_base, thermal_base), (visible_detail, thermal_detail))
    )
    return (detail**2 / (1.01 + base)).mean()


@in_float32
def smoothness(field: Tensor) -> Tensor:
    """Return the mean squared difference of neighbouring displacements, `mean |d_x|^2 + |d_y|^2`."""
    return sum((part**2).sum(-1).mean() for part in _differences(field))


@in_float32
def known_field(field: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Return the mean distance in pixels between a deformation and the known one, over the mask.

    Charbonnier, `sqrt(|d - truth|^2 + e^2) - e` with e = 0.05 px: the endpoint error, smooth at 0.
    """
    return mean(_length(field - truth, ENDPOINT_SOFTNESS), mask)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the correlation of B x C x H x W features over the image, mean over channels, B."""
    a, b = (x - x.mean((2, 3), keepdim=True) for x in (a, b))
    power = (a * a).sum((2, 3)) * (b * b).sum((2, 3))
    return ((a * b).sum((2, 3)) / (power + 1e-12).sqrt()).mean(1)


def steepness(image: Tensor) -> Tensor:
    """Return the magnitude of the Sobel gradient over eight (unit gain) of B x 1 x H x W."""
    # the square root has no gradient at 0
    return ((spatial_gradient(image) ** 2).sum(2) + 1e-10).sqrt() - 1e-5


def laplacian(image: Tensor) -> Tensor:
    """Return the 4-neighbour Laplacian of B x 1 x H x W, with replicated borders."""
    kernel = image.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode='replicate'), kernel[None, None])


def finest(image: Tensor) -> Tensor:
    """Return the finest level of the Laplacian pyramid of B x 1 x H x W, with replicated borders."""
    kernel = image.new_tensor(PYRAMID)
    reduced = _blurred(image, kernel)[..., ::2, ::2]
    expanded = torch.zeros_like(image)
    expanded[..., ::2, ::2] = reduced
    weight = torch.zeros_like(image)
    weight[..., ::2, ::2] = 1
    # three in four pixels are empty, near the borders slightly fewer; the blurred weight normalises for that
    return image - _blurred(expanded, kernel) / _blurred(weight, kernel)


def _blurred(image: Tensor, kernel: Tensor) -> Tensor:
    reach = len(kernel) // 2
    image = F.pad(image, (reach,) * 4, mode='replicate')
    return F.conv2d(F.conv2d(image, kernel[None, None, None]), kernel[None, None, :, None])


def _differences(field: Tensor) -> tuple[Tensor, Tensor]:
    return field[:, :, 1:] - field[:, :, :-1], field[:, 1:] - field[:, :-1]


def _length(vectors: Tensor, softness: float) -> Tensor:
    """Return B x 1 x H x W, smaller than the length by up to `softness`, with a finite gradient at 0."""
    return ((vectors**2).sum(-1) + softness**2).sqrt()[:, None] - softness


def _root_mean_square(difference: Tensor, mask: Tensor | None) -> Tensor:
    mask = torch.ones_like(difference) if mask is None else mask
    count = mask.sum((1, 2, 3)).clamp(min=1)
    # the square root has no gradient at 0
    return (((difference * mask) ** 2).sum((1, 2, 3)) / count + 1e-12).sqrt().mean()


def mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over a mask; 0 if it is empty."""
    if mask is None:
        return values.mean()
    return (values * mask).sum() / mask.sum().clamp(min=1)

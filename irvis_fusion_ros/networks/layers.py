"""
Blocks that the learned systems share: sampling, structure maps, correlation and convolutions.

Feature maps are B x C x H x W. In a map of stride s, cell k is centred on pixel `s k + (s - 1) / 2`, the
convention of `cv2.resize`. Points and displacements are B x H x W x 2, (x, y) in pixels of the finest grid.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import threads
from irvis_fusion_ros.tuning import STRUCTURE

SLOPE = 0.1
# Squared length below which a description counts as empty.
LEAST_ENERGY = 0.01
# Initial scale of the learned features in a description, relative to the edges.
UNTRAINED = 0.1


def tensor_of(image: np.ndarray, device: str | torch.device) -> Tensor:
    """Return brightness, H x W, or colours, H x W x C, as 1 x C x H x W float32 on a device."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    tensor = torch.from_numpy(np.ascontiguousarray(planes, np.float32))[None]
    if torch.device(device).type != 'cuda':
        return tensor.to(device)
    # a copy from pinned memory can run asynchronously
    return tensor.pin_memory().to(device, non_blocking=True)


def image_of(tensor: Tensor) -> np.ndarray:
    """Return an image, 1 x C x H x W, as H x W if it has one channel, as H x W x C otherwise."""
    planes = tensor[0].cpu().numpy()
    return planes[0] if len(planes) == 1 else np.ascontiguousarray(np.moveaxis(planes, 0, -1))


def single_precision(device: torch.device) -> AbstractContextManager:
    """Return a context that switches off autocast, where training uses half precision."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()


def centres(features: Tensor, stride: int) -> Tensor:
    """Return the pixel that each cell of a feature map is centred on, 1 x H x W x 2."""
    height, width = features.shape[-2:]
    return tensors.pixel_grid(height, width, features) * stride + (stride - 1) / 2


def sample(features: Tensor, points: Tensor, stride: int, outside: str = 'zeros') -> Tensor:
    """Sample a feature map of some stride bilinearly at `points`, in pixels of the finest grid."""
    return tensors.sample(features, (points - (stride - 1) / 2) / stride, outside)


def on_grid(field: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resample a field, B x h x w x 2, to a grid of another stride; both grids span the same area."""
    planes = F.interpolate(field.movedim(-1, 1), size=shape, mode='bilinear', align_corners=False)
    return planes.movedim(1, -1)


def padded(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `multiple`."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode='replicate')


def blur(image: Tensor, sigma: float) -> Tensor:
    """Blur every channel with a Gaussian; the border pixels are replicated."""
    radius = int(3 * sigma + 0.5)
    at = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    image = F.pad(image, (radius, radius, radius, radius), mode='replicate')
    if image.device.type != 'cpu' or image.requires_grad or torch.compiler.is_compiling():
        kernel = kernel.repeat(image.shape[1], 1, 1, 1)
        image = F.conv2d(image, kernel, groups=image.shape[1])
        return F.conv2d(image, kernel.transpose(-1, -2), groups=image.shape[1])
    # on a CPU, shifted sums take a third of the time of a convolution
    kernel = kernel.tolist()
    for axis in (-1, -2):
        side = image.shape[axis] - 2 * radius
        total = image.narrow(axis, radius, side) * kernel[radius]
        for near in range(radius):
            far = 2 * radius - near
            total.add_(image.narrow(axis, near, side) + image.narrow(axis, far, side), alpha=kernel[near])
        image = total
    return image


def spread(shift: Tensor, weight: Tensor, sigma: float, pull: Tensor) -> Tensor:
    """
    Average shifts, B x 2 x H x W, over their neighbours by a weighted blur of `sigma` cells (B x 1 x H x W).

    The scalar `pull` adds a zero shift of weight exp(pull) to every average.
    """
    planes = blur(torch.cat([shift * weight, weight], 1), sigma)
    return planes[:, :2] / (planes[:, 2:] + torch.exp(pull))


def content(image: Tensor) -> Tensor:
    """
    Return the support mask of an image, B x 1 x H x W in [0, 1]: 1 on content, 0 elsewhere.

    Rectified and warped images are exactly 0 beyond their edge. A margin of two pixels at that edge counts as
    outside. Groups of zeros narrower than 9 pixels count as content.
    """
    # close by 4 pixels, then erode by 2 more; the area beyond the image counts as content
    return -largest(-largest((image > 0).to(image.dtype), 4), 6)


def structure(image: Tensor, support: Tensor) -> Tensor:
    """
    Return maps of an image that do not depend on the sign of its contrast, B x 4 x H x W.

    The first map is brightness relative to its surroundings. The other three describe edges: their strength
    relative to the surroundings, times 1, cos 2 theta and sin 2 theta of their angle, which stay the same
    when contrast is reversed (as in classical/structure.py, after CFOG, Ye et al., IEEE TGRS 2019). All maps
    are 0 outside the support. Sides must be multiples of 4. The maps are computed in single precision even
    under autocast, because small differences of brightness matter.
    """
    with single_precision(image.device):
        return _structure(image.float(), support)


def _structure(image: Tensor, support: Tensor) -> Tensor:
    contrast = image - _surroundings(image)
    deviation = torch.sqrt(_surroundings(contrast * contrast) + 1e-4)
    smooth = F.pad(blur(image, STRUCTURE.smoothing), (1, 1, 1, 1), mode='replicate')
    gx = (smooth[..., 1:-1, 2:] - smooth[..., 1:-1, :-2]) / 2 * support
    gy = (smooth[..., 2:, 1:-1] - smooth[..., :-2, 1:-1]) / 2 * support
    energy = gx * gx + gy * gy
    relative = torch.sqrt(energy + 1e-12) / (torch.sqrt(_surroundings(energy) + 1e-12) + STRUCTURE.noise)
    strength = relative.clamp(max=STRUCTURE.strongest)
    scale = strength / (energy + 1e-12)
    edges = (strength, (gx * gx - gy * gy) * scale, 2 * gx * gy * scale)
    return torch.cat([contrast / deviation * support, *edges], 1)


def description(features: Tensor, support: Tensor) -> Tensor:
    """
    Turn features, B x C x H x W, into descriptions whose products measure similarity.

    The mean over the support is subtracted. A description is 0 outside the support (B x 1 x H x W), shorter
    where the image has less structure than elsewhere, and never longer than 1, so its length is its weight.
    It is in single precision, whatever the dtype of the features, because correlation needs it.
    """
    features = features.float()
    total = support.sum((2, 3), keepdim=True) + 1e-6
    d = (features - (features * support).sum((2, 3), keepdim=True) / total) * support
    usual = (d * d).sum((1, 2, 3), keepdim=True) / total
    return d * torch.rsqrt(usual + (d * d).sum(1, keepdim=True) + LEAST_ENERGY)


def description_head(channels: int, edges: int, out: int, kept: int) -> nn.Conv2d:
    """
    Return a 1x1 convolution that turns learned features and edges, concatenated in that order, into
    descriptions.

    At first the leading `kept` channels are the edges, averaged where `kept` is fewer, so that an untrained
    network can already match a pair.
    """
    head = nn.Conv2d(channels + edges, out, 1, bias=False)
    kept = min(kept, out)
    with torch.no_grad():
        head.weight *= UNTRAINED
        fold = edges // kept
        head.weight[:kept, channels:, 0, 0] += torch.eye(kept).repeat_interleave(fold, 1) / fold**0.5
    return head


def _surroundings(image: Tensor) -> Tensor:
    """Return the mean within about 6 pixels, computed at a quarter of the resolution."""
    coarse = blur(F.avg_pool2d(image, 4), 1.5)
    return F.interpolate(coarse, scale_factor=4, mode='bilinear', align_corners=False)


def local_correlation(reference: Tensor, moving: Tensor, radius: int) -> Tensor:
    """
    Return the correlation volume: how well each cell matches the moving map at every shift up to `radius`
    cells.

    It is the sum of products over channels, B x (2 radius + 1)^2 x H x W, with the shifts (dx, dy) row by
    row: (-r, -r), (-r + 1, -r), ... The moving map is 0 beyond its border.
    """
    height, width = reference.shape[-2:]
    around = F.pad(moving, (radius, radius, radius, radius))
    count = 2 * radius + 1

    def products(rows: range) -> list[Tensor]:
        return [
            (reference * around[..., i : i + height, j : j + width]).sum(1)
            for i in rows
            for j in range(count)
        ]

    half = count // 2
    first, second = threads.halves(products, (range(half), range(half, count)))
    return torch.stack([*first, *second], 1)


def conv_concatenated(maps: Sequence[Tensor], weight: Tensor, padding: int = 0) -> Tensor:
    """Convolve the concatenation of `maps` along channels without building it, which saves time."""
    weights = weight.split([each.shape[1] for each in maps], 1)
    total = F.conv2d(maps[0], weights[0], padding=padding)
    for each, own in zip(maps[1:], weights[1:], strict=True):
        total.add_(F.conv2d(each, own, padding=padding))
    return total


def shifts(radius: int, like: Tensor) -> Tensor:
    """Return the shifts of `local_correlation`, (2 radius + 1)^2 x 2, (dx, dy) in cells."""
    at = torch.arange(-radius, radius + 1, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(at, at, indexing='xy'), -1).reshape(-1, 2)


def largest(image: Tensor, radius: int) -> Tensor:
    """Return the maximum over a square of `radius` pixels to each side; 20 times as fast as max_pool2d."""
    image = F.pad(image, (radius, radius, radius, radius), mode='replicate')
    for axis in (-2, -1):
        reach, left = 1, 2 * radius
        # take maxima of 2, 4, 8 ... neighbours until they span the square
        while left:
            step = min(reach, left)
            size = image.shape[axis] - step
            image = torch.maximum(image.narrow(axis, 0, size), image.narrow(axis, step, size))
            reach, left = reach + step, left - step
    return image


def conv(into: int, out: int, size: int = 3, stride: int = 1, slope: float = SLOPE) -> nn.Sequential:
    """Return convolution and leaky ReLU; an even size with stride 2 keeps cells centred (top of the file)."""
    pad = (size - stride) // 2 if stride > 1 else size // 2
    return nn.Sequential(nn.Conv2d(into, out, size, stride, pad), nn.LeakyReLU(slope, inplace=True))


class Residual(nn.Module):
    """Two 3x3 convolutions and a skip connection, without normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = conv(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return F.leaky_relu(x + self.second(self.first(x)), SLOPE)


class DynamicConv(nn.Module):
    """
    A convolution whose kernel is a mixture of K kernels, weighted by attention over the whole map.

    Chen et al., "Dynamic convolution: attention over convolution kernels", CVPR 2020, eq. 1 and 3. Training
    lowers `temperature` of the softmax to 1, so that all kernels learn at the start.
    """

    def __init__(self, channels: int, size: int = 3, kernels: int = 4):
        super().__init__()
        self.temperature = 1.0
        self._size = size
        hidden = max(4, channels // 4)
        self.attention = nn.Sequential(
            nn.Linear(channels, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, kernels)
        )
        self.kernels = nn.Parameter(torch.empty(kernels, channels, channels, size, size))
        self.biases = nn.Parameter(torch.zeros(kernels, channels))
        for kernel in self.kernels:
            nn.init.kaiming_uniform_(kernel, a=SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        batch, channels, height, width = x.shape
        share = torch.softmax(self.attention(x.mean((2, 3))) / self.temperature, 1)
        kernel = torch.einsum('bk,koiyx->boiyx', share, self.kernels).flatten(0, 1)
        bias = (share @ self.biases).flatten()
        grouped = x.reshape(1, batch * channels, height, width)
        y = F.conv2d(grouped, kernel, bias, padding=self._size // 2, groups=batch)
        return F.leaky_relu(y.reshape(x.shape), SLOPE)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """Set the parameters of a layer to 0, so that an untrained layer returns 0."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer

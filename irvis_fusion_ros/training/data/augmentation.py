"""
Random sensor effects and tone curves, on the device and in batches.

Images are B x 1 x H x W float32, brightness in [0, 1], in and out. `tone` changes the appearance of a scene
in the thermal camera, and is applied equally to the moved and to the unmoved image. `thermal_sensor` and
`visible_sensor` degrade the output of a camera. Each effect is drawn for each image of a batch with its own
chance.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from irvis_fusion_ros.config import option


@dataclass(frozen=True)
class AugmentationConfig:
    """Chances of the effects, per image."""

    tone: float = option(0.8, 'Chance of another gain and gamma of the thermal image.', minimum=0, maximum=1)
    curve: float = option(
        0.2,
        'Chance of a random tone curve, which inverts parts of the contrast.',
        minimum=0,
        maximum=1,
    )
    inversion: float = option(0.15, 'Chance of black-hot in place of white-hot.', minimum=0, maximum=1)
    pseudo: float = option(
        0.2,
        'Chance that the thermal image is made of the visible one by a random tone curve: exactly aligned.',
        minimum=0,
        maximum=1,
    )
    blur: float = option(0.4, 'Chance of blur, up to 1.8 pixels.', minimum=0, maximum=1)
    coarse: float = option(0.25, 'Chance of half or a third of the resolution.', minimum=0, maximum=1)
    noise: float = option(0.6, 'Chance of noise, up to 6 % of the range.', minimum=0, maximum=1)
    stripes: float = option(
        0.3, 'Chance of a fixed pattern of columns, rows and slow blotches, up to 5 %.', minimum=0, maximum=1
    )
    vignetting: float = option(0.3, 'Chance of dark corners, down to half.', minimum=0, maximum=1)
    low_light: float = option(0.25, 'Chance of a dark and noisy visible image.', minimum=0, maximum=1)
    occluders: float = option(0.2, 'Chance of patches that only one camera sees.', minimum=0, maximum=1)


class Chance:
    """
    Random numbers for one batch: per-image ones from a NumPy generator, per-pixel ones from one on the
    device.

    size: B.
    """

    def __init__(self, size: int, rng: np.random.Generator, noise: torch.Generator):
        self.size = size
        self.rng = rng
        self.noise = noise

    def hit(self, chance: float) -> Tensor:
        """Return 1 with this chance for each image, else 0, B x 1 x 1 x 1."""
        return self._tensor(self.rng.random(self.size) < chance)

    def uniform(self, low: float, high: float) -> Tensor:
        """Return a random number for each image, B x 1 x 1 x 1."""
        return self._tensor(self.rng.uniform(low, high, self.size))

    def normal(self, *shape: int) -> Tensor:
        """Return normally distributed numbers, B x `shape`."""
        return torch.randn((self.size, *shape), generator=self.noise, device=self.noise.device)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.noise.device)[:, None, None, None]


def tone(images: list[Tensor], config: AugmentationConfig, chance: Chance) -> list[Tensor]:
    """Change the tone of the thermal image equally in each of `images` (the moved and the unmoved one)."""
    on = chance.hit(config.tone)
    gamma = torch.exp(chance.uniform(-0.6, 0.6) * on)
    gain, middle = 1 + on * chance.uniform(-0.4, 0.3), chance.uniform(0.3, 0.7)
    curved, curve = chance.hit(config.curve), random_curve(chance)
    inverted = chance.hit(config.inversion)
    out = []
    for image in images:
        image = ((image - middle) * gain + middle).clamp(0, 1) ** gamma
        image = torch.lerp(image, apply_curve(image, curve), curved)
        out.append(torch.lerp(image, 1 - image, inverted))
    return out


def random_curve(chance: Chance, knots: int = 7) -> Tensor:
    """Return random tone curves, not necessarily monotonic, B x knots; each spans [0, 1]."""
    values = torch.from_numpy(chance.rng.random((chance.size, knots)).astype(np.float32))
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    return ((values - low) / (high - low).clamp(min=1e-3)).to(chance.noise.device)


def apply_curve(image: Tensor, curve: Tensor) -> Tensor:
    """Map brightness by a curve, with linear interpolation between its knots."""
    place = image.flatten(1) * (curve.shape[1] - 1)
    left = place.floor().clamp(0, curve.shape[1] - 2)
    lower, upper = curve.gather(1, left.long()), curve.gather(1, left.long() + 1)
    return torch.lerp(lower, upper, place - left).view_as(image)


def thermal_sensor(image: Tensor, config: AugmentationConfig, chance: Chance) -> Tensor:
    """Degrade a thermal image: blur, resolution, occluders, fixed pattern, vignetting, noise."""
    image = _blurred(image, config.blur, chance)
    image = _coarsened(image, config.coarse, chance)
    image = _occluded(image, config.occluders, chance)
    height, width = image.shape[-2:]
    on = chance.hit(config.stripes)
    columns = chance.normal(1, 1, width) * chance.uniform(0, 0.05) * chance.hit(0.7)
    rows = chance.normal(1, height, 1) * chance.uniform(0, 0.03) * chance.hit(0.3)
    blotches = F.interpolate(chance.normal(1, 4, 5), (height, width), mode='bicubic', align_corners=True)
    image = image + on * (columns + rows + blotches * chance.uniform(0, 0.04))
    image = _vignetted(image, config.vignetting, chance)
    return _noisy(image, config.noise, chance)


def visible_sensor(image: Tensor, config: AugmentationConfig, chance: Chance) -> Tensor:
    """Degrade a visible image: exposure, blur, occluders, vignetting, low light, noise."""
    on = chance.hit(config.tone)
    image = (image * (1 + on * chance.uniform(-0.4, 0.4))).clamp(0, 1)
    image = image ** torch.exp(on * chance.uniform(-0.6, 0.6))
    image = _blurred(image, config.blur / 2, chance)
    image = _occluded(image, config.occluders, chance)
    image = _vignetted(image, config.vignetting, chance)
    dark = chance.hit(config.low_light)
    exposure = 1 - dark * (1 - chance.uniform(0.05, 0.4))
    photons = chance.normal(1, *image.shape[-2:]) * (image * exposure).clamp(min=0).sqrt() * 0.06
    image = image * exposure + dark * photons
    # automatic gain: half of the dark images are brightened again, including their noise
    image = image / torch.lerp(torch.ones_like(exposure), exposure, chance.hit(0.5))
    return _noisy(image, config.noise / 2, chance)


def _blurred(image: Tensor, share: float, chance: Chance) -> Tensor:
    sigma = chance.uniform(0.3, 1.8) * chance.hit(share)
    place = torch.arange(-4.0, 5.0, device=image.device)
    kernel = torch.exp(-(place**2) / (2 * sigma.clamp(min=0.05) ** 2))
    kernel = kernel / kernel.sum(-1, keepdim=True)
    # a kernel per image: the images become channels of a grouped convolution
    stacked = F.pad(image.transpose(0, 1), (4, 4, 4, 4), mode='replicate')
    along = F.conv2d(stacked, kernel, groups=chance.size)
    return F.conv2d(along, kernel.transpose(-1, -2), groups=chance.size).transpose(0, 1)


def _coarsened(image: Tensor, share: float, chance: Chance) -> Tensor:
    factor = int(chance.rng.integers(2, 4))
    on = chance.hit(share)
    size = [max(1, side // factor) for side in image.shape[-2:]]
    # not mode 'area': of images of one channel its kernel reads beyond memory on a GPU (torch 2.11)
    small = F.interpolate(image, size, mode='bilinear', align_corners=False, antialias=True)
    large = F.interpolate(small, image.shape[-2:], mode='bilinear', align_corners=False)
    return torch.lerp(image, large, on)


def _occluded(image: Tensor, share: float, chance: Chance) -> Tensor:
    height, width = image.shape[-2:]
    y = torch.arange(height, device=image.device)[:, None]
    x = torch.arange(width, device=image.device)
    for _ in range(2):
        on, level = chance.hit(share), chance.uniform(0, 1)
        left, top = chance.uniform(-0.1, 1) * width, chance.uniform(-0.1, 1) * height
        wide, high = chance.uniform(0.05, 0.3) * width, chance.uniform(0.05, 0.3) * height
        patch = (x >= left) & (x < left + wide) & (y >= top) & (y < top + high)
        image = torch.where(patch & (on > 0), level, image)
    return image


def _vignetted(image: Tensor, share: float, chance: Chance) -> Tensor:
    height, width = image.shape[-2:]
    y = torch.linspace(-1, 1, height, device=image.device)[:, None]
    x = torch.linspace(-1, 1, width, device=image.device)
    return image * (1 - chance.hit(share) * chance.uniform(0, 0.5) * (x**2 + y**2) / 2)


def _noisy(image: Tensor, share: float, chance: Chance) -> Tensor:
    strength = chance.uniform(0, 0.06) * chance.hit(share)
    return (image + strength * chance.normal(1, *image.shape[-2:])).clamp(0, 1)

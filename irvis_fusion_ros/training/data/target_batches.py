"""
Batches of thermal crops with targets, made on the device.

There are few boxes, so targets are cut out and laid elsewhere, at any size and contrast, among things that
are warm as well: blobs, strips, half planes, noise. A batch depends only on the seed and the number of the
step.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.training.data.augmentation import Chance
from irvis_fusion_ros.training.data.targets import TargetItem

# Side of a target that is cut out, pixels; smaller ones are averaged over so many of them.
CUT = 96
REDUCED = ((24, 4), (10, 12))
# Pixels of the smallest target that is cut out, and its contrast to what is around it at least.
LEAST_PIXELS, LEAST_CONTRAST = 40, 0.12
# A small hot spot: narrower than so many pixels in both directions, and above what is around it by so much of
# the range and by so many times the mean of what stands out in a window of so many pixels.
SPOT, SPOT_CONTRAST, SPOT_CLUTTER, SPOT_AROUND = 9, 0.2, 8.0, 41


@dataclass(frozen=True)
class DrawnConfig:
    """
    How crops are drawn. Numbers are of crops of 112 to 192 pixels, and chances are per image.

    Tuned on the share of the people of test/data/targets that are kept, and on noise that shows none.
    """

    # Factor on the size of an image, its rotation in radians, and how often an image without boxes is drawn.
    scale: tuple[float, float] = (0.45, 1.3)
    turn: float = 0.17
    ground: float = 0.6
    # Chances of a smooth made-up ground, of each of two strips or half planes, and of nothing but noise.
    made_up: float = 0.12
    strip: float = 0.25
    noise_alone: float = 0.14
    # Chances of a first, second and third target that is laid on a crop, and that it is a blob.
    laid: tuple[float, ...] = (0.55, 0.4, 0.3)
    blob: float = 0.3
    # Height of a target, and its contrast to the ground.
    height: tuple[float, float] = (3.0, 84.0)
    contrast: tuple[float, float] = (0.07, 0.9)
    # Weights of the loss: warm places without a box where others have one (there may be people nobody boxed),
    # small hot spots without a box, of which nobody can say whether they are lamps or people far away, the
    # edges of a target, what is near a box and not of a target, and noise alone.
    unboxed: float = 0.5
    spots: float = 0.1
    edge: float = 0.3
    near: float = 0.25
    noise_weight: float = 1.5


@dataclass(frozen=True)
class TargetBatch:
    """
    Crops with their targets, on one device.

    thermal: B x 1 x H x W float32, between its percentiles, [0, 1]. target, weight: B x 1 x H/2 x W/2
    float32, whether there is a target (0/1), and how much the place counts.
    """

    thermal: Tensor
    target: Tensor
    weight: Tensor


class TargetSource:
    """
    Makes batches of one part of a training set; see `batches.PairSource`.

    Raises FileError if the part has no target.
    """

    def __init__(
        self,
        items: Sequence[TargetItem],
        part: str,
        seed: int = 0,
        device: str | torch.device = 'cpu',
        config: DrawnConfig = DrawnConfig(),
    ):
        chosen = [each for each in items if each.part == part]
        self._figures = [figure for each in chosen for figure in _cut_out(each)]
        if not self._figures:
            raise FileError(
                f"the training set has no target of part '{part}': add data sets, or boxes of them"
            )
        self._device = torch.device(device)
        self._figures = torch.from_numpy(np.stack(self._figures)).to(self._device)
        self._images = [_planes(each).to(self._device) for each in chosen]
        self._boxed = np.array([each.targets.any() for each in chosen])
        shares = np.where(self._boxed, 1.0, config.ground)
        self._shares = shares / shares.sum()
        self._seed = [seed, zlib.crc32(part.encode())]
        self._config = config

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, step: int, size: int, crop: tuple[int, int], mixture: Mapping[str, float]) -> TargetBatch:
        """Return the batch of a step; crop: height and width, even. The mixture of warps is not used."""
        rng = np.random.default_rng([*self._seed, step])
        noise = torch.Generator(self._device)
        noise.manual_seed(int(rng.integers(2**62)))
        chance, config = Chance(size, rng, noise), self._config
        chosen = rng.choice(len(self._images), size, p=self._shares)
        thermal, target, near = self._crops(chosen, crop, chance)
        made_up = chance.hit(config.made_up)
        ground = 0.5 + 0.12 * _smooth(chance, crop, 40)
        ground = ground + 0.05 * chance.uniform(0, 1) * _smooth(chance, crop, 12)
        thermal = torch.lerp(thermal, ground, made_up)
        target, near = target * (1 - made_up), near * (1 - made_up)
        for _ in range(2):
            thermal = thermal + _strip(chance, crop, chance.hit(config.strip)) * (1 - target)
        for share in config.laid:
            thermal, target, near = self._lay((thermal, target, near), chance, chance.hit(share))
        thermal = _camera(thermal, chance)
        alone = chance.hit(config.noise_alone)
        thermal = torch.lerp(thermal, 0.5 + 0.1 * _noise(chance, crop), alone)
        target, near = target * (1 - alone), near * (1 - alone)
        thermal = _stretched(thermal)
        boxed = torch.from_numpy(self._boxed[chosen]).to(self._device)[:, None, None, None]
        return TargetBatch(thermal, *self._labels(thermal, target, near, alone, boxed))

    def _crops(
        self, chosen: np.ndarray, crop: tuple[int, int], chance: Chance
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return thermal images, targets and what is near them, each B x 1 x H x W, of chosen images."""
        config, rng = self._config, chance.rng
        grid = tensors.pixel_grid(*crop, self._images[0])
        middle = torch.tensor([crop[1], crop[0]], device=self._device) / 2
        planes = []
        for index in chosen:
            image = self._images[index]
            size = np.array(image.shape[:1:-1])
            scale = np.exp(rng.uniform(*np.log(config.scale)))
            angle, side = rng.uniform(-1, 1) * config.turn, rng.choice((-1, 1))
            linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            linear = linear @ np.diag([side / scale, 1 / scale])
            slack = np.maximum(size - np.array([crop[1], crop[0]]) / scale, 0)
            centre = size / 2 + rng.uniform(-0.5, 0.5, 2) * slack
            matrix, at = (torch.from_numpy(each).to(grid) for each in (linear, centre))
            planes.append(tensors.sample(image, _mirrored((grid - middle) @ matrix.T + at, image.shape)))
        return torch.cat(planes).split(1, 1)

    def _lay(self, planes: tuple[Tensor, ...], chance: Chance, on: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Lay a target on each image where `on` is 1."""
        thermal, target, near = planes
        config, crop = self._config, thermal.shape[-2:]
        chosen = self._figures[chance.rng.integers(len(self._figures), size=chance.size)]
        height = torch.exp(chance.uniform(*np.log(config.height)))
        aspect, angle = torch.exp(chance.uniform(-0.2, 0.2)), chance.uniform(-0.5, 0.5)
        angle = angle * torch.where(chance.hit(0.2) > 0, 6.0, 0.5)
        x, y = _places(chance, crop)
        x = x * torch.where(chance.hit(0.5) > 0, -1.0, 1.0)
        along = (torch.cos(angle) * x - torch.sin(angle) * y) / (height * aspect / 2)
        down = (torch.sin(angle) * x + torch.cos(angle) * y) / (height / 2)
        for below, cells in REDUCED:
            coarse = F.interpolate(F.avg_pool2d(chosen, cells), size=(CUT, CUT), mode='bilinear')
            chosen = torch.where(height < below, coarse, chosen)
        at = torch.cat([along, down], 1).permute(0, 2, 3, 1)
        warmth, mask = F.grid_sample(chosen, at, align_corners=False).split(1, 1)
        blob = _blob(chance, crop, along, down, height)
        is_blob = chance.hit(config.blob)
        warmth = torch.lerp(
            warmth, blob * (1 + 0.3 * chance.uniform(0, 1) * _smooth(chance, crop, 6)), is_blob
        )
        mask = (torch.lerp(mask, blob, is_blob) * on).clamp(0, 1)
        contrast = torch.exp(chance.uniform(*np.log(config.contrast))) * on
        around = _mean(thermal, 9)
        thermal = torch.lerp(thermal, around, 0.7 * mask) + contrast * warmth
        close = (_mean((mask > 0.1).float(), 5) > 0).float()
        return thermal, torch.maximum(target, mask), torch.maximum(near, close)

    def _labels(
        self, thermal: Tensor, target: Tensor, near: Tensor, alone: Tensor, boxed: Tensor
    ) -> tuple[Tensor, Tensor]:
        config = self._config
        share, close, small = F.max_pool2d(target, 2), F.max_pool2d(near, 2), F.avg_pool2d(thermal, 2)
        warm = small - _mean(small, 25) > 0.12
        weight = torch.where(boxed & warm & (close < 0.5), config.unboxed, 1.0)
        weight = torch.where(F.max_pool2d(_spots(thermal), 2) > 0, config.spots, weight)
        weight = torch.where(share > 0.4, 1.0, weight)
        weight = torch.where((share > 0.2) & (share < 0.6), config.edge, weight)
        weight = torch.where((close > 0.5) & (share < 0.2), config.near, weight)
        return (share > 0.4).float(), torch.lerp(weight, torch.full_like(weight, config.noise_weight), alone)


def _planes(item: TargetItem) -> Tensor:
    """Return thermal image, targets and what is near them, 1 x 3 x H x W float32."""
    planes = item.thermal / np.float32(65535), item.targets > 0, item.near > 0
    return torch.from_numpy(np.stack(planes).astype(np.float32))[None]


def _cut_out(item: TargetItem) -> list[np.ndarray]:
    """Return the targets of an image, 2 x CUT x CUT: warmth, 1 on average, 0 around it; and the mask."""
    thermal, found = item.thermal / np.float32(65535), []
    for number in range(1, int(item.targets.max()) + 1):
        mask = (item.targets == number).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        margin = max(4, width // 3)
        part = slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin)
        warm, own, free = thermal[part], mask[part] > 0, item.targets[part] == 0
        if own.sum() < LEAST_PIXELS or free.sum() < 10:
            continue
        ground = float(np.median(warm[free]))
        contrast = float(warm[own].mean()) - ground
        if contrast < LEAST_CONTRAST:
            continue
        planes = np.clip((warm - ground) / contrast, 0, 1.8) * own, own.astype(np.float32)
        found.append(np.stack([_fitted(plane) for plane in planes]))
    return found


def _fitted(plane: np.ndarray) -> np.ndarray:
    """Return a plane enlarged to a square of CUT pixels, with zeros around it."""
    scale = CUT / max(plane.shape)
    height, width = (max(1, round(side * scale)) for side in plane.shape)
    top, left = (CUT - height) // 2, (CUT - width) // 2
    square = np.zeros((CUT, CUT), np.float32)
    square[top : top + height, left : left + width] = cv2.resize(plane, (width, height))
    return square


def _mean(image: Tensor, cells: int) -> Tensor:
    """Return the mean of so many pixels, odd, in both directions around each, as far as the image goes."""
    for window, margin in (((cells, 1), (cells // 2, 0)), ((1, cells), (0, cells // 2))):
        image = F.avg_pool2d(image, window, 1, margin, count_include_pad=False)
    return image


def _spots(thermal: Tensor) -> Tensor:
    """Return 1 at and around what is hot, small and alone in its surroundings, else 0, B x 1 x H x W."""
    opened = None
    for window in ((1, SPOT), (SPOT, 1)):
        margin = window[0] // 2, window[1] // 2
        # along one direction, what is narrower than the window is gone, and what is wider stays
        line = F.max_pool2d(-F.max_pool2d(-thermal, window, 1, margin), window, 1, margin)
        opened = line if opened is None else torch.maximum(opened, line)
    above = thermal - opened
    hot = (above > SPOT_CONTRAST) & (above > SPOT_CLUTTER * _mean(above, SPOT_AROUND))
    return F.max_pool2d(hot.float(), 3, 1, 1)


def _mirrored(points: Tensor, shape: torch.Size) -> Tensor:
    """Return points, pixels, reflected at the edges of an image."""
    last = points.new_tensor([shape[-1] - 1, shape[-2] - 1])
    folded = torch.remainder(points, 2 * last)
    return torch.where(folded > last, 2 * last - folded, folded)


def _places(chance: Chance, crop: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the distance of every pixel from a random place of each image, B x 1 x H x W, right and down."""
    x, y = (torch.arange(side, dtype=torch.float32, device=chance.noise.device) for side in crop[::-1])
    return (
        x.expand(chance.size, 1, *crop) - chance.uniform(0, 1) * crop[1],
        y[:, None].expand(chance.size, 1, *crop) - chance.uniform(0, 1) * crop[0],
    )


def _smooth(chance: Chance, crop: tuple[int, int], cells: int) -> Tensor:
    """Return noise that is smooth over so many pixels, B x 1 x H x W."""
    coarse = chance.normal(1, *(max(2, side // max(1, cells)) for side in crop))
    return F.interpolate(coarse, size=crop, mode='bicubic', align_corners=False)


def _strip(chance: Chance, crop: tuple[int, int], on: Tensor) -> Tensor:
    """Return a warm strip, a long or a large thing, or a half plane: what is no target, B x 1 x H x W."""
    angle, kind = chance.uniform(0, np.pi), chance.uniform(0, 1)
    x, y = _places(chance, crop)
    along, across = torch.cos(angle) * x + torch.sin(angle) * y, torch.cos(angle) * y - torch.sin(angle) * x
    thin = kind < 0.5
    width = torch.where(thin, chance.uniform(1, 9), chance.uniform(45, 110))
    length = torch.where(thin, 400.0, chance.uniform(60, 160))
    shape = torch.sigmoid((width - across.abs()) * 2) * torch.sigmoid((length - along.abs()) * 2)
    shape = torch.where(kind > 0.75, torch.sigmoid(across * 1.5), shape)
    return on * chance.uniform(0.03, 0.4) * shape


def _blob(chance: Chance, crop: tuple[int, int], along: Tensor, down: Tensor, height: Tensor) -> Tensor:
    """Return an ellipse or a rectangle, B x 1 x H x W in [0, 1]."""
    wide = torch.exp(chance.uniform(-0.9, 0.5))
    ellipse = torch.sqrt((along / wide) ** 2 + down**2)
    rectangle = torch.maximum((along / wide).abs(), down.abs())
    distance = torch.where(chance.hit(0.7) > 0, ellipse, rectangle)
    return torch.sigmoid((0.8 - distance) * height * 0.4)


def _camera(thermal: Tensor, chance: Chance) -> Tensor:
    """Return images with another gain, blur, noise and stripes."""
    crop = thermal.shape[-2:]
    low, high = thermal.amin((1, 2, 3), keepdim=True), thermal.amax((1, 2, 3), keepdim=True)
    thermal = ((thermal - low) / (high - low + 1e-3)).clamp(0, 1) ** torch.exp(chance.uniform(-0.5, 0.5))
    blurred = F.avg_pool2d(F.pad(thermal, (1, 1, 1, 1), mode='replicate'), 3, 1)
    thermal = torch.lerp(thermal, blurred, chance.hit(0.4))
    strength = torch.exp(chance.uniform(*np.log((0.002, 0.12)))) * chance.hit(0.6)
    smooth = _smooth(chance, crop, int(chance.rng.integers(2, 10)))
    noise = torch.lerp(smooth, chance.normal(1, *crop), chance.hit(0.6))
    columns = chance.normal(1, 1, crop[1]) * chance.hit(0.2)
    rows = chance.normal(1, crop[0], 1) * chance.hit(0.2)
    return thermal + strength * (noise + 0.5 * columns + 0.5 * rows)


def _noise(chance: Chance, crop: tuple[int, int]) -> Tensor:
    """Return noise of one size or of many, with stripes in some of it, B x 1 x H x W."""
    noise, cells = chance.normal(1, *crop), 2 * int(chance.rng.integers(5)) + 1
    for _ in range(2):
        noise = _mean(noise, cells)
    noise = noise / noise.std((1, 2, 3), keepdim=True)
    large = _smooth(chance, crop, int(chance.rng.integers(2, 27)))
    noise = torch.lerp(noise, large + 0.2 * noise, chance.hit(0.3))
    columns = chance.normal(1, 1, crop[1]) * chance.hit(0.25) * chance.uniform(0.3, 3)
    rows = chance.normal(1, crop[0], 1) * chance.hit(0.25) * chance.uniform(0.3, 3)
    return noise + columns + rows


def _stretched(thermal: Tensor) -> Tensor:
    """Return images between their percentiles, as the network sees them."""
    shares = thermal.new_tensor([0.005, 0.995])
    low, high = torch.quantile(thermal.flatten(1)[:, ::4], shares, dim=1)[..., None, None, None]
    return ((thermal - low) / (high - low + 1e-4)).clamp(0, 1)

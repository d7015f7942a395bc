"""
Batches of pairs displaced by known warps, made on the device.

A batch depends only on the seed and the number of the step, so a resumed run sees the same batches as an
uninterrupted one. The network must learn to match, not to memorise a few hundred images. So both images of a
pair are rotated, scaled and mirrored together before the known warp, and degraded independently.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from irvis_fusion_ros.config import option
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.geometry.transform import resize_transform
from irvis_fusion_ros.training.data import augmentation, warps
from irvis_fusion_ros.training.data.augmentation import AugmentationConfig, Chance
from irvis_fusion_ros.training.data.pack import Item
from irvis_fusion_ros.training.recipes.base import Batch

# Image pyramids are halved while both sides stay above this, pixels.
SMALLEST_LEVEL = 48


@dataclass(frozen=True)
class JointConfig:
    """Random transforms of both images of a pair together, before the known warp."""

    turn: float = option(12.0, 'Largest rotation to either side.', minimum=0, maximum=180, unit='degrees')
    quarter_turns: float = option(0.2, 'Chance of a turn by a quarter or more.', minimum=0, maximum=1)
    mirror: float = option(0.5, 'Chance of left for right.', minimum=0, maximum=1)
    flip: float = option(0.1, 'Chance of top for bottom.', minimum=0, maximum=1)
    smallest: float = option(
        0.4, 'Smallest share of an image, by length, that a crop shows.', minimum=0.05, maximum=1
    )
    enlarge: float = option(1.5, 'An image is enlarged by no more than this.', minimum=1, maximum=4)
    squeeze: float = option(
        0.1, 'Largest change of the ratio of width to height, either way.', minimum=0, maximum=0.5
    )
    warp_smallest: float = option(
        0.4,
        'Smallest factor on the pixels of a protocol: crops are smaller than images.',
        minimum=0,
        maximum=2,
    )
    warp_largest: float = option(1.0, 'Largest factor on the pixels of a protocol.', minimum=0, maximum=2)
    beyond: float = option(
        0.5, 'Chance that the moved image shows what lies beyond the crop, not black.', minimum=0, maximum=1
    )


class PairSource:
    """
    Makes batches of one part of a training set.

    items: of all parts; only those of `part` are used. device: holds the images and makes the batches.
    Raises FileError if the part is empty.
    """

    def __init__(
        self,
        items: Sequence[Item],
        part: str,
        seed: int = 0,
        device: str | torch.device = 'cpu',
        joint: JointConfig = JointConfig(),
        sensors: AugmentationConfig = AugmentationConfig(),
    ):
        chosen = [item for item in items if item.part == part]
        if not chosen:
            raise FileError(f"the training set has no pair of part '{part}': add data sets of more scenes")
        self._device = torch.device(device)
        self._levels = [_levels(item, self._device) for item in chosen]
        self._seed = [seed, zlib.crc32(part.encode())]
        self._joint = joint
        self._sensors = sensors

    def __len__(self) -> int:
        return len(self._levels)

    def batch(self, step: int, size: int, crop: tuple[int, int], mixture: Mapping[str, float]) -> Batch:
        """
        Return the batch of a step.

        size: number of pairs. crop: height and width. mixture: shares of the protocols that warps are drawn
        from.
        """
        rng = np.random.default_rng([*self._seed, step])
        noise = torch.Generator(self._device)
        noise.manual_seed(int(rng.integers(2**62)))
        chance = Chance(size, rng, noise)
        names = warps.pick(mixture, size, rng)
        scales = rng.uniform(self._joint.warp_smallest, self._joint.warp_largest, size)
        known = warps.draw(names, scales, crop, rng, noise)
        truth, shown = known.truth()
        grid = tensors.pixel_grid(*crop, truth)
        source = known(grid)
        thermal, visible, moved, inside_image = self._pictures(grid.expand_as(source), source, chance)
        # 0 beyond the thermal image, which ends at the edge of the crop or of the whole image
        extends_beyond_crop = chance.hit(self._joint.beyond) > 0
        has_content = (tensors.inside(source, crop) | extends_beyond_crop) & inside_image
        thermal, moved = augmentation.tone([thermal, moved], self._sensors, chance)
        moved = augmentation.thermal_sensor(moved, self._sensors, chance) * has_content
        visible = augmentation.visible_sensor(visible, self._sensors, chance)
        return Batch(thermal, visible, moved, truth, shown.to(truth))

    def _pictures(self, grid: Tensor, source: Tensor, chance: Chance) -> tuple[Tensor, ...]:
        """
        Sample both images on the grid of the crop, and the moved thermal image at `source` (pixels of the
        crop).

        The last result is the mask of the moved image's content, B x 1 x H x W bool.
        """
        pseudo = chance.hit(self._sensors.pseudo).flatten().tolist()
        curves = augmentation.random_curve(chance)
        out = []
        for index in range(chance.size):
            levels = self._levels[int(chance.rng.integers(len(self._levels)))]
            level, matrix = self._place(levels, grid.shape[1:3], chance.rng)
            image = levels[level].float() / 255
            to_image = torch.from_numpy(matrix).to(grid)[None]
            at, moved_at = (tensors.apply(to_image, points[index : index + 1]) for points in (grid, source))
            if pseudo[index]:
                image[:, 0] = augmentation.apply_curve(image[:, 1], curves[index : index + 1])
            unmoved, moved = tensors.sample(image, at), tensors.sample(image[:, :1], moved_at)
            out.append((unmoved[:, :1], unmoved[:, 1:], moved, tensors.inside(moved_at, image.shape)))
        return tuple(torch.cat(parts) for parts in zip(*out, strict=True))

    def _place(
        self, levels: list[Tensor], crop: tuple[int, int], rng: np.random.Generator
    ) -> tuple[int, np.ndarray]:
        """Draw a random crop of an image: the pyramid level, and the 3x3 from crop to level pixels."""
        joint, shape = self._joint, levels[0].shape[-2:]
        angle = np.deg2rad(rng.uniform(-1, 1) * joint.turn)
        if rng.random() < joint.quarter_turns:
            angle += np.pi / 2 * rng.integers(1, 4)
        signs = np.where(rng.random(2) < (joint.mirror, joint.flip), -1, 1)
        squeeze = 1 + rng.uniform(-1, 1) * joint.squeeze
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn @ np.diag(signs * (squeeze, 1 / squeeze))
        # the bounding box of the rotated crop, for one image pixel per crop pixel
        crop_size = np.array([crop[1] - 1, crop[0] - 1])
        size = np.array([shape[1] - 1, shape[0] - 1])
        box = np.abs(linear) @ crop_size
        largest = float((size / box).min())
        smallest = min(largest, max(largest * joint.smallest, 1 / joint.enlarge))
        scale = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
        slack = np.maximum(size - box * scale, 0)
        centre = size / 2 + rng.uniform(-0.5, 0.5, 2) * slack
        matrix = np.eye(3)
        matrix[:2, :2] = linear * scale
        matrix[:2, 2] = centre - matrix[:2, :2] @ crop_size / 2
        level = int(np.clip(np.round(np.log2(scale)), 0, len(levels) - 1))
        return level, resize_transform(shape, levels[level].shape[-2:]) @ matrix


def _levels(item: Item, device: torch.device) -> list[Tensor]:
    """Return the pyramid of both images, 1 x 2 x H x W uint8 each; a crop is sampled from one level."""
    images = [item.thermal, item.visible]
    levels = []
    while True:
        levels.append(torch.from_numpy(np.stack(images))[None].to(device))
        height, width = (side // 2 for side in images[0].shape)
        if min(height, width) < SMALLEST_LEVEL:
            return levels
        images = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images]

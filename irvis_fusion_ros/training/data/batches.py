"""
Batches of pairs moved by known warps, made on the device.

A batch depends on the seed and the number of the step alone, so a run that is resumed sees the batches that
it would have seen. What is learned must be to match, not to remember a few hundred pictures: both images of
a pair are turned, scaled and mirrored together before the known warp, and degraded in ways of their own.
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

# Image levels are halved while both sides stay above this.
SMALLEST_LEVEL = 48


@dataclass(frozen=True)
class JointConfig:
    """How both images of a pair are changed together before the known warp."""

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

    items: of both parts; those of `part` are used. device: where the images stay and batches are made.
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

        size: pairs in it. crop: height and width. mixture: protocols that warps are drawn from, with shares.
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
        thermal, visible, moved, there = self._pictures(grid.expand_as(source), source, chance)
        # black where the thermal image ends: at the edge of the crop, or of the whole picture
        open_ended = chance.hit(self._joint.beyond) > 0
        lit = (tensors.inside(source, crop) | open_ended) & there
        thermal, moved = augmentation.tone([thermal, moved], self._sensors, chance)
        moved = augmentation.thermal_sensor(moved, self._sensors, chance) * lit
        visible = augmentation.visible_sensor(visible, self._sensors, chance)
        return Batch(thermal, visible, moved, truth, shown.to(truth))

    def _pictures(self, still: Tensor, source: Tensor, chance: Chance) -> tuple[Tensor, ...]:
        """
        Sample thermal and visible images at `still`, the moved ones at `source` (pixels of the crop).

        The last result says where the moved image shows something, B x 1 x H x W bool.
        """
        pseudo = chance.hit(self._sensors.pseudo).flatten().tolist()
        curves = augmentation.random_curve(chance)
        out = []
        for index in range(chance.size):
            levels = self._levels[int(chance.rng.integers(len(self._levels)))]
            level, matrix = self._place(levels, still.shape[1:3], chance.rng)
            image = levels[level].float() / 255
            to_image = torch.from_numpy(matrix).to(still)[None]
            at, moved_at = (tensors.apply(to_image, points[index : index + 1]) for points in (still, source))
            if pseudo[index]:
                image[:, 0] = augmentation.apply_curve(image[:, 1], curves[index : index + 1])
            unmoved, moved = tensors.sample(image, at), tensors.sample(image[:, :1], moved_at)
            out.append((unmoved[:, :1], unmoved[:, 1:], moved, tensors.inside(moved_at, image.shape)))
        return tuple(torch.cat(parts) for parts in zip(*out, strict=True))

    def _place(
        self, levels: list[Tensor], crop: tuple[int, int], rng: np.random.Generator
    ) -> tuple[int, np.ndarray]:
        """Draw where in an image a crop lies: the level to sample, and the 3x3 from crop to level pixels."""
        joint, shape = self._joint, levels[0].shape[-2:]
        angle = np.deg2rad(rng.uniform(-1, 1) * joint.turn)
        if rng.random() < joint.quarter_turns:
            angle += np.pi / 2 * rng.integers(1, 4)
        signs = np.where(rng.random(2) < (joint.mirror, joint.flip), -1, 1)
        squeeze = 1 + rng.uniform(-1, 1) * joint.squeeze
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn @ np.diag(signs * (squeeze, 1 / squeeze))
        # the box that the turned crop takes up, at one image pixel a crop pixel
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
    """Both images at full, half, quarter ... size, each 1 x 2 x H x W uint8; crops are sampled from one."""
    images = [item.thermal, item.visible]
    levels = []
    while True:
        levels.append(torch.from_numpy(np.stack(images))[None].to(device))
        height, width = (side // 2 for side in images[0].shape)
        if min(height, width) < SMALLEST_LEVEL:
            return levels
        images = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images]

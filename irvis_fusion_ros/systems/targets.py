"""
Shows in a fused picture what stands out of the thermal image: people, engines, or what is colder.

Where targets are, a small network says, which sees the thermal image alone, stretched. How they are shown is
measured against their surroundings: a target gets at least a share of its thermal contrast in the picture,
and more where the picture around it is restless, with the texture of both images. Outside targets nothing
changes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks.target_finder import TargetFinder, TargetFinderConfig

# Signs of a kind: 1 stands for warmer than the surroundings, which is shown brighter.
SIGNS = {'warm': (1,), 'cold': (-1,), 'both': (1, -1), 'off': ()}
# A brightness range, as a share of all, below which a contrast is not trusted.
FAINT = 0.03


@dataclass(frozen=True)
class TargetsConfig:
    """
    How targets are found and shown; brightness is in [0, 1], of the stretched thermal image and the picture.

    Tuned on the people of roadscene, msrs, vifb, tno, m3svd_frames and wisard (test/data/targets).
    """

    # Shorter side of the image that the network sees: what it was trained at.
    side: int = 160
    # Probability at which a target begins to show, and is shown fully.
    seen: tuple[float, float] = (0.03, 0.12)
    # Share of the last frame's probability that is kept in a stream.
    steady: float = 0.7
    # Thermal contrast, of all there is and in standard deviations of the surroundings, from which a place is
    # taken for a target, and fully: what the thermal image hardly shows is not shown.
    faint: tuple[float, float] = (0.03, 0.07)
    separate: tuple[float, float] = (0.5, 1.0)
    # What a target has of its thermal contrast at least, in the picture; and in brightness.
    share: float = 1.0
    least: float = 0.11
    # Contrast in standard deviations of the picture around it, so that it can be told from restless ground.
    above_clutter: float = 2.2
    # A warm target is darker than its surroundings where these leave less than this share of its contrast.
    room: float = 0.9
    # Shares of thermal and of visible texture inside a target, and the most that the latter adds.
    thermal_texture: float = 0.8
    visible_texture: float = 0.35
    most_texture: float = 0.1
    # Where the silhouette begins and is full, between the surroundings' warmth and the target's own.
    silhouette: tuple[float, float] = (0.1, 0.35)
    # Windows, as shares of the shorter side, in which surroundings are sought: the smallest that has some.
    around: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.6)
    enough: float = 0.35
    # Window of a target's own means.
    own: float = 0.1


@dataclass(frozen=True)
class Found:
    """seen: how surely each place is a target, by sign, h x w [0, 1]. warmth: the thermal image there."""

    seen: dict[int, np.ndarray]
    warmth: np.ndarray


class Targets:
    """
    Finds targets and shows them.

    kind: one of registry.TARGETS. temporal: follow a stream, so that targets do not flicker. It raises
    FileError, with the remedy, if the weights are missing or damaged.
    """

    def __init__(self, kind: str = 'warm', temporal: bool = False, config: TargetsConfig = TargetsConfig()):
        if kind not in SIGNS:
            raise ValueError(f"unknown targets '{kind}'; valid: {', '.join(SIGNS)}")
        self.kind = kind
        self._config = config
        self._temporal = temporal
        self.reset()
        self._network = None if kind == 'off' else network()

    def reset(self) -> None:
        """Forget the stream."""
        self._last: dict[int, np.ndarray] = {}

    def find(self, thermal: np.ndarray, trust: np.ndarray) -> Found:
        """
        Return where targets are, on a small grid.

        thermal: H x W float32 on the visible grid, its percentiles at 0 and 1. trust: H x W float32 [0, 1].
        """
        width, height = self._grid(thermal.shape)
        small = np.clip(_reduced(thermal, (2 * width, 2 * height)), 0, 1)
        believed = cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        seen = {}
        for sign in SIGNS[self.kind]:
            image = torch.from_numpy(small if sign > 0 else 1 - small)
            probability = self._network.find(image[None, None])[0, 0].numpy()
            seen[sign] = _ramp(self._steady(sign, probability), *self._config.seen) * believed
        return Found(seen, cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA))

    def _steady(self, sign: int, probability: np.ndarray) -> np.ndarray:
        """Return a probability smoothed over the stream; silhouettes follow each thermal image."""
        last = self._last.get(sign)
        if self._temporal and last is not None and last.shape == probability.shape:
            probability = probability + np.float32(self._config.steady) * (last - probability)
        self._last[sign] = probability
        return probability

    def show(
        self, picture: np.ndarray, thermal: np.ndarray, trust: np.ndarray, found: Found
    ) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """
        Return the picture with its targets shown, and by sign where they are, H x W float32 [0, 1].

        picture: fused brightness, H x W float32 [0, 1]. thermal, trust: as for `find`; found: its answer.
        """
        where = {}
        for sign, seen in found.seen.items():
            if float(seen.max()) < FAINT:
                continue
            warm = (thermal, found.warmth) if sign > 0 else (1 - thermal, 1 - found.warmth)
            picture, where[sign] = self._shown(picture, *warm, trust, seen, sign)
        return picture, where

    def _shown(
        self,
        picture: np.ndarray,
        thermal: np.ndarray,
        warmth: np.ndarray,
        trust: np.ndarray,
        seen: np.ndarray,
        sign: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        config = self._config
        light = _reduced(picture, seen.shape[::-1])
        taken = cv2.dilate((seen > 0.3).astype(np.uint8), np.ones((3, 3), np.uint8))
        planes = (warmth, warmth * warmth, light, light * light)
        ground, ground_squared, lit, lit_squared = self._surroundings(planes, 1.0 - taken)
        unrest, clutter = _deviation(ground, ground_squared), _deviation(lit, lit_squared)
        core = seen * _ramp(warmth - ground, 0, 0.05) + 1e-4
        own_warmth, own_light = self._own((warmth, light), core)
        contrast = np.maximum(own_warmth - ground, 0)
        seen = seen * _ramp(contrast, *config.faint)
        seen *= _ramp(contrast / np.maximum(unrest, 1e-3), *config.separate)
        if float(seen.max()) < FAINT:
            return picture, np.zeros_like(picture)
        needed = np.maximum(config.share * contrast, config.above_clutter * clutter)
        needed = np.maximum(needed, config.least)
        towards = self._direction(sign, taken, core, lit, needed)
        room = np.where(towards > 0, 1 - lit, lit)
        shown = lit + towards * np.minimum(needed, np.maximum(room - 0.02, 0))

        # silhouettes are as sharp as the thermal image: only their surroundings are known coarsely
        seen = cv2.dilate(seen, np.ones((3, 3), np.uint8))
        part = _reached(seen, picture.shape)

        def full(plane: np.ndarray) -> np.ndarray:
            plane = np.ascontiguousarray(plane, np.float32)
            return cv2.resize(plane, picture.shape[::-1], interpolation=cv2.INTER_LINEAR)[part]

        bright, warm = picture[part], thermal[part]
        gain = 1 / np.maximum(contrast, FAINT)
        share = warm * full(gain)
        share -= full(ground * gain)
        share = _ramp(share, *config.silhouette)
        share *= full(seen)
        share *= trust[part]
        change = bright - full(own_light)
        change *= config.visible_texture
        np.clip(change, -config.most_texture, config.most_texture, out=change)
        slope = config.thermal_texture * towards
        change += warm * full(slope)
        change += full(shown - slope * own_warmth)
        np.clip(change, 0, 1, out=change)
        change -= bright
        change *= share
        where = np.zeros_like(picture)
        where[part] = share
        picture = picture.copy()
        picture[part] += change
        return picture, where

    def _surroundings(self, planes: tuple[np.ndarray, ...], free: np.ndarray) -> list[np.ndarray]:
        """Means of planes over what is free around each place, in the smallest window with enough of it."""
        free = free.astype(np.float32)
        means = [plane.copy() for plane in planes]
        left = np.ones(free.shape, bool)
        for window in self._windows(free.shape, self._config.around):
            share = cv2.blur(free, window)
            here = left & (share > self._config.enough)
            for mean, plane in zip(means, planes, strict=True):
                mean[here] = (cv2.blur(plane * free, window) / np.maximum(share, 1e-6))[here]
            left &= ~here
            if not left.any():
                break
        return means

    def _own(self, planes: tuple[np.ndarray, ...], core: np.ndarray) -> list[np.ndarray]:
        window = self._windows(core.shape, (self._config.own,))[0]
        share = cv2.blur(core, window)
        return [cv2.blur(plane * core, window) / share for plane in planes]

    def _direction(
        self, sign: int, taken: np.ndarray, core: np.ndarray, lit: np.ndarray, needed: np.ndarray
    ) -> np.ndarray:
        """Return 1 where a target is shown brighter, -1 where darker: one of them for each target."""
        count, labels = cv2.connectedComponents(taken, connectivity=4)
        flat = labels.ravel()
        total = np.bincount(flat, core.ravel(), count)
        mean_lit, mean_needed = (np.bincount(flat, (p * core).ravel(), count) / total for p in (lit, needed))
        room = 1 - mean_lit if sign > 0 else mean_lit
        turned = (room < self._config.room * mean_needed) & (room < 0.5)
        return np.where(turned, -sign, sign).astype(np.float32)[labels]

    def _grid(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return width and height of what the network answers: half of what it sees."""
        scale = min(1.0, self._config.side / min(shape)) / 2
        return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))

    @staticmethod
    def _windows(shape: tuple[int, ...], shares: tuple[float, ...]) -> list[tuple[int, int]]:
        return [(int(share * min(shape)) | 1,) * 2 for share in shares]


def network() -> TargetFinder:
    """Return the trained network; raises FileError, with the remedy, where that is not possible."""

    def build(config: dict) -> TargetFinder:
        return TargetFinder(TargetFinderConfig(channels=tuple(config['network']['channels'])))

    return (
        weights.built(build, 'targets', 'targets', or_shipped=True)
        .eval()
        .to(memory_format=torch.channels_last)
    )


def _reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image at a smaller size (width, height): by halves first, which is exact and fast."""
    while image.shape[1] >= 3 * size[0] and image.shape[1] % 2 == 0 and image.shape[0] % 2 == 0:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _reached(seen: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of an image of `shape` that what is seen on the small grid can reach."""
    rows, columns = (np.flatnonzero(seen.max(axis)) for axis in (1, 0))
    slices = []
    for cells, small, side in zip((rows, columns), seen.shape, shape, strict=True):
        scale = side / small
        # bilinear interpolation reaches one cell further
        first, last = (cells[0] - 1) * scale, (cells[-1] + 2) * scale
        slices.append(slice(max(0, int(first)), min(side, int(np.ceil(last)))))
    return tuple(slices)


def _deviation(mean: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(mean_square - mean * mean, 0))


def _ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    share = value * np.float32(1 / (high - low))
    share -= np.float32(low / (high - low))
    np.clip(share, 0, 1, out=share)
    smooth = share * np.float32(-2)
    smooth += 3
    smooth *= share
    smooth *= share
    return smooth

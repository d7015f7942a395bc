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
    seen: tuple[float, float] = (0.05, 0.25)
    # What a target has of its thermal contrast at least, in the picture; and in brightness.
    share: float = 0.8
    least: float = 0.11
    # Contrast in standard deviations of the picture around it, so that it can be told from restless ground.
    above_clutter: float = 1.8
    # A warm target is darker than its surroundings where these leave less than this share of its contrast.
    room: float = 0.6
    # Shares of thermal and of visible texture inside a target, and the most that the latter adds.
    thermal_texture: float = 0.6
    visible_texture: float = 0.35
    most_texture: float = 0.1
    # Where the silhouette begins and is full, between the surroundings' warmth and the target's own.
    silhouette: tuple[float, float] = (0.15, 0.5)
    # Windows, as shares of the shorter side, in which surroundings are sought: the smallest that has some.
    around: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.6)
    enough: float = 0.35
    # Window of a target's own means.
    own: float = 0.15


class Targets:
    """
    Finds targets and shows them; one for a stream or for single images, without state.

    kind: one of registry.TARGETS. Raises FileError, with the remedy, if the weights are missing or damaged.
    """

    def __init__(self, kind: str = 'warm', config: TargetsConfig = TargetsConfig()):
        if kind not in SIGNS:
            raise ValueError(f"unknown targets '{kind}'; valid: {', '.join(SIGNS)}")
        self.kind = kind
        self._config = config
        self._network = None if kind == 'off' else network()

    def find(self, thermal: np.ndarray, trust: np.ndarray) -> dict[int, np.ndarray]:
        """
        Return how surely each place is a target, by sign, h x w float32 [0, 1] on a small grid.

        thermal: H x W float32, stretched to [0, 1], on the visible grid. trust: H x W float32 [0, 1].
        """
        size = self._grid(thermal.shape)
        small, believed = (
            cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (thermal, trust)
        )
        found = {}
        for sign in SIGNS[self.kind]:
            seen = small if sign > 0 else 1 - small
            probability = self._network.find(torch.from_numpy(seen)[None, None])[0, 0].numpy()
            found[sign] = _ramp(probability, *self._config.seen) * (believed > 0.5)
        return found

    def show(
        self, picture: np.ndarray, thermal: np.ndarray, trust: np.ndarray, found: dict[int, np.ndarray]
    ) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """
        Return the picture with its targets shown, and by sign where they are, H x W float32 [0, 1].

        picture: fused brightness, H x W float32 [0, 1]. thermal, trust: as for `find`; found: its answer.
        """
        where = {}
        for sign, seen in found.items():
            if float(seen.max()) < FAINT:
                continue
            picture, where[sign] = self._shown(picture, thermal, trust, seen, sign)
        return picture, where

    def _shown(
        self, picture: np.ndarray, thermal: np.ndarray, trust: np.ndarray, seen: np.ndarray, sign: int
    ) -> tuple[np.ndarray, np.ndarray]:
        config, size = self._config, seen.shape[::-1]
        if sign < 0:
            thermal = 1 - thermal
        warmth, light = (
            cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (thermal, picture)
        )
        taken = cv2.dilate((seen > 0.3).astype(np.uint8), np.ones((3, 3), np.uint8))
        ground, lit, squared = self._surroundings((warmth, light, light * light), 1.0 - taken)
        clutter = np.sqrt(np.maximum(squared - lit * lit, 0))
        core = seen * _ramp(warmth - ground, 0, 0.05) + 1e-4
        own_warmth, own_light = self._own((warmth, light), core)
        contrast = np.maximum(own_warmth - ground, 0)
        needed = np.maximum(config.share * contrast, config.above_clutter * clutter)
        needed = np.maximum(needed, config.least)
        towards = self._direction(sign, taken, core, lit, needed)
        room = np.where(towards > 0, 1 - lit, lit)
        shown = lit + towards * np.minimum(needed, np.maximum(room - 0.02, 0))

        def full(plane: np.ndarray) -> np.ndarray:
            return cv2.resize(plane.astype(np.float32), picture.shape[::-1], interpolation=cv2.INTER_LINEAR)

        # silhouettes are as sharp as the thermal image: only their surroundings are known coarsely
        rise = thermal - full(ground)
        rise /= full(np.maximum(contrast, FAINT))
        where = _ramp(rise, *config.silhouette)
        where *= full(cv2.dilate(seen, np.ones((3, 3), np.uint8)))
        where *= trust
        texture = config.visible_texture * (picture - full(own_light))
        np.clip(texture, -config.most_texture, config.most_texture, out=texture)
        texture += full(config.thermal_texture * towards) * (thermal - full(own_warmth))
        texture += full(shown)
        np.clip(texture, 0, 1, out=texture)
        texture -= picture
        texture *= where
        texture += picture
        return texture, where

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
        scale = min(1.0, self._config.side / min(shape))
        return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))

    @staticmethod
    def _windows(shape: tuple[int, ...], shares: tuple[float, ...]) -> list[tuple[int, int]]:
        return [(int(share * min(shape)) | 1,) * 2 for share in shares]


def network() -> TargetFinder:
    """Return the trained network; raises FileError, with the remedy, where that is not possible."""

    def build(config: dict) -> TargetFinder:
        return TargetFinder(TargetFinderConfig(channels=tuple(config['network']['channels'])))

    return weights.built(build, 'targets', 'targets').eval()


def _ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return share * share * (3 - 2 * share)

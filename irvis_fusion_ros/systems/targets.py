"""
Finds what stands out of the thermal image, people, engines, or what is colder, and shows it in the picture.

Where targets are, a small network says, which sees the thermal image alone, stretched. How they are shown is
the task of target_display.py.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from irvis_fusion_ros.backends.device import Recorded, channels_last, prepare
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.target_finder import TargetFinder, TargetFinderConfig
from irvis_fusion_ros.systems.small_grid import ramp, reduced
from irvis_fusion_ros.systems.target_contrast import DisplayConfig
from irvis_fusion_ros.systems.target_display import TargetDisplay

# Signs of a kind: 1 stands for warmer than the surroundings, which is shown brighter.
SIGNS = {'warm': (1,), 'cold': (-1,), 'both': (1, -1), 'off': ()}


@dataclass(frozen=True)
class TargetsConfig:
    """How targets are found. Tuned as target_contrast.DisplayConfig; what is of streams, on m3svd_video."""

    # Shorter side of the image that the network sees: what it was trained at.
    side: int = 160
    # Probability at which a target begins to show, and is shown fully.
    seen: tuple[float, float] = (0.07, 0.2)
    # In a stream the network looks at each so manieth frame. Of the probability it gave before, this share is
    # kept, and of the new one this share shows at once.
    every: int = 2
    steady: float = 0.9
    at_once: float = 0.15


@dataclass(frozen=True)
class Found:
    """seen: how surely each place is a target, by sign, h x w [0, 1]. warmth: the thermal image there."""

    seen: dict[int, np.ndarray]
    warmth: np.ndarray


class Targets:
    """
    Finds targets and shows them.

    kind: one of registry.TARGETS. temporal: follow a stream, so that targets do not flicker. device: where
    the network runs, 'cpu' or 'cuda:N'. It raises FileError, with the remedy, if the weights are missing or
    damaged.
    """

    STREAM = ('_frame', '_last', '_probable', '_warm', '_cold')

    def __init__(
        self,
        kind: str = 'warm',
        temporal: bool = False,
        config: TargetsConfig = TargetsConfig(),
        display: DisplayConfig = DisplayConfig(),
        device: str = 'cpu',
    ):
        if kind not in SIGNS:
            raise ValueError(f"unknown targets '{kind}'; valid: {', '.join(SIGNS)}")
        self.kind = kind
        self._config = config
        self._temporal = temporal
        self._warm = TargetDisplay(1, display, temporal)
        self._cold = TargetDisplay(-1, display, temporal)
        self.reset()
        self._finder = None if kind == 'off' else Finder(device)

    def reset(self) -> None:
        """Forget the stream."""
        self._frame = 0
        self._last: dict[int, np.ndarray] = {}
        self._probable: dict[int, np.ndarray] = {}
        self._warm.reset()
        self._cold.reset()

    def find(self, thermal: np.ndarray, trust: np.ndarray) -> Found:
        """
        Return where targets are, on a small grid.

        thermal: H x W float32 on the visible grid, its percentiles at 0 and 1. trust: H x W float32 [0, 1].
        """
        width, height = self._grid(thermal.shape)
        small = np.clip(reduced(thermal, (2 * width, 2 * height)), 0, 1)
        believed = cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        seen = {}
        looks = not self._temporal or self._frame % self._config.every == 0
        self._frame += 1
        for sign in SIGNS[self.kind]:
            probable = self._probable.get(sign)
            if looks or probable is None or probable.shape != believed.shape:
                probable = self._steady(sign, self._finder(small if sign > 0 else 1 - small))
                self._probable[sign] = probable
            seen[sign] = ramp(probable, *self._config.seen) * believed
        return Found(seen, cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA))

    def _steady(self, sign: int, probability: np.ndarray) -> np.ndarray:
        """Return a probability smoothed over the stream; silhouettes follow each thermal image."""
        last, smooth = self._last.get(sign), probability
        if self._temporal and last is not None and last.shape == probability.shape:
            smooth = probability + np.float32(self._config.steady) * (last - probability)
        self._last[sign] = smooth
        return np.maximum(smooth, np.float32(self._config.at_once) * probability)

    def show(
        self,
        picture: np.ndarray,
        thermal: np.ndarray,
        trust: np.ndarray,
        found: Found,
        where: dict[int, np.ndarray] | None = None,
    ) -> None:
        """
        Show targets in the picture, in place.

        picture: fused brightness, H x W float32 [0, 1]. thermal, trust: as for `find`; found: its answer.
        where: receives by sign where targets are, H x W float32 [0, 1].
        """
        for sign, seen in found.seen.items():
            warm, warmth = (thermal, found.warmth) if sign > 0 else (1 - thermal, 1 - found.warmth)
            marks = None if where is None else where.setdefault(sign, np.zeros_like(picture))
            display = self._warm if sign > 0 else self._cold
            display.show(picture, warm, trust, seen, warmth, marks)

    def _grid(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return width and height of what the network answers: half of what it sees."""
        scale = min(1.0, self._config.side / min(shape)) / 2
        return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


class Finder:
    """
    Runs the trained network on a device, 'cpu' or 'cuda:N'.

    It raises FileError, with the remedy, if the weights are missing or damaged. Its path on a GPU was written
    without one at hand; scripts/gpu checks it.
    """

    def __init__(self, device: str = 'cpu'):
        # channels last is faster on a CPU, too
        network = channels_last(prepare(_trained(), device))
        self._find = Recorded(network.find, device)
        self._device = device

    @torch.inference_mode()
    def __call__(self, thermal: np.ndarray) -> np.ndarray:
        """
        Return how likely each 2 x 2 pixels are a target, h x w float32 [0, 1].

        thermal: stretched brightness, H x W float32 [0, 1], of even sides.
        """
        return self._find(layers.tensor_of(thermal, self._device))[0, 0].cpu().numpy()


def _trained() -> TargetFinder:
    def build(config: dict) -> TargetFinder:
        return TargetFinder(TargetFinderConfig(channels=tuple(config['network']['channels'])))

    return weights.built(build, 'targets', 'targets', or_shipped=True)

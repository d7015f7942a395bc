"""
Shows targets in a fused picture: people, engines, or what is colder.

A target gets the brightness that target_contrast.py decides on the small grid. Its silhouette and texture are
those of the thermal image and of the picture, at full size. Nothing changes outside targets.
"""

import cv2
import numpy as np

from irvis_fusion_ros.systems.small_grid import enlarged, ramp, reduced
from irvis_fusion_ros.systems.target_contrast import FAINT, DisplayConfig, TargetContrast


class TargetDisplay:
    """Shows targets of one sign; the arguments are those of target_contrast.TargetContrast."""

    STREAM = ('_contrast',)

    def __init__(self, sign: int, config: DisplayConfig, temporal: bool = False):
        self._config = config
        self._contrast = TargetContrast(sign, config, temporal)

    def reset(self) -> None:
        """Forget the stream."""
        self._contrast.reset()

    def show(
        self,
        picture: np.ndarray,
        thermal: np.ndarray,
        trust: np.ndarray,
        seen: np.ndarray,
        warmth: np.ndarray,
        where: np.ndarray | None = None,
    ) -> None:
        """
        Show targets in `picture`, in place.

        picture: brightness, thermal: stretched, high where a target is, trust: [0, 1], each H x W float32.
        seen: how surely there is a target, h x w float32 [0, 1]; warmth: `thermal` on that grid. where: H x W
        float32 zeros, receives where targets are, [0, 1].
        """
        if float(seen.max()) < FAINT:
            return
        config, size = self._config, seen.shape[::-1]
        shown = self._contrast.decide(reduced(picture, size), reduced(picture * picture, size), seen, warmth)
        # silhouettes are as sharp as the thermal image: only their surroundings are known coarsely
        reach = cv2.dilate(shown.seen, np.ones((3, 3), np.uint8))
        count, labels, boxes, _ = cv2.connectedComponentsWithStats((reach > FAINT).astype(np.uint8))
        gain = 1 / np.maximum(shown.contrast, FAINT)
        level = shown.ground * gain
        for label in range(1, count):
            part, full = enlarged(boxes[label], seen.shape, picture.shape)
            # 0 where it is as warm as the surroundings, 1 where as warm as the target on average
            rise = thermal[part] * full(gain)
            rise -= full(level)
            share = ramp(rise, *config.silhouette)
            share *= full(np.where(labels == label, reach, 0))
            share *= trust[part]
            if where is not None:
                np.maximum(where[part], share, out=where[part])
            bright = picture[part]
            change = thermal[part] * full(shown.towards)
            change += bright * np.float32(config.visible_texture)
            change += full(shown.offset)
            np.clip(change, 0, 1, out=change)
            change -= bright
            change *= share
            bright += change

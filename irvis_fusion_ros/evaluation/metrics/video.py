"""
Temporal stability of a video from a fixed rig: changes of the field and of the picture that the scene does
not cause.

The misalignment of a rig is constant, so every change of the deformation from frame to frame is an error.
"""

import numpy as np

from irvis_fusion_ros.geometry import warp


class Steadiness:
    """Collects the frames of a stream; `summary` returns the measures over all of them."""

    def __init__(self):
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._jitter: list[float] = []
        self._flicker: list[float] = []
        self._excess: list[float] = []
        self._sum = self._squares = 0.0
        self._frames = 0

    def add(
        self, deformation: np.ndarray, thermal: np.ndarray, fused: np.ndarray, aligned: np.ndarray
    ) -> None:
        """
        Add the next frame.

        deformation: H x W x 2 in pixels, without NaN. thermal: the image that it registers, h x w float [0,
        1]. fused: the fused image, H x W float [0, 1]. aligned: the fusion of the same system in a separate
        stream with the true alignment.
        """
        field = deformation.astype(np.float32)
        if self._last is not None:
            last_field, last_fused, last_aligned = self._last
            self._jitter.append(np.linalg.norm(field - last_field, axis=-1).mean())
            moved = warp.warp(thermal, field) - warp.warp(thermal, last_field)
            self._flicker.append(np.abs(moved).mean() * 255)
            change, expected = fused - last_fused, aligned - last_aligned
            self._excess.append(np.abs(change - expected).mean() * 255)
        self._last = field, fused, aligned
        self._sum = self._sum + field.astype(np.float64)
        self._squares = self._squares + field.astype(np.float64) ** 2
        self._frames += 1

    def summary(self) -> dict:
        """
        Return the measures; at least two frames are needed.

        jitter: mean change of the field from frame to frame, pixels; jitter_worst: of the worst frame.
        wander: root mean square distance of the field from its own mean over time, pixels. flicker: mean
        difference between a registered frame and the same frame under the previous field, levels of 255: the
        effect of jitter on the image. excess_change: mean change of the fused image from frame to frame
        beyond that of the aligned fusion, levels of 255; it includes flicker of every cause, and the motion
        of a scene that is fused misaligned.
        """
        if self._frames < 2:
            raise ValueError('steadiness needs a video of two frames at least')
        variance = self._squares / self._frames - (self._sum / self._frames) ** 2
        return {
            'frames': self._frames,
            'jitter': float(np.mean(self._jitter)),
            'jitter_worst': float(np.max(self._jitter)),
            'wander': float(np.sqrt(np.maximum(variance, 0).sum(-1).mean())),
            'flicker': float(np.mean(self._flicker)),
            'excess_change': float(np.mean(self._excess)),
        }

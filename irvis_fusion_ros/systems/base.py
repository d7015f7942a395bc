"""
The interface of every system: how to register a thermal image, and how to fuse the two images.

A system handles brightness in [0, 1] and pixels only. Bit depth, colour, encodings and ROS are handled by the
layers above it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from irvis_fusion_ros.alignment import Alignment


class System(Protocol):
    """
    One way to register and to fuse.

    `devices` are the kinds of device it can run on, the preferred one first. `precision` is the number format
    of its networks where that does no harm: 'float16', 'bfloat16' or 'float32'. The state of a stream (the
    previous alignment) lives in the system, in the attributes that `STREAM` names (memory.py); `reset` drops
    it. A system that fuses colours has an attribute `takes_rgb` that is True.
    """

    STREAM: tuple[str, ...]
    devices: tuple[str, ...]
    precision: str

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """
        Align thermal (Ht x Wt) to visible (Hv x Wv), both float32 brightness in [0, 1].

        It never raises because of image content: weak evidence gives a held or identity alignment.
        """

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """
        Fuse visible and registered thermal brightness, H x W float32 [0, 1], on the visible grid.

        trust, H x W float32 [0, 1], is the weight that the thermal image may have; at 0 the result is the
        visible image. Returns H x W float32 [0, 1].

        The visible image may be colours, H x W x 3 float32 [0, 1], red first, where the system `takes_rgb`;
        the result then may be, too.
        """

    def reset(self) -> None:
        """Drop the state of the stream."""


@dataclass(frozen=True)
class Correction:
    """
    A fused image that was corrected after fusion.

    fused: the image that `System.fuse` returns. moved: H x W x 2 float32, (dx, dy) in pixels, backward as
    every deformation: the mean displacement of a pixel's content; not NaN where a sample lies outside the
    image. misregistration: H x W float32 [0, 1], high where the fused image was found to be misaligned.
    """

    fused: np.ndarray
    moved: np.ndarray
    misregistration: np.ndarray


@runtime_checkable
class PostRegistration(System, Protocol):
    """A system that registers after fusion: it warps the misregistered parts of the fused image."""

    def correct(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> Correction:
        """Return the fused and corrected image, as `fuse` does, with the correction."""

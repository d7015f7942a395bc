"""
Runs a network that gives one dense field at once, without a search, as a `System`.

Such a network says nothing of how sure it is: the structure maps of both images say how well they agree under
its field, and a field under which they do not agree better than without it is not used.
"""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from irvis_fusion_ros import engine
from irvis_fusion_ros.systems import layers, matching
from irvis_fusion_ros.systems.base import WEAK, Alignment, identity
from irvis_fusion_ros.systems.learned import (
    LEAST_CONFIDENCE,
    Fusion,
    State,
    alignment_of,
    checked,
    smoothed,
)
from irvis_fusion_ros.systems.matching import CHECKED, COARSEST
from irvis_fusion_ros.systems.view import View

# Agreement of structure maps at which an alignment is as likely wrong as right. Measured on scenes that are
# learned from: aligned pairs agree by 0.125 or more, unrelated ones by less than 0.075; 20 pixels apart most
# agree by less than 0.1.
EVEN = 0.12


class Network(Protocol):
    """
    What a network offers.

    pixels: of the images it sees; smaller ones are seen as they are.
    """

    pixels: int

    def field(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Return the deformation that lays the thermal image on the visible one, B x H x W x 2.

        Backward, (dx, dy) in pixels of the images, B x 1 x H x W in [0, 1], sides in multiples of
        matching.COARSEST.
        """


class Direct:
    """
    A `network` as a system; see `systems.base.System`.

    fuse: fuses registered images as `System.fuse` does. temporal: keep the state of a stream.
    """

    devices = ('cuda', 'cpu')

    def __init__(self, network: Network, fuse: Fusion, device: str, temporal: bool):
        self.network = engine.placed(network, device)
        self._fuse = fuse
        self._device = device
        self._temporal = temporal
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._state: State | None = None

    @torch.inference_mode()
    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Align thermal to visible; see `systems.base.System.register`."""
        shapes = (thermal.shape, visible.shape)
        if not self._temporal or (self._state is not None and self._state.shapes != shapes):
            self.reset()
        last, view = self._state, View(visible.shape, self.network.pixels)
        seen = layers.tensor_of(view.visible(visible), self._device)
        drawn = layers.tensor_of(view.thermal(thermal, np.eye(3)), self._device)
        maps = [_maps(image) for image in (seen, drawn)]
        field = self.network.field(seen, drawn)
        found = _checked(maps, shapes, field)
        # what would be used without it: nothing, or the field of the frame before
        without = _checked(maps, shapes, torch.zeros_like(field) if last is None else last.residual)
        if found.evidence < without.evidence:
            found = without
        if found.confidence < LEAST_CONFIDENCE:
            if last is None:
                return identity(found.confidence, (WEAK,))
            held = alignment_of(last, view, 'held')
            return replace(held, confidence=found.confidence, notes=(WEAK,))
        self._state = found if last is None else smoothed(last, found, view)
        return alignment_of(self._state, view, 'search' if last is None else 'track')

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        return self._fuse(visible, thermal, trust)


def _checked(maps: list[list[Tensor]], shapes: tuple, field: Tensor) -> State:
    still = field.new_zeros(1, 2, 3)
    agreement = matching.agreement(*maps, still, field)
    return checked(shapes, np.eye(3), still, field, agreement, EVEN)


def _maps(image: Tensor) -> list[Tensor]:
    """Structure maps as a pyramid that `matching.agreement` measures."""
    support = layers.content(image)
    edges = F.pixel_unshuffle(F.avg_pool2d(layers.structure(image, support)[:, 1:], 2), 2)
    fine = layers.description(edges, F.avg_pool2d(support, CHECKED))
    coarse = F.avg_pool2d(fine, COARSEST // CHECKED)
    return [fine, coarse, coarse]

"""
Runs a network that registers and fuses as a `System`: sizes, evidence, and the state of a stream.

The network works at a reduced resolution, whatever the size of the images; what it finds is scaled up, and
the full-size image is sampled once, by the predictor.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from irvis_fusion_ros import engine
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.systems import layers, matching
from irvis_fusion_ros.systems.affine import Affine
from irvis_fusion_ros.systems.base import WEAK, Alignment, identity
from irvis_fusion_ros.systems.matching import Agreement
from irvis_fusion_ros.systems.view import View

LEAST_CONFIDENCE = 0.5
# How fast confidence rises with agreement, where it is even.
STEEPNESS = 50.0
# Sizes of a visible pixel on the thermal image at which a search begins, 1 = both see equal areas; each
# reaches a quarter to either side. Pixels count as square where the aspects differ by less than SQUARE.
ZOOMS = (1.0, 0.67, 1.45)
SQUARE = 0.02
# Hypotheses of the search, beside the likeliest, that are followed where that is not sure.
OTHERS = 3
# A tracked frame whose agreement falls below this share of the usual is searched anew.
SUSPICIOUS = 0.75
# Mean change of the field, full visible pixels, from which it is followed at once instead of smoothed.
FOLLOWED_AT_ONCE = 2.0
LEAST_GAIN = 0.15
# Doubt never takes a thermal image away completely: a person it shows must stay visible.
LEAST_TRUST = 0.3


Fusion = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Registered(Protocol):
    """
    What a network found.

    affine: B x 2 x 3. residual: B x h x w x 2. search: logits of matching.Search, None where it was not run.
    """

    affine: Tensor
    residual: Tensor
    search: Tensor | None


class Network(Protocol):
    """
    What a network offers; see `systems.busref.BusReF` for layouts.

    pixels: of the images it sees; smaller ones are seen as they are. even: agreement at which an alignment is
    as likely wrong as right. sure: agreement at which no other start is tried. search: what proposes starts.
    """

    pixels: int
    even: float
    sure: float
    search: matching.Search

    def descriptions(self, visible: Tensor, thermal: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return feature pyramids that `compare` takes."""

    def compare(
        self, visible: list[Tensor], thermal: list[Tensor], start: Tensor | None = None
    ) -> Registered:
        """Return what was found, near a start or by a search."""


@dataclass(frozen=True)
class State:
    """
    One alignment on the grid the network works on.

    start: 3x3, where the thermal image was laid before the network saw it (`starts`). affine: 1 x 2 x 3.
    residual: 1 x h x w x 2, on that grid or a coarser one that spans it. agreement: see matching.Agreement.
    confidence: how likely the alignment is right, [0, 1]. usual: agreement smoothed over the stream. frames:
    how many the alignment has held.
    """

    shapes: tuple
    start: np.ndarray
    affine: Tensor
    residual: Tensor
    agreement: Agreement
    confidence: float
    usual: float
    frames: int = 1

    @property
    def evidence(self) -> float:
        """The agreement of the frame."""
        return float(self.agreement.correlation)


class Learned:
    """
    A `network` as a system; see `systems.base.System`.

    fuse: fuses registered images as `System.fuse` does. temporal: keep the state of a stream.
    """

    devices = ('cuda', 'cpu')

    def __init__(self, network: Network, fuse: Fusion, device: str, temporal: bool):
        self.network = engine.placed(network, device)
        self._describe = engine.Recorded(self._described, device)
        self._compare = engine.Recorded(self._compared, device)
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
        view = self._view(visible.shape)
        seen = layers.tensor_of(view.visible(visible), self._device)

        def pair(start: np.ndarray) -> tuple:
            drawn = layers.tensor_of(view.thermal(thermal, start), self._device)
            return self._describe(seen, drawn)

        best, source = None, 'track'
        if self._state is not None:
            best = self._follow(pair(self._state.start))
        if best is None or best.evidence < SUSPICIOUS * self._state.usual:
            found = self._searched(pair, view, shapes)
            if best is None or found.evidence > best.evidence:
                best, source = found, 'search'
        if best.confidence < LEAST_CONFIDENCE:
            if self._state is None:
                return identity(best.confidence, (WEAK,))
            held = alignment_of(self._state, view, 'held')
            return replace(held, confidence=best.confidence, notes=(WEAK,))
        self._state = best
        return alignment_of(best, view, source)

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        return self._fuse(visible, thermal, trust)

    def _view(self, shape: tuple[int, int]) -> View:
        return View(shape, self.network.pixels)

    def _searched(self, pair: Callable[[np.ndarray], tuple], view: View, shapes: tuple) -> State:
        # what a rig sees does not change in a stream
        tried = starts(*shapes) if self._state is None else [self._state.start]
        best = None
        for start in tried:
            found = self._best_of(pair(start), shapes, start)
            if best is None or found.evidence > best.evidence:
                best = found
            if best.evidence >= self.network.sure:
                break
        if best.start is tried[0]:
            return best
        # drawn where it was found, nothing is left of the change of size that had to be bridged
        start = alignment_of(best, view, 'search').transform
        again = self._found(pair(start), shapes, start, torch.zeros_like(best.affine))
        return again if again.evidence > best.evidence else best

    def _best_of(self, pair: tuple, shapes: tuple, start: np.ndarray) -> State:
        """Return what the search finds; where that is not sure, the best of its next hypotheses, too."""
        best, logits = self._checked(shapes, start, *pair)
        if best.evidence >= self.network.sure or logits is None:
            return best
        for near in self.network.search.others(logits, matching.model_of(pair[0]), OTHERS):
            other = self._found(pair, shapes, start, near)
            if other.evidence > best.evidence:
                best = other
        return best

    def _found(self, pair: tuple, shapes: tuple, start: np.ndarray, near: Tensor) -> State:
        return self._checked(shapes, start, *pair, near)[0]

    def _checked(self, shapes: tuple, start: np.ndarray, *inputs) -> tuple[State, Tensor | None]:
        """Return what `compare` finds of its inputs, and the logits of its search."""
        affine, residual, logits, correlation, trust = self._compare(*inputs)
        agreement = Agreement(correlation, trust)
        return checked(shapes, start, affine, residual, agreement, self.network.even), logits

    def _described(self, visible: Tensor, thermal: Tensor) -> list[list[Tensor]]:
        """Describe both images, on a GPU in half precision; what compares them needs all of it."""
        with torch.autocast('cuda', torch.float16, enabled=visible.is_cuda):
            described = self.network.descriptions(visible, thermal)
        return [[each.float() for each in of_one] for of_one in described]

    def _compared(self, visible: list[Tensor], thermal: list[Tensor], near: Tensor | None = None) -> tuple:
        found = self.network.compare(visible, thermal, start=near)
        agreed = matching.agreement(visible, thermal, found.affine, found.residual)
        return found.affine, found.residual, found.search, agreed.correlation, agreed.trust

    def _follow(self, pair: tuple) -> State:
        """Return the alignment near that of the frame before, smoothed over the stream."""
        last = self._state
        found = self._found(pair, last.shapes, last.start, last.affine)
        return smoothed(last, found, self._view(last.shapes[1]))


def checked(
    shapes: tuple, start: np.ndarray, affine: Tensor, residual: Tensor, agreement: Agreement, even: float
) -> State:
    """Return the state of an alignment that was just found; even: see Network."""
    evidence = float(agreement.correlation)
    confidence = float(1 / (1 + np.exp(-STEEPNESS * (evidence - even))))
    return State(shapes, start, affine, residual, agreement, confidence, evidence)


def smoothed(last: State, found: State, view: View) -> State:
    """Return what was found in a frame, smoothed over its stream; a jump is followed at once."""
    stride = view.shape[0] // found.residual.shape[1]
    points = layers.centres(found.residual[..., 0], stride)
    step = Affine(view.shape).displacement(found.affine - last.affine, points)
    moved = float((step + found.residual - last.residual).norm(dim=-1).mean())
    scale = float(view.scale.mean())
    gain = max(LEAST_GAIN, 1 / (last.frames + 1), min(1.0, moved / scale / FOLLOWED_AT_ONCE))
    return replace(
        found,
        affine=last.affine + gain * (found.affine - last.affine),
        residual=last.residual + gain * (found.residual - last.residual),
        usual=last.usual + gain * (found.evidence - last.usual),
        frames=last.frames + 1,
    )


def starts(thermal: tuple[int, int], visible: tuple[int, int]) -> list[np.ndarray]:
    """
    Return where a thermal image is laid before a network looks at it, in the order to try.

    Each a 3x3, backward, for shapes (height, width): stretched over the visible image first, as if both saw
    the same; then with square pixels, about the centre, at the ratios of the fields of view in ZOOMS.
    """
    aspect = thermal[1] * visible[0] / (thermal[0] * visible[1])
    found = [np.eye(3)]
    for zoom in ZOOMS:
        if zoom == 1 and abs(np.log(aspect)) < SQUARE:
            continue
        along, down = zoom / np.sqrt(aspect), zoom * np.sqrt(aspect)
        x, y = (visible[1] - 1) / 2, (visible[0] - 1) / 2
        found.append(np.array([[along, 0, x - along * x], [0, down, y - down * y], [0, 0, 1.0]]))
    return found


def alignment_of(state: State, view: View, source: str) -> Alignment:
    """Turn a state into what the floors above know."""
    matrix = Affine(view.shape).matrix(state.affine.double())[0].cpu().numpy()
    backward = state.start @ np.linalg.inv(view.matrix) @ matrix @ view.matrix
    trust = np.maximum(state.agreement.trust[0].cpu().numpy(), np.float32(LEAST_TRUST))
    return Alignment(
        transform.normalised(backward),
        state.confidence,
        source,
        residual=state.residual[0].cpu().numpy() / view.scale @ state.start[:2, :2].T.astype(np.float32),
        trust=trust,
        cold=source == 'search',
    )

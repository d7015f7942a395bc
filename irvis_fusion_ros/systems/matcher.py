"""
Runs a network that searches and measures as a `System`.

The network searches where a thermal image may lie, and compares both images near a start.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from irvis_fusion_ros.backends.device import Recorded, half_of, precision_of
from irvis_fusion_ros.networks import matching
from irvis_fusion_ros.networks.matching import Agreement
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.tracking import (
    LEAST_CONFIDENCE,
    Draw,
    Fusion,
    State,
    Tracking,
    alignment_of,
    checked,
    smoothed,
    starts,
)
from irvis_fusion_ros.tuning import TRACKING

# Hypotheses of the search, beside the likeliest, that are followed where that is not sure.
OTHERS = 3


class MatchResult(Protocol):
    """
    What a network found.

    affine: B x 2 x 3. residual: B x h x w x 2. search: logits of matching.Search, None where it was not run.
    """

    affine: Tensor
    residual: Tensor
    search: Tensor | None


class MatchingNetwork(Protocol):
    """
    What a network offers; see `networks.busref.BusReF` for layouts.

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
    ) -> MatchResult:
        """Return what was found, near a start or by a search."""


class Matcher(Tracking):
    """A `MatchingNetwork` as a system; see Tracking."""

    def __init__(
        self,
        network: MatchingNetwork,
        fuse: Fusion,
        device: str,
        temporal: bool,
        least_confidence: float = LEAST_CONFIDENCE,
    ):
        super().__init__(network, fuse, device, temporal, least_confidence)
        self._half = half_of(device)
        # what was exported has the precision that it was exported in
        self.precision = getattr(network, 'precision', precision_of(self._half))
        self._describe = Recorded(self._described, device)
        self._compare = Recorded(self._compared, device)

    def _aligned(self, seen: Tensor, draw: Draw, grid: WorkingGrid, shapes: tuple) -> tuple[State, str]:
        def pair(start: np.ndarray) -> tuple:
            return self._describe(seen, draw(start))

        best, source = None, 'track'
        if self._state is not None:
            best = self._follow(pair(self._state.start), grid)
        if best is None or best.evidence < TRACKING.suspicious * self._state.usual:
            found = self._searched(pair, grid, shapes)
            if best is None or found.evidence > best.evidence:
                best, source = found, 'search'
        return best, source

    def _searched(self, pair: Callable[[np.ndarray], tuple], grid: WorkingGrid, shapes: tuple) -> State:
        # what a rig sees does not change in a stream
        tried = starts(*shapes) if self._state is None else [self._state.start]
        best = None
        for start in tried:
            found = self._best_of(pair(start), shapes, start)
            if best is None or found.evidence > best.evidence:
                best = found
            if best.evidence >= self.network.sure:
                break
        if best.start is tried[0] and best.evidence >= self.network.even:
            return best
        # drawn where it was found, nothing is left of the change of size that had to be bridged: what is
        # right agrees better then, what is wrong does not
        start = alignment_of(best, grid, 'search').transform
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
        """Describe both images, in half precision where that is faster."""
        kind = torch.device(self._device).type
        with torch.autocast(kind, self._half) if self._half else nullcontext():
            return self.network.descriptions(visible, thermal)

    def _compared(self, visible: list[Tensor], thermal: list[Tensor], near: Tensor | None = None) -> tuple:
        found = self.network.compare(visible, thermal, start=near)
        agreed = matching.agreement(visible, thermal, found.affine, found.residual)
        return found.affine, found.residual, found.search, agreed.correlation, agreed.trust

    def _follow(self, pair: tuple, grid: WorkingGrid) -> State:
        """Return the alignment near that of the frame before, smoothed over the stream."""
        last = self._state
        found = self._found(pair, last.shapes, last.start, last.affine)
        return smoothed(last, found, grid)

"""
Runs a network that searches and compares as a `System`.

The network searches for the alignment of a thermal image globally, and compares both images near a start.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.backends.device import Recorded, half_of, precision_of
from irvis_fusion_ros.networks import matching
from irvis_fusion_ros.networks.matching import Agreement
from irvis_fusion_ros.networks.threads import Alone
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.tracking import (
    Fusion,
    State,
    Tracking,
    WarpThermal,
    alignment_of,
    smooth,
    starts,
    state_of,
)
from irvis_fusion_ros.tuning import TRACKING

# Hypotheses that are compared beside the most likely one, where that has too little agreement.
OTHERS = 3


class MatchResult(Protocol):
    """
    The output of a network.

    affine: B x 2 x 3. residual: B x h x w x 2. search: logits of matching.Search, None where it was skipped.
    """

    affine: Tensor
    residual: Tensor
    search: Tensor | None


class MatchingNetwork(Protocol):
    """
    The interface of a network; `networks.busref.BusReF` documents layouts.

    pixels: size of the images that it works on; smaller images are not enlarged. even: agreement at which an
    alignment is as likely wrong as right. sure: agreement at which no other start is tried. search: the
    global search that proposes starts.
    """

    pixels: int
    even: float
    sure: float
    search: matching.Search

    def descriptions(self, visible: Tensor, thermal: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the feature pyramids for `compare`."""

    def compare(
        self, visible: list[Tensor], thermal: list[Tensor], start: Tensor | None = None
    ) -> MatchResult:
        """Return the alignment near a start, or without one, by a global search."""


class Matcher(Tracking):
    """
    Runs a `MatchingNetwork` as a system; see Tracking.

    small: the maps of the network are small (networks/threads.py).
    """

    def __init__(
        self,
        network: MatchingNetwork,
        fuse: Fusion,
        device: str,
        temporal: bool,
        proposes: bool = False,
        small: bool = False,
    ):
        super().__init__(network, fuse, device, temporal, proposes)
        self._alone = Alone() if small and device == 'cpu' else None
        self._half = half_of(device)
        # an exported network has the precision that it was exported in
        self.precision = getattr(network, 'precision', precision_of(self._half))
        self._describe = Recorded(self._run_descriptions, device)
        self._compare = Recorded(self._run_comparison, device)

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Align thermal to visible; see `systems.base.System.register`."""
        if self._alone is None:
            return super().register(thermal, visible)
        return self._alone(super().register, thermal, visible)

    def _align(
        self, seen: Tensor, warp_thermal: WarpThermal, grid: WorkingGrid, shapes: tuple
    ) -> tuple[State, str]:
        def pair(start: np.ndarray) -> tuple:
            return self._describe(seen, warp_thermal(start))

        best, source = None, 'track'
        if self._state is not None:
            best = self._follow(pair(self._state.start), grid)
        if best is None or best.evidence < TRACKING.suspicious * self._state.usual:
            found = self._search(pair, grid, shapes)
            if best is None or found.evidence > best.evidence:
                best, source = found, 'search'
        return best, source

    def _search(self, pair: Callable[[np.ndarray], tuple], grid: WorkingGrid, shapes: tuple) -> State:
        # the fields of view of a rig stay the same, so a tracked pair keeps its start
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
        # The start bridged a difference in scale or aspect. Warping the thermal image by the alignment itself
        # removes the rest of that difference, which raises the agreement of a correct alignment only.
        start = alignment_of(best, grid, 'search').transform
        again = self._find(pair(start), shapes, start, torch.zeros_like(best.affine))
        return again if again.evidence > best.evidence else best

    def _best_of(self, pair: tuple, shapes: tuple, start: np.ndarray) -> State:
        """Return the result of the search, or where its agreement is low, the best of its hypotheses."""
        best, logits = self._check(shapes, start, *pair)
        if best.evidence >= self.network.sure or logits is None:
            return best
        for near in self.network.search.others(logits, matching.model_of(pair[0]), OTHERS):
            other = self._find(pair, shapes, start, near)
            if other.evidence > best.evidence:
                best = other
        return best

    def _find(self, pair: tuple, shapes: tuple, start: np.ndarray, near: Tensor) -> State:
        return self._check(shapes, start, *pair, near)[0]

    def _check(self, shapes: tuple, start: np.ndarray, *inputs) -> tuple[State, Tensor | None]:
        """Return the alignment that `compare` finds, and the logits of its search."""
        affine, residual, logits, correlation, trust = self._compare(*inputs)
        agreement = Agreement(correlation, trust)
        return state_of(shapes, start, affine, residual, agreement, self.network.even), logits

    def _run_descriptions(self, visible: Tensor, thermal: Tensor) -> list[list[Tensor]]:
        """Return the descriptions of both images, computed in half precision where that is faster."""
        kind = torch.device(self._device).type
        with torch.autocast(kind, self._half) if self._half else nullcontext():
            return self.network.descriptions(visible, thermal)

    def _run_comparison(
        self, visible: list[Tensor], thermal: list[Tensor], near: Tensor | None = None
    ) -> tuple:
        found = self.network.compare(visible, thermal, start=near)
        alignment = found.affine, found.residual
        if self._proposes:  # whoever judges a proposal does not ask where to trust it
            return *alignment, found.search, matching.correlation(visible, thermal, *alignment), None
        agreed = matching.agreement(visible, thermal, *alignment)
        return *alignment, found.search, agreed.correlation, agreed.trust

    def _follow(self, pair: tuple, grid: WorkingGrid) -> State:
        """Return the alignment near that of the previous frame, smoothed over the stream."""
        last = self._state
        found = self._find(pair, last.shapes, last.start, last.affine)
        return smooth(last, found, grid)

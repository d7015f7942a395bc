"""
Runs a network that predicts one dense field, without a search, as a `System`.

Such a network returns no confidence. So the agreement of the structure maps of both images under its field
serves as confidence, and a field that does not improve the agreement is not used.

The network recovers only part of a large motion, and adds noise. So it runs repeatedly: each run starts from
the affine part of the previous results, until that part becomes small. What remains of the last field is
fitted by a smooth residual. If the images do not agree then, the network runs on smaller images first, where
it covers larger motion, and last on a thermal image that is rescaled about its centre, for cameras of
different fields of view.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from irvis_fusion_ros.backends.device import prepare
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.networks.field_fit import SmoothFit
from irvis_fusion_ros.networks.matching import CHECK_STRIDE, COARSEST
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.tracking import (
    Fusion,
    State,
    Tracking,
    WarpThermal,
    smooth,
    starts,
    state_of,
)
from irvis_fusion_ros.tuning import TRACKING

# Agreement of structure maps at which an alignment is as likely wrong as right. Measured on scenes of the
# training set: aligned pairs have an agreement of 0.125 or more, unrelated ones less than 0.075, and most
# pairs that are displaced by 20 pixels less than 0.1.
EVEN = 0.12
# Expected error of the field in a coarsest cell, pixels, for the affine and for the residual. The second is
# larger because errors of neighbouring cells are correlated, so that many cells count as less evidence than
# they seem.
AFFINE_ERROR, RESIDUAL_ERROR = 2.0, 20.0
# Maximum number of runs for a pair, and the mean affine motion of a result, in pixels of the working grid,
# below which the iteration stops, because further results would be noise.
ROUNDS, SETTLED = 4, 1.0
# Factors by which images are shrunk before the runs at full size, in the order to try; the agreement at which
# no further attempt is made; and the least agreement of a result of further attempts, because more attempts
# produce more false alignments.
SHRUNK, SURE, LEAST = ((), (2,), (4, 2)), 0.2, 0.15


class FlowNetwork(Protocol):
    """
    The interface of a network.

    pixels: size of the images that it works on; smaller images are not enlarged.
    """

    pixels: int

    def field(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Return the deformation that registers the thermal image to the visible one, B x H x W x 2.

        It is backward, (dx, dy) in pixels of the images, which are B x 1 x H x W in [0, 1], of any size.
        """


class Flow(Tracking):
    """Runs a `FlowNetwork` as a system: ROUNDS times on a new pair, once on a tracked one; see Tracking."""

    def __init__(self, network: FlowNetwork, fuse: Fusion, device: str, temporal: bool):
        super().__init__(network, fuse, device, temporal)
        self._fit = prepare(SmoothFit(), device)

    def _align(
        self, visible: Tensor, warp_thermal: WarpThermal, grid: WorkingGrid, shapes: tuple
    ) -> tuple[State, str]:
        maps = structure_maps(visible)

        def pair(start: np.ndarray) -> WarpedPair:
            thermal = warp_thermal(start)
            return WarpedPair(shapes, start, visible, thermal, [maps, structure_maps(thermal)])

        last = self._state
        # the fields of view of a rig stay the same, so a tracked pair keeps its start
        tried = starts(*shapes) if last is None else [last.start]
        first = pair(tried[0])
        found, source = None, 'track'
        if last is not None:
            found = first.state_of(*self._find(first, last.affine, 1))
        if found is None or found.evidence < TRACKING.suspicious * last.usual:
            again = self._search(first, pair, tried[1:])
            if found is None or again.evidence > found.evidence:
                found, source = again, 'search'
        # the alternative to the new alignment: identity, or the alignment of the previous frame
        identity = (torch.zeros_like(found.affine), torch.zeros_like(found.residual))
        without = first.state_of(*(identity if last is None else (last.affine, last.residual)))
        if found.evidence < without.evidence:
            found = without
        return (found if last is None else smooth(last, found, grid)), source

    def _search(self, first: 'WarpedPair', pair: Callable[[np.ndarray], 'WarpedPair'], others: list) -> State:
        """Search from the first start, and from the others if that finds no alignment."""
        best = self._best(first)
        for start in others:
            if best.evidence >= LEAST:
                break
            found = self._best(pair(start))
            if found.evidence >= SURE:
                best = found
        return best

    def _best(self, pair: 'WarpedPair') -> State:
        best = None
        for factors in SHRUNK:
            start = torch.zeros(1, 2, 3, device=pair.visible.device)
            for factor in factors:
                small = (F.avg_pool2d(image, factor) for image in (pair.visible, pair.thermal))
                start = factor * self._find_affine(*small, start / factor)
            found = pair.state_of(*self._find(pair, start, ROUNDS))
            if best is None or found.evidence > max(best.evidence, LEAST):
                best = found
            if best.evidence >= SURE:
                break
        return best

    def _find_affine(self, visible: Tensor, thermal: Tensor, start: Tensor) -> Tensor:
        """Return the affine, 1 x 2 x 3, that the network finds on smaller images; the residual is dropped."""
        for _ in range(ROUNDS):
            after, affine_field, _ = self._predict(visible, thermal, start)
            if _settled(affine_field):
                break
            start = after
        return start

    def _find(self, pair: 'WarpedPair', start: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
        """Return the affine, 1 x 2 x 3, and the residual, 1 x h x w x 2, that the network finds."""
        for _ in range(rounds):
            start, affine_field, left = self._predict(pair.visible, pair.thermal, start)
            if _settled(affine_field):
                break
        return start, self._fit.residual(left, _precision(left, RESIDUAL_ERROR))

    def _predict(self, visible: Tensor, thermal: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Run the network on the images after a start, 1 x 2 x 3.

        Returns the start composed with the affine part of the field, that part as a field, and the rest of
        the field, both 1 x h x w x 2.
        """
        model = Affine(visible.shape[-2:])
        warped = tensors.warp(
            thermal, model.displacement(start, tensors.pixel_grid(*visible.shape[-2:], visible)), 'zeros'
        )
        field = F.avg_pool2d(self.network.field(visible, warped).movedim(-1, 1), COARSEST).movedim(1, -1)
        points = layers.centres(field[..., 0], COARSEST)
        step = self._fit.affine(field, _precision(field, AFFINE_ERROR), points, model, AFFINE_ERROR)
        affine_field = model.displacement(step, points)
        return model.after(start, step), affine_field, field - affine_field


class WarpedPair:
    """
    Both images on the working grid, the thermal one warped by a start, and their agreement.

    shapes: of the full thermal and visible image. start: 3x3. visible, thermal: the two images on the grid,
    1 x 1 x h x w. maps: `structure_maps` of both.
    """

    def __init__(self, shapes: tuple, start: np.ndarray, visible: Tensor, thermal: Tensor, maps: list):
        self.visible, self.thermal = visible, thermal
        self._shapes, self._start, self._maps = shapes, start, maps

    def state_of(self, affine: Tensor, residual: Tensor) -> State:
        """Return the state of an alignment, given by its affine, 1 x 2 x 3, and residual, 1 x h x w x 2."""
        agreement = matching.agreement(*self._maps, affine, residual)
        return state_of(self._shapes, self._start, affine, residual, agreement, EVEN)


def _settled(affine_field: Tensor) -> bool:
    return float(affine_field.norm(dim=-1).mean()) < SETTLED


def _precision(field: Tensor, error: float) -> Tensor:
    """Return the precision for the same expected error in every cell and direction; see field_fit."""
    return field.new_tensor((1.0, 1.0, 0.0)).expand(*field.shape[:-1], 3) / error**2


def structure_maps(image: Tensor) -> list[Tensor]:
    """Return the structure maps of an image, 1 x 1 x h x w, as a pyramid for `matching.agreement`."""
    support = layers.content(image)
    edges = F.pixel_unshuffle(F.avg_pool2d(layers.structure(image, support)[:, 1:], 2), 2)
    fine = layers.description(edges, F.avg_pool2d(support, CHECK_STRIDE))
    coarse = F.avg_pool2d(fine, COARSEST // CHECK_STRIDE)
    return [fine, coarse, coarse]

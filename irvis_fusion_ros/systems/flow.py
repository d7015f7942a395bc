"""
Runs a network that gives one dense field at once, without a search, as a `System`.

Such a network says nothing of how sure it is: the structure maps of both images say how well they agree under
its field, and a field under which they do not agree better than without it is not used.

Of large motion it finds a part, and its own noise on top: it is asked again what the affine part of its
answers so far has left, until that is little; what remains of the last answer is made a smooth residual.
Where the images do not agree then, it is asked about smaller ones first, because it reaches further there,
and in the end about a thermal image that is laid otherwise, as cameras of other fields of view see it.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from irvis_fusion_ros.backends.device import placed
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.networks.field_fit import SmoothFit
from irvis_fusion_ros.networks.matching import CHECKED, COARSEST
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.tracking import (
    Draw,
    Fusion,
    State,
    Tracking,
    checked,
    smoothed,
    starts,
)
from irvis_fusion_ros.tuning import TRACKING

# Agreement of structure maps at which an alignment is as likely wrong as right. Measured on scenes that are
# learned from: aligned pairs agree by 0.125 or more, unrelated ones by less than 0.075; 20 pixels apart most
# agree by less than 0.1.
EVEN = 0.12
# Expected error of a field in a coarsest cell, pixels, for the affine and for the residual: neighbouring
# cells err alike, so that the many that speak for a residual count for less than they seem to.
AFFINE_ERROR, RESIDUAL_ERROR = 2.0, 20.0
# How often a network is asked about a pair at most, and the mean affine motion in an answer, pixels it sees,
# after which it is not asked again: what it would answer is noise.
ROUNDS, SETTLED = 4, 1.0
# By what images are shrunk before they are seen whole, in the order to try; the agreement at which nothing
# else is tried; and the least of what is found that way: who looks in more places finds more that is wrong.
SHRUNK, SURE, LEAST = ((), (2,), (4, 2)), 0.2, 0.15


class FlowNetwork(Protocol):
    """
    What a network offers.

    pixels: of the images it sees; smaller ones are seen as they are.
    """

    pixels: int

    def field(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Return the deformation that lays the thermal image on the visible one, B x H x W x 2.

        Backward, (dx, dy) in pixels of the images, B x 1 x H x W in [0, 1], of any size.
        """


class Flow(Tracking):
    """A `FlowNetwork` as a system, asked ROUNDS times, once about a pair that is tracked; see Tracking."""

    def __init__(self, network: FlowNetwork, fuse: Fusion, device: str, temporal: bool):
        super().__init__(network, fuse, device, temporal)
        self._fit = placed(SmoothFit(), device)

    def _aligned(self, seen: Tensor, draw: Draw, grid: WorkingGrid, shapes: tuple) -> tuple[State, str]:
        maps = structure_maps(seen)

        def pair(start: np.ndarray) -> LaidPair:
            drawn = draw(start)
            return LaidPair(shapes, start, seen, drawn, [maps, structure_maps(drawn)])

        last = self._state
        # what a rig sees does not change in a stream
        tried = starts(*shapes) if last is None else [last.start]
        first = pair(tried[0])
        found, source = None, 'track'
        if last is not None:
            found = first.checked(*self._found(first, last.affine, 1))
        if found is None or found.evidence < TRACKING.suspicious * last.usual:
            again = self._searched(first, pair, tried[1:])
            if found is None or again.evidence > found.evidence:
                found, source = again, 'search'
        # what would be used without it: nothing, or the alignment of the frame before
        still = (torch.zeros_like(found.affine), torch.zeros_like(found.residual))
        without = first.checked(*(still if last is None else (last.affine, last.residual)))
        if found.evidence < without.evidence:
            found = without
        return (found if last is None else smoothed(last, found, grid)), source

    def _searched(self, first: 'LaidPair', pair: Callable[[np.ndarray], 'LaidPair'], others: list) -> State:
        """Search from the first start; where nothing is found there, from the others."""
        best = self._best(first)
        for start in others:
            if best.evidence >= LEAST:
                break
            found = self._best(pair(start))
            if found.evidence >= SURE:
                best = found
        return best

    def _best(self, pair: 'LaidPair') -> State:
        best = None
        for factors in SHRUNK:
            start = torch.zeros(1, 2, 3, device=pair.seen.device)
            for factor in factors:
                small = (F.avg_pool2d(image, factor) for image in (pair.seen, pair.drawn))
                start = factor * self._roughly(*small, start / factor)
            found = pair.checked(*self._found(pair, start, ROUNDS))
            if best is None or found.evidence > max(best.evidence, LEAST):
                best = found
            if best.evidence >= SURE:
                break
        return best

    def _roughly(self, seen: Tensor, drawn: Tensor, start: Tensor) -> Tensor:
        """Return the affine, 1 x 2 x 3, that the network finds of smaller images: their noise is left out."""
        for _ in range(ROUNDS):
            after, answer, _ = self._asked(seen, drawn, start)
            if _settled(answer):
                break
            start = after
        return start

    def _found(self, pair: 'LaidPair', start: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
        """Return the affine, 1 x 2 x 3, and the residual, 1 x h x w x 2, that the network finds."""
        for _ in range(rounds):
            start, answer, left = self._asked(pair.seen, pair.drawn, start)
            if _settled(answer):
                break
        return start, self._fit.residual(left, _precision(left, RESIDUAL_ERROR))

    def _asked(self, seen: Tensor, drawn: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Ask what a start, 1 x 2 x 3, has left.

        Returns the affine with that of the answer, the latter as a field, and what else the answer holds,
        both 1 x h x w x 2.
        """
        model = Affine(seen.shape[-2:])
        laid = tensors.warp(
            drawn, model.displacement(start, tensors.pixel_grid(*seen.shape[-2:], seen)), 'zeros'
        )
        field = F.avg_pool2d(self.network.field(seen, laid).movedim(-1, 1), COARSEST).movedim(1, -1)
        points = layers.centres(field[..., 0], COARSEST)
        step = self._fit.affine(field, _precision(field, AFFINE_ERROR), points, model, AFFINE_ERROR)
        answer = model.displacement(step, points)
        return model.after(start, step), answer, field - answer


class LaidPair:
    """
    Both images on the grid, the thermal one laid where a start says, and how well they agree.

    shapes: of the full thermal and visible image. start: 3x3. seen, drawn: 1 x 1 x h x w. maps:
    `structure_maps` of both.
    """

    def __init__(self, shapes: tuple, start: np.ndarray, seen: Tensor, drawn: Tensor, maps: list):
        self.seen, self.drawn = seen, drawn
        self._shapes, self._start, self._maps = shapes, start, maps

    def checked(self, affine: Tensor, residual: Tensor) -> State:
        """Return what an affine, 1 x 2 x 3, and a residual, 1 x h x w x 2, are as an alignment."""
        agreement = matching.agreement(*self._maps, affine, residual)
        return checked(self._shapes, self._start, affine, residual, agreement, EVEN)


def _settled(answer: Tensor) -> bool:
    return float(answer.norm(dim=-1).mean()) < SETTLED


def _precision(field: Tensor, error: float) -> Tensor:
    """The same expected error in every cell and direction; see smooth_fit."""
    return field.new_tensor((1.0, 1.0, 0.0)).expand(*field.shape[:-1], 3) / error**2


def structure_maps(image: Tensor) -> list[Tensor]:
    """Return the structure maps of an image, 1 x 1 x h x w, as a pyramid that `matching.agreement` takes."""
    support = layers.content(image)
    edges = F.pixel_unshuffle(F.avg_pool2d(layers.structure(image, support)[:, 1:], 2), 2)
    fine = layers.description(edges, F.avg_pool2d(support, CHECKED))
    coarse = F.avg_pool2d(fine, COARSEST // CHECKED)
    return [fine, coarse, coarse]

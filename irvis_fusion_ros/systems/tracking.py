"""
What all registration networks share as a `System`: image sizes, confidence, and the state of a stream.

A network works at a reduced resolution, whatever the size of the images. Its alignment is scaled up, and the
predictor samples the full-size image once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from irvis_fusion_ros.alignment import WEAK, Alignment, refused
from irvis_fusion_ros.backends.device import prepare
from irvis_fusion_ros.classical import evidence
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.networks.matching import Agreement
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.tuning import TRACKING

LEAST_CONFIDENCE = 0.5
# Slope of the logistic function from agreement to confidence.
STEEPNESS = 50.0
# Scales at which a search starts: size of a visible pixel on the thermal image, where 1 means equal areas of
# view. Each start covers a quarter to either side. Pixels count as square where the logarithm of the ratio of
# the two aspects is below SQUARE.
ZOOMS = (1.0, 0.67, 1.45)
SQUARE = 0.02

Fusion = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
# Warps the thermal image by a 3x3 onto the working grid of the network, 1 x 1 x h x w.
WarpThermal = Callable[[np.ndarray], Tensor]


@dataclass(frozen=True)
class State:
    """
    One alignment on the working grid of the network.

    start: 3x3, the warp of the thermal image before the network ran (`starts`). affine: 1 x 2 x 3. residual:
    1 x h x w x 2, on that grid or a coarser one that spans it. agreement: see matching.Agreement. confidence:
    how likely the alignment is right, [0, 1], by the network at first, then as it was judged
    (classical/evidence.py). usual: agreement smoothed over the stream. frames: how many frames the alignment
    has been tracked.
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
        """The correlation of the two images under the alignment."""
        return float(self.agreement.correlation)


class Tracking:
    """
    Runs a `network` as a system; see `systems.base.System`. A subclass implements `_align`.

    network: its `pixels` is the size of the images that it works on; smaller images are not enlarged. fuse:
    fuses registered images as `System.fuse` does. temporal: keep the state of a stream. proposes: return
    whatever is found, with the confidence of the network itself, for others to judge.
    """

    devices = ('cuda', 'cpu')
    precision = 'float32'

    STREAM = ('_state',)

    def __init__(
        self,
        network: nn.Module,
        fuse: Fusion,
        device: str,
        temporal: bool,
        proposes: bool = False,
    ):
        self.network = prepare(network, device)
        self._fuse = fuse
        self._proposes = proposes
        self._device = device
        self._temporal = temporal
        self.reset()

    def reset(self) -> None:
        """Drop the state of the stream."""
        self._state: State | None = None

    @torch.inference_mode()
    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        """Align thermal to visible; see `systems.base.System.register`."""
        shapes = (thermal.shape, visible.shape)
        if not self._temporal or (self._state is not None and self._state.shapes != shapes):
            self.reset()
        grid = WorkingGrid(visible.shape, self.network.pixels)
        seen = layers.tensor_of(grid.visible(visible), self._device)

        def warp_thermal(start: np.ndarray) -> Tensor:
            return layers.tensor_of(grid.thermal(thermal, start), self._device)

        found, source = self._align(seen, warp_thermal, grid, shapes)
        alignment = alignment_of(found, grid, source)
        if self._proposes:
            return alignment
        found = replace(found, confidence=self._confidence(thermal, visible, found, alignment))
        if found.confidence < LEAST_CONFIDENCE:
            if self._state is None:
                return refused(found.confidence)
            held = alignment_of(self._state, grid, 'held')
            return replace(held, confidence=found.confidence, notes=(WEAK,))
        self._state = found
        return replace(alignment, confidence=found.confidence)

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        """Fuse brightness; see `systems.base.System.fuse`."""
        return self._fuse(visible, thermal, trust)

    def _confidence(
        self, thermal: np.ndarray, visible: np.ndarray, found: State, alignment: Alignment
    ) -> float:
        """Return the confidence of an alignment; one that is tracked keeps its own from frame to frame."""
        last = self._state
        tracked = alignment.source == 'track' and last is not None
        if tracked and not TRACKING.judges_again(found.evidence, last.usual, found.frames):
            return last.confidence
        return evidence.confidence_of(thermal, visible, alignment)

    def _align(
        self, seen: Tensor, warp_thermal: WarpThermal, grid: WorkingGrid, shapes: tuple
    ) -> tuple[State, str]:
        """
        Return the alignment of a pair, smoothed over the stream if it was tracked, and its source.

        seen: the visible image on the working grid, 1 x 1 x h x w. shapes: of the thermal and the visible
        image. `_state` is the previous alignment. source: see Alignment.
        """
        raise NotImplementedError


def state_of(
    shapes: tuple, start: np.ndarray, affine: Tensor, residual: Tensor, agreement: Agreement, even: float
) -> State:
    """Return the state of a new alignment, with its confidence; even: see MatchingNetwork."""
    evidence = float(agreement.correlation)
    return State(shapes, start, affine, residual, agreement, confidence_of(evidence, even), usual=evidence)


def confidence_of(evidence: float, even: float) -> float:
    """Return the probability, [0, 1], that an alignment is right; even: see MatchingNetwork."""
    return float(1 / (1 + np.exp(-STEEPNESS * (evidence - even))))


def smooth(last: State, found: State, grid: WorkingGrid) -> State:
    """Return the alignment of a frame, smoothed over the stream; a jump is followed at once."""
    stride = grid.shape[0] // found.residual.shape[1]
    points = layers.centres(found.residual[..., 0], stride)
    step = Affine(grid.shape).displacement(found.affine - last.affine, points)
    moved = (step + found.residual - last.residual).norm(dim=-1).mean()
    gain = float(gain_of(last.frames, moved / float(grid.scale.mean())))
    return replace(
        found,
        affine=last.affine + gain * (found.affine - last.affine),
        residual=last.residual + gain * (found.residual - last.residual),
        usual=last.usual + gain * (found.evidence - last.usual),
        frames=last.frames + 1,
    )


def gain_of(frames: int, moved: Tensor) -> Tensor:
    """
    Return the weight of a new frame in an alignment that has been tracked for `frames`.

    moved: the mean change of the field, full visible pixels; a jump is followed at once.
    """
    return (moved / TRACKING.followed).clamp(TRACKING.least_share(frames), 1)


def starts(thermal: tuple[int, int], visible: tuple[int, int]) -> list[np.ndarray]:
    """
    Return the warps of the thermal image from which a network starts, in the order to try.

    Each is a 3x3, backward, for shapes (height, width). The first stretches the thermal image to the visible
    one, for equal fields of view. The others have square pixels, share the centre, and scale by ZOOMS.
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


def alignment_of(state: State, grid: WorkingGrid, source: str) -> Alignment:
    """Convert a state to an Alignment."""
    matrix = Affine(grid.shape).matrix(state.affine.double())[0].cpu().numpy()
    backward = state.start @ np.linalg.inv(grid.matrix) @ matrix @ grid.matrix
    trust = state.agreement.trust
    if trust is not None:
        trust = np.maximum(trust[0].cpu().numpy(), np.float32(TRACKING.least_trust))
    return Alignment(
        transform.normalised(backward),
        state.confidence,
        source,
        residual=state.residual[0].cpu().numpy() / grid.scale @ state.start[:2, :2].T.astype(np.float32),
        trust=trust,
        cold=source == 'search',
    )

"""How a thermal image lies on the visible grid: what every registration answers."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.margins import Margins

# Where an alignment came from, worst to best known; FusionResult.source is one of these.
SOURCES = ('identity', 'held', 'calibration', 'track', 'search', 'pass_through')


@dataclass(frozen=True)
class Note:
    """Something the user should know about one frame: a stable code and a sentence with the remedy."""

    code: str
    text: str


@dataclass(frozen=True)
class Alignment:
    """
    How the thermal image lies on the visible grid.

    transform: 3x3 float64, backward (visible pixel -> stretched thermal pixel).
    residual: h x w x 2 float32 or None, (dx, dy) in visible pixels added to the transform's displacement;
        a coarse grid that spans the visible image edge to edge, as `cv2.resize` has it.
    confidence: [0, 1] for the frame. trust: h x w float32 [0, 1] on the same kind of grid, or None for
        the same everywhere.
    source: one of SOURCES. cold: found without help of an earlier frame.
    """

    transform: np.ndarray
    confidence: float
    source: str
    residual: np.ndarray | None = None
    trust: np.ndarray | None = None
    cold: bool = True
    notes: tuple[Note, ...] = field(default=())

    def deformation(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the dense deformation on the visible grid, H x W x 2 float32 pixels, no NaN yet."""
        dense = transform.displacement(self.transform, shape)
        if self.residual is not None:
            dense += cv2.resize(self.residual, shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return dense

    def deformation_at(self, points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return the deformation at K x 2 points, visible pixels, of an image of `shape`, K x 2."""
        found = transform.apply(self.transform, points) - points
        if self.residual is not None:
            cells = np.array(self.residual.shape[1::-1]) / shape[1::-1]
            at = ((points + 0.5) * cells - 0.5).astype(np.float32)[:, None]
            sampled = cv2.remap(self.residual, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            found = found + sampled[:, 0]
        return found

    def uncut(
        self, thermal: tuple[tuple[int, int], Margins], visible: tuple[tuple[int, int], Margins]
    ) -> 'Alignment':
        """
        Return the alignment of whole images from this one, which is of images with margins cut away.

        thermal, visible: the shape of the whole image, and its margins. Beyond the margins the residual and
        the trust go on as at the edge.
        """
        (thermal_shape, thermal_cut), (visible_shape, visible_cut) = thermal, visible
        from_cut = transform.stretch(visible_cut.shape_of(visible_shape), thermal_cut.shape_of(thermal_shape))
        to_whole = transform.stretch(thermal_shape, visible_shape)
        stretched = to_whole @ _shift(thermal_cut.left, thermal_cut.top) @ from_cut
        matrix = stretched @ self.transform @ _shift(-visible_cut.left, -visible_cut.top)

        def spread(plane: np.ndarray) -> np.ndarray:
            shape = visible_cut.shape_of(visible_shape)
            inner = cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_LINEAR)
            return visible_cut.around(inner)

        residual = self.residual
        if residual is not None:
            residual = spread(residual) * np.float32([stretched[0, 0], stretched[1, 1]])
        trust = None if self.trust is None else spread(self.trust)
        return replace(self, transform=transform.normalised(matrix), residual=residual, trust=trust)

    def trust_map(self, shape: tuple[int, int]) -> np.ndarray | None:
        """Return trust on the visible grid, H x W float32 [0, 1], or None where it is one everywhere."""
        if self.trust is None:
            return None
        return cv2.resize(self.trust, shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


WEAK = Note('weak_evidence', 'thermal and visible image have too little structure in common to register them')


def identity(confidence: float = 0.0, notes: tuple[Note, ...] = ()) -> Alignment:
    """Return the alignment that does nothing: the thermal image stretched over the visible grid."""
    return Alignment(np.eye(3), confidence, 'identity', notes=notes)


def refused(confidence: float) -> Alignment:
    """Return the alignment of a pair that could not be registered, and is trusted nowhere."""
    return replace(identity(confidence, (WEAK,)), trust=np.zeros((1, 1), np.float32))

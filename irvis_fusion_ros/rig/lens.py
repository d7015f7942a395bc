"""
Lenses of a rig: images as pinhole cameras would have taken them, and the distortion that many frames show.

Registration works on flat images, because it finds transforms. What it finds is turned back into the
deformation of the images as they were taken, which are still sampled once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.calibration import NOWHERE, Calibration
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.lens import PLUMB_BOB, Lens
from irvis_fusion_ros.rig.refine import Refined

# Cells of an alignment that is bent have at most this many pixels a side: beyond the centres of the outermost
# ones a residual is constant, which a lens is not.
CELL = 2


class Flat:
    """
    Between the images of a rig as they were taken, of these shapes, and those of pinhole cameras.

    key: what it is kept by.
    """

    def __init__(
        self,
        rig: Calibration,
        thermal_shape: tuple[int, int],
        visible_shape: tuple[int, int],
        key: object = None,
    ):
        self.shapes, self.key = (thermal_shape, visible_shape), key
        here = rig.resized(thermal_shape, visible_shape)
        self._lenses = here.thermal_lens, here.visible_lens
        self._maps = [
            None if lens is None else _map(lens, shape)
            for lens, shape in zip(self._lenses, self.shapes, strict=True)
        ]

    def images(self, thermal: np.ndarray, visible: np.ndarray) -> list[np.ndarray]:
        """Return both images, H x W float32, without distortion; what a lens did not see repeats its edge."""
        return [
            image
            if at is None
            else cv2.remap(image, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for image, at in zip((thermal, visible), self._maps, strict=True)
        ]

    def bent(self, alignment: Alignment) -> Alignment:
        """Return what an alignment of flat images is for those that were taken."""
        thermal_lens, visible_lens = self._lenses
        thermal_shape, shape = self.shapes
        cells = tuple(-(-side // CELL) for side in shape)
        if alignment.residual is not None:
            cells = tuple(max(sides) for sides in zip(cells, alignment.residual.shape, strict=False))
        points = transform.pixel_grid(cells, np.float64)
        points = transform.apply(transform.resize_transform(cells, shape), points).reshape(-1, 2)
        flat = points
        if visible_lens is not None:
            flat = transform.apply(visible_lens.k, visible_lens.to_rays(points))
        stretched = transform.apply(alignment.transform, flat)
        if alignment.residual is not None:
            ratio = np.array(alignment.residual.shape[1::-1]) / shape[1::-1]
            at = ((flat + 0.5) * ratio - 0.5).astype(np.float32).reshape(*cells, 2)
            sampled = cv2.remap(
                alignment.residual, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            stretched = stretched + sampled.reshape(-1, 2)
        if thermal_lens is not None:
            at = transform.apply(transform.stretch(shape, thermal_shape), stretched)
            at = thermal_lens.to_pixels(transform.apply(np.linalg.inv(thermal_lens.k), at))
            stretched = transform.apply(transform.stretch(thermal_shape, shape), at)
        residual = stretched - transform.apply(alignment.transform, points)
        residual = np.nan_to_num(residual, nan=NOWHERE).astype(np.float32)
        return replace(alignment, residual=residual.reshape(*cells, 2))


def _map(lens: Lens, shape: tuple[int, int]) -> np.ndarray:
    """Return where each pixel of the flat image is in the one that was taken, H x W x 2 float32."""
    rays = transform.apply(np.linalg.inv(lens.k), transform.pixel_grid(shape, np.float64))
    return np.nan_to_num(lens.to_pixels(rays), nan=NOWHERE).astype(np.float32)


@dataclass(frozen=True)
class LensConfig:
    """
    step: every how many cells of the residual are looked at. floor: what k2 costs, so that it is zero where
    the image does not tell it from k1. robust: pixels beyond which a place counts less.
    """

    step: int = 6
    floor: float = 0.05
    robust: float = 0.5


def find(
    pairs: Sequence[Refined],
    used: np.ndarray,
    backward: np.ndarray,
    shapes: tuple[tuple[int, int], tuple[int, int]],
    before: Lens | None,
    config: LensConfig = LensConfig(),
) -> Lens:
    """
    Return the lens of the thermal camera that explains what all pairs have in common beside a transform.

    pairs: as fitted around `backward`, those `used` count. shapes: of the images that they are of, thermal
    and visible. before: the lens by which their thermal images were made flat. What the visible lens does
    beside it is in it, too: only the difference of two lenses is seen.
    """
    thermal_shape, visible_shape = shapes
    lens = before or unbent(thermal_shape)
    chosen = [pairs[i] for i in np.flatnonzero(used)]
    residual = np.median([pair.residual for pair in chosen], axis=0)
    cells = residual.shape[:2]
    step = config.step
    points = transform.pixel_grid(cells, np.float64)[step // 2 :: step, step // 2 :: step].reshape(-1, 2)
    common = residual[step // 2 :: step, step // 2 :: step].reshape(-1, 2).astype(np.float64)
    points = transform.apply(transform.resize_transform(cells, visible_shape), points)
    to_thermal = transform.stretch(visible_shape, thermal_shape)
    at = transform.apply(to_thermal @ backward, points)
    inside = ((at > 0) & (at < [thermal_shape[1] - 1, thermal_shape[0] - 1])).all(1)
    at, moved = at[inside], (common * np.diag(to_thermal)[:2])[inside]
    numbers = _fit(at, moved, lens, config)
    k1, k2 = np.pad(lens.coefficients, (0, 2))[:2] + numbers
    return replace(lens, coefficients=(float(k1), float(k2)))


def unbent(shape: tuple[int, int]) -> Lens:
    """Return a lens without distortion, of a focal length of one image width."""
    height, width = shape
    k = np.array([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1.0]])
    return Lens(k, PLUMB_BOB, (0.0, 0.0))


def _fit(at: np.ndarray, moved: np.ndarray, lens: Lens, config: LensConfig) -> np.ndarray:
    """Return by how much k1 and k2 change so that thermal pixels `at` move by `moved`, beside a transform."""
    x, y = transform.apply(np.linalg.inv(lens.k), at).T
    one, none, square = np.ones_like(x), np.zeros_like(x), x * x + y * y
    # the eight directions of a homography, and the two of the lens
    columns = [(one, none), (x, none), (y, none), (none, one), (none, x), (none, y)]
    columns += [(x * x, x * y), (x * y, y * y)]
    columns += [(x * square, y * square), (x * square**2, y * square**2)]
    model = lens.k[0, 0] * np.stack([np.stack(column, -1) for column in columns], -1)
    weight = np.ones(len(x))
    ridge = np.zeros(10)
    ridge[9] = config.floor * len(x)
    for _ in range(8):
        weighted = model * weight[:, None, None]
        normal = np.einsum('kai,kaj->ij', weighted, model) + np.diag(ridge)
        found = np.linalg.solve(normal, np.einsum('kai,ka->i', weighted, moved))
        error = np.linalg.norm(model @ found - moved, axis=-1)
        weight = 1 / (1 + (error / config.robust) ** 2)
    return found[8:]

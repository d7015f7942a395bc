"""
One resolution of a pair: the visible image resized, and the thermal image warped onto its grid.

Every transform includes the half-pixel offsets of the resizing, so results of different levels agree.
"""

from concurrent.futures import Executor
from functools import partial

import cv2
import numpy as np

from irvis_fusion_ros.classical.structure import content_hull, structure
from irvis_fusion_ros.geometry import transform, warp


class ThermalPyramid:
    """The thermal image at any requested resolution, shrunk without aliasing and cached."""

    def __init__(self, image: np.ndarray):
        self.image = image
        self.support = content_hull(image)
        self._kept: dict[int, tuple[np.ndarray, np.ndarray | None, np.ndarray]] = {}

    def shrunk(self, factor: float) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Return (image, support, 3x3 from original pixels to its own) to sample every `factor` pixels."""
        half_octaves = max(0, round(2 * np.log2(max(factor, 1e-6))))
        if half_octaves not in self._kept:
            self._kept[half_octaves] = self._shrink(2 ** (-half_octaves / 2))
        return self._kept[half_octaves]

    def _shrink(self, scale: float) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        if scale == 1:
            return self.image, self.support, np.eye(3)
        shape = tuple(max(8, round(side * scale)) for side in self.image.shape)
        image = cv2.resize(self.image, shape[::-1], interpolation=cv2.INTER_AREA)
        support = self.support
        if support is not None:
            support = cv2.resize(support, shape[::-1], interpolation=cv2.INTER_NEAREST)
        return image, support, transform.resize_transform(self.image.shape, shape)


class Level:
    """
    The pair on a visible grid of about `pixels` pixels (never more than the visible image has).

    to_level: 3x3 from full visible pixels to level pixels. pool: describes the visible image in the
    background. neighbourhood, harmonics: see `structure`.
    """

    def __init__(
        self,
        visible: np.ndarray,
        thermal: ThermalPyramid,
        pixels: int,
        neighbourhood: float = 4.0,
        pool: Executor | None = None,
        harmonics: int = 2,
    ):
        self.full_shape = visible.shape
        scale = min(1.0, (pixels / visible.size) ** 0.5)
        self.shape = tuple(max(16, round(side * scale)) for side in visible.shape)
        self.to_level = transform.resize_transform(visible.shape, self.shape)
        self.to_full = np.linalg.inv(self.to_level)
        self.scale = np.array([self.to_level[0, 0], self.to_level[1, 1]], np.float32)
        self._described_by = partial(structure, neighbourhood=neighbourhood, harmonics=harmonics)
        self._thermal = thermal
        self._to_thermal = transform.stretch(visible.shape, thermal.image.shape)
        self._visible = visible
        if pool is None:
            found = self._describe()
            self._described = lambda: found
        else:
            self._described = pool.submit(self._describe).result

    @property
    def maps(self) -> np.ndarray:
        """The structure maps of the visible image."""
        return self._described()[0]

    @property
    def support(self) -> np.ndarray | None:
        """Where the visible image has content, H x W float32 0/1; None is everywhere."""
        return self._described()[1]

    def _describe(self) -> tuple[np.ndarray, np.ndarray | None]:
        small, shape = self._visible, self.shape
        if small.shape != shape:
            small = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_AREA)
        hull = content_hull(small)
        support = None if hull is None else eroded(hull)
        return self._described_by(small, support), support

    def moving(
        self, backward: np.ndarray, residual: np.ndarray | None, margin: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Warp the thermal image by `backward` and `residual`, with a margin of `margin` pixels around it.

        backward: 3x3, full visible to stretched thermal pixels. residual: h x w x 2 at this level, in full
        visible pixels, or None. Returns (structure maps, support), each (h + 2 margin) x (w + 2 margin).
        """
        height, width = (side + 2 * margin for side in self.shape)
        inset = np.array([[1, 0, -margin], [0, 1, -margin], [0, 0, 1.0]])
        to_thermal = transform.normalised(self._to_thermal @ backward @ self.to_full)
        factor = abs(np.linalg.det(to_thermal[:2, :2])) ** 0.5
        image, support, shrink = self._thermal.shrunk(factor)
        matrix = shrink @ to_thermal @ inset
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        if residual is None:
            drawn = cv2.warpPerspective(
                image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            full = support if support is not None else np.ones(image.shape, np.uint8)
            seen = cv2.warpPerspective(
                full, matrix, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            )
        else:
            around = cv2.copyMakeBorder(residual, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
            points = transform.mapped(matrix, (height, width))
            step = shrink @ self._to_thermal
            # row by row: a product with two numbers for each pixel takes four times as long
            rows = around.reshape(height, -1) * np.tile(np.float32([step[0, 0], step[1, 1]]), width)
            points += rows.reshape(points.shape)
            drawn = warp.sample(image, points)
            seen = warp.inside(points, image.shape).astype(np.uint8)
            if support is not None:
                seen &= cv2.remap(support, points, None, cv2.INTER_NEAREST)
        seen = eroded(seen)
        return self._described_by(drawn, seen), seen


def eroded(support: np.ndarray) -> np.ndarray:
    """Return a 0/1 mask as float32, without the rim in which an edge filter would respond to the border."""
    return cv2.erode(support, np.ones((5, 5), np.uint8), borderValue=0).astype(np.float32)

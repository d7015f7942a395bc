"""The reduced grid that networks register on, for images of any size."""

import cv2
import numpy as np

from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.networks.matching import COARSEST


class WorkingGrid:
    """
    The grid that a network works on: the visible image resized, with sides in multiples of the coarsest cell.

    full: height and width of the image. pixels: about the largest number of pixels of the grid. shape: height
    and width of the grid. scale: grid pixels per full pixel, (x, y). matrix: 3x3, maps full to grid pixels.
    """

    def __init__(self, full: tuple[int, int], pixels: int):
        share = min(1.0, (pixels / (full[0] * full[1])) ** 0.5)
        self.full = full
        self.shape = tuple(max(4, round(side * share / COARSEST)) * COARSEST for side in full)
        self.matrix = transform.resize_transform(full, self.shape)
        self.scale = np.array([self.matrix[0, 0], self.matrix[1, 1]], np.float32)

    def visible(self, image: np.ndarray) -> np.ndarray:
        """Resize an image to the grid, edge to edge, without aliasing."""
        return _resized(image, self.shape)

    def thermal(self, image: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Warp a thermal image of any size onto the grid by `start`, which aligns it; 0 beyond its border."""
        plain = np.array_equal(start, np.eye(3))
        # if `start` selects a part of the image, that part needs more pixels than the whole has on the grid
        zoom = max(1.0, 1 / np.sqrt(abs(np.linalg.det(start[:2, :2]))))
        shape = tuple(round(zoom * side) for side in self.shape)
        small = _resized(image, shape)
        if image.shape == self.full and plain:
            return small
        # stretching is corner to corner, resizing edge to edge; they differ by less than a pixel
        matrix = (
            transform.resize_transform(image.shape, shape)
            @ transform.stretch(self.full, image.shape)
            @ start
            @ np.linalg.inv(self.matrix)
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        border = cv2.BORDER_REPLICATE if plain else cv2.BORDER_CONSTANT
        return cv2.warpAffine(small, matrix[:2], self.shape[::-1], flags=flags, borderMode=border)


def _resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    shrinks = image.shape[0] >= shape[0] and image.shape[1] >= shape[1]
    return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

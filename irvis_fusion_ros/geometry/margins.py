"""What is left out of an image at its sides, and the image within."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Margins:
    """Pixels of an image that are border, from each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def inner(self, image: np.ndarray) -> np.ndarray:
        """Return the view of an image, H x W or H x W x C, without them."""
        height, width = image.shape[:2]
        return image[self.top : height - self.bottom, self.left : width - self.right]

    def shape_of(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the shape that an image of `shape` has without them."""
        return shape[0] - self.top - self.bottom, shape[1] - self.left - self.right

    def around(self, image: np.ndarray) -> np.ndarray:
        """Return an image with its edge values repeated over them."""
        sides = self.top, self.bottom, self.left, self.right
        return cv2.copyMakeBorder(image, *sides, cv2.BORDER_REPLICATE)

    def __neg__(self) -> 'Margins':
        """Return what is to be cut to undo a cut of these."""
        return Margins(-self.left, -self.top, -self.right, -self.bottom)

    def __bool__(self) -> bool:
        return any((self.left, self.top, self.right, self.bottom))


NONE = Margins()

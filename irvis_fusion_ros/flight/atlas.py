"""One image that holds the textures of all solid surfaces, so that a picture is textured in one pass."""

from dataclasses import dataclass

import cv2
import numpy as np

# Bilinear sampling must not reach into the neighbour.
BORDER = 2


@dataclass(frozen=True)
class Patch:
    """A rectangle of the atlas, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least u and v and largest u and v (pixel centres) to sample at."""
        return (self.x - 0.5, self.y - 0.5, self.x + self.width - 0.5, self.y + self.height - 0.5)


@dataclass(frozen=True)
class Textures:
    """
    The packed atlas. colour: H x W x 4 uint8, BGR as in full light and how far it glows by itself.

    warmth: H x W float32, degrees Celsius above the temperature of the surface.
    """

    colour: np.ndarray
    warmth: np.ndarray


class Atlas:
    """Collects textures; `pack` lays them out in rows."""

    def __init__(self, texel: float, width: int = 2048):
        self.texel = texel
        self._width = width
        self._pieces: list[tuple[Patch, np.ndarray, np.ndarray]] = []
        self._x = self._y = self._row = 0

    def pixels(self, metres: float) -> int:
        """Return how many pixels a length in metres has."""
        return max(2, round(metres / self.texel))

    def add(self, colour: np.ndarray, warmth: np.ndarray) -> Patch:
        """Add a texture: h x w x 4 (BGR, glow, 0..255) and h x w (degrees Celsius)."""
        height, width = warmth.shape
        if self._x + width + 2 * BORDER > self._width:
            self._x, self._y, self._row = 0, self._y + self._row, 0
        patch = Patch(self._x + BORDER, self._y + BORDER, width, height)
        if patch.x + width + BORDER > self._width:
            raise ValueError(f'a texture {width} px wide does not fit into the atlas')
        self._x += width + 2 * BORDER
        self._row = max(self._row, height + 2 * BORDER)
        self._pieces.append((patch, np.clip(colour, 0, 255).astype(np.uint8), warmth.astype(np.float32)))
        return patch

    def pack(self) -> Textures:
        """Return the whole atlas."""
        height = self._y + self._row
        colour = np.zeros((height, self._width, 4), np.uint8)
        warmth = np.zeros((height, self._width), np.float32)
        for patch, piece_colour, piece_warmth in self._pieces:
            for target, piece in ((colour, piece_colour), (warmth, piece_warmth)):
                framed = cv2.copyMakeBorder(piece, *[BORDER] * 4, cv2.BORDER_REPLICATE)
                y, x = patch.y - BORDER, patch.x - BORDER
                target[y : y + framed.shape[0], x : x + framed.shape[1]] = framed
        return Textures(colour, warmth)

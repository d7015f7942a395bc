"""Painting the textures of walls, roofs and vehicles, in metres."""

import cv2
import numpy as np

from irvis_fusion_ros.flight.atlas import Atlas, Patch

Colour = tuple[float, float, float]


class Canvas:
    """
    A texture being painted: x to the right and y down, in metres from the top left corner.

    Colours are sRGB (r, g, b) as in full sun; glow says how far the colour shines by itself (0..1); warmth is
    in degrees Celsius above the surface.
    """

    def __init__(self, atlas: Atlas, width: float, height: float, colour: Colour, rng: np.random.Generator):
        self.width, self.height = width, height
        self._atlas = atlas
        self._rng = rng
        shape = atlas.pixels(height), atlas.pixels(width)
        self.colour = np.zeros((*shape, 4), np.float32)
        self.colour[..., :3] = colour[::-1]
        self.warmth = np.zeros(shape, np.float32)

    def rectangle(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Colour,
        glow: float = 0.0,
        warmth: float = 0.0,
    ) -> None:
        """Paint a rectangle, with its edges blended by how far they cover a pixel."""
        rows, down = self._covered(y0, y1, self.height, 0)
        columns, across = self._covered(x0, x1, self.width, 1)
        share = np.outer(down, across)
        value = np.array([*colour[::-1], 255 * glow], np.float32)
        part, heat = self.colour[rows, columns], self.warmth[rows, columns]
        part += share[..., None] * (value - part)
        heat += share * (warmth - heat)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, glow: float = 0.0, warmth: float = 0.0
    ) -> None:
        """Paint an ellipse."""
        height, width = self.warmth.shape
        across = (np.arange(width) + 0.5) / width * self.width - x
        down = (np.arange(height) + 0.5) / height * self.height - y
        distance = np.hypot(across[None] / rx, down[:, None] / ry)
        soft = 0.5 * self._atlas.texel / min(rx, ry)
        share = np.clip((1 - distance) / soft + 0.5, 0, 1)
        value = np.array([*colour[::-1], 255 * glow], np.float32)
        self.colour += share[..., None] * (value - self.colour)
        self.warmth += share * (warmth - self.warmth)

    def rows(self, spacing: float, depth: float, across: bool = False, thickness: float = 0.25) -> None:
        """Darken a line at every `spacing` metres by `depth` (0..1): courses of tiles, bricks, seams."""
        size = self.warmth.shape[1 if across else 0]
        length = self.width if across else self.height
        at = (np.arange(size) + 0.5) / size * length
        # a line thinner than a pixel is fainter instead
        pixel = length / size
        wide = max(thickness * spacing, pixel)
        lines = 1 - depth * (thickness * spacing / wide) * ((at % spacing) < wide)
        self.colour[..., :3] *= lines[None, :, None] if across else lines[:, None, None]

    def grain(self, per_cent: float, warmth: float = 0.0, coarse: float = 0.0) -> None:
        """Add noise to colour and temperature; `coarse` metres gives blotches instead of grain."""
        height, width = self.warmth.shape
        step = max(1, round(coarse / self._atlas.texel))
        small = self._rng.standard_normal((2, height // step + 2, width // step + 2)).astype(np.float32)
        first, second = (
            cv2.resize(s, (width, height), interpolation=cv2.INTER_CUBIC) if step > 1 else s[:height, :width]
            for s in small
        )
        self.colour[..., :3] *= 1 + 0.01 * per_cent * first[..., None]
        self.warmth += warmth * second

    def fade(self, top: float, bottom: float) -> None:
        """Scale the colour from top to bottom."""
        self.colour[..., :3] *= np.linspace(top, bottom, self.warmth.shape[0])[:, None, None]

    def patch(self) -> Patch:
        """Hand the texture over to the atlas."""
        return self._atlas.add(self.colour, self.warmth)

    def _covered(self, low: float, high: float, length: float, axis: int) -> tuple[slice, np.ndarray]:
        """Which pixels along an axis an interval touches, and how far it covers each."""
        size = self.warmth.shape[axis]
        low, high = np.clip(np.array([low, high]) * size / length, 0, size)
        first, last = int(low), max(int(np.ceil(high)), int(low))
        pixels = np.arange(first, last)
        share = np.clip(np.minimum(pixels + 1, high) - np.maximum(pixels, low), 0, None)
        return slice(first, last), share.astype(np.float32)

"""Plots as inline SVG: axes with round numbers, lines, dots and arrows; no library is needed for them."""

from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 12, 42
# Colours that people with any colour vision tell apart (Okabe and Ito).
BLUE, ORANGE, GREEN, RED, GREY = '#0072b2', '#e69f00', '#009e73', '#d55e00', '#777777'


class Plot:
    """A plot of y against x; `svg` returns it once everything is drawn."""

    def __init__(
        self,
        x_label: str,
        y_label: str,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        size: tuple[int, int] = (WIDTH, HEIGHT),
        down: bool = False,
    ):
        """`down`: y grows downwards, as in an image."""
        self._size = size
        self._x, self._y = _wide(x_range), _wide(y_range)
        self._down = down
        self._parts: list[str] = []
        self._legend: list[tuple[str, str]] = []
        self._axes(x_label, y_label)

    def line(self, x: np.ndarray, y: np.ndarray, colour: str = BLUE, name: str = '') -> None:
        """Draw a line through K points; where y is not finite it is broken."""
        pieces = np.split(np.arange(len(x)), np.flatnonzero(~np.isfinite(y)))
        for piece in pieces:
            piece = piece[np.isfinite(y[piece])]
            points = ' '.join(f'{u:.1f},{v:.1f}' for u, v in self._at(x[piece], y[piece]))
            self._parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            )
        self._named(name, colour)

    def dots(self, x: np.ndarray, y: np.ndarray, colour: str = BLUE, name: str = '') -> None:
        """Draw K dots; those that are not finite are left out."""
        for u, v in self._at(x, y):
            if np.isfinite(u + v):
                self._parts.append(f'<circle cx="{u:.1f}" cy="{v:.1f}" r="2.4" fill="{colour}"/>')
        self._named(name, colour)

    def arrows(self, start: np.ndarray, vector: np.ndarray, colours: Sequence[str]) -> None:
        """Draw K arrows from `start` along `vector`, K x 2 each, in units of the axes."""
        tips = start + vector
        for (u, v), (to_u, to_v), colour in zip(self._at(*start.T), self._at(*tips.T), colours, strict=True):
            self._parts.append(
                f'<line x1="{u:.1f}" y1="{v:.1f}" x2="{to_u:.1f}" y2="{to_v:.1f}" stroke="{colour}" '
                f'stroke-width="1.6"/><circle cx="{u:.1f}" cy="{v:.1f}" r="1.8" fill="{colour}"/>'
            )

    def mark(self, x: float, name: str, colour: str = RED) -> None:
        """Draw a vertical line at x."""
        ((u, top), (_, bottom)) = self._at(np.array([x, x]), np.array(self._y))
        self._parts.append(
            f'<line x1="{u:.1f}" y1="{top:.1f}" x2="{u:.1f}" y2="{bottom:.1f}" stroke="{colour}" '
            'stroke-dasharray="4 3"/>'
        )
        self._named(name, colour)

    def svg(self) -> str:
        """Return the plot as an SVG element."""
        width, height = self._size
        legend, at = [], LEFT + 8
        for name, colour in self._legend:
            legend.append(f'<circle cx="{at}" cy="{TOP + 10}" r="4" fill="{colour}"/>')
            legend.append(f'<text x="{at + 8}" y="{TOP + 14}">{escape(name)}</text>')
            at += 30 + round(6.6 * len(name))
        return (
            f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'font-family="sans-serif" font-size="12">{"".join(self._parts)}{"".join(legend)}</svg>'
        )

    def _named(self, name: str, colour: str) -> None:
        if name:
            self._legend.append((name, colour))

    def _at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return where points are in the SVG, K x 2."""
        width, height = self._size
        across = (np.asarray(x, float) - self._x[0]) / (self._x[1] - self._x[0])
        up = (np.asarray(y, float) - self._y[0]) / (self._y[1] - self._y[0])
        along = up if self._down else 1 - up
        return np.stack(
            [LEFT + across * (width - LEFT - RIGHT), TOP + along * (height - TOP - BOTTOM)], axis=-1
        )

    def _axes(self, x_label: str, y_label: str) -> None:
        width, height = self._size
        inner = f'width="{width - LEFT - RIGHT}" height="{height - TOP - BOTTOM}"'
        self._parts.append(f'<rect x="{LEFT}" y="{TOP}" {inner} fill="white" stroke="#999"/>')
        for value in ticks(*self._x):
            ((u, _),) = self._at([value], [self._y[0]])
            self._parts.append(
                f'<line x1="{u:.1f}" y1="{TOP}" x2="{u:.1f}" y2="{height - BOTTOM}" stroke="#eee"/>'
            )
            self._text(u, height - BOTTOM + 15, _number(value), 'middle')
        for value in ticks(*self._y):
            ((_, v),) = self._at([self._x[0]], [value])
            self._parts.append(
                f'<line x1="{LEFT}" y1="{v:.1f}" x2="{width - RIGHT}" y2="{v:.1f}" stroke="#eee"/>'
            )
            self._text(LEFT - 6, v + 4, _number(value), 'end')
        self._text((LEFT + width - RIGHT) / 2, height - 8, x_label, 'middle')
        middle = (TOP + height - BOTTOM) / 2
        self._parts.append(
            f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
            f'{escape(y_label)}</text>'
        )

    def _text(self, x: float, y: float, text: str, anchor: str) -> None:
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')


def ticks(low: float, high: float, most: int = 7) -> np.ndarray:
    """Return round numbers between two: 1, 2 or 5 times a power of ten apart, at most `most`."""
    size = 10.0 ** np.floor(np.log10((high - low) / most))
    step = next(k * size for k in (1, 2, 5, 10, 20) if (high - low) / (k * size) < most)
    return step * np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)


def _wide(ends: tuple[float, float]) -> tuple[float, float]:
    """Return a range that is not empty."""
    low, high = map(float, ends)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _number(value: float) -> str:
    return f'{value:.6g}' if abs(value) > 1e-9 else '0'

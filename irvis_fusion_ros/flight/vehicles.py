"""Cars and vans, parked or on the road: warm engines, wheels and brakes, and lights in the dark."""

import numpy as np

from irvis_fusion_ros.flight.atlas import Atlas, Patch
from irvis_fusion_ros.flight.canvas import Canvas
from irvis_fusion_ros.flight.materials import MATERIALS
from irvis_fusion_ros.flight.solids import Part

PAINTS = (
    (236, 236, 234), (198, 202, 206), (38, 40, 44), (96, 100, 106), (150, 30, 32), (34, 66, 128),
    (222, 218, 206), (188, 48, 36), (58, 92, 84), (206, 160, 52), (70, 74, 80),
)  # fmt: skip
# length, width, sill, bonnet, roof; cabin from and to (share of the length from the middle); slopes
CAR = (4.5, 1.82, 0.16, 0.88, 1.45, -0.44, 0.20, (0.85, 0.45, 0.22, 0.22))
HATCH = (4.0, 1.76, 0.16, 0.90, 1.50, -0.49, 0.18, (0.75, 0.25, 0.22, 0.22))
VAN = (5.4, 2.02, 0.18, 1.05, 2.30, -0.50, 0.33, (0.75, 0.05, 0.12, 0.12))
GLASS = (52, 62, 72)


class Workshop:
    """Builds and paints the vehicles of one flight."""

    def __init__(self, atlas: Atlas, time: str, dark: bool, rng: np.random.Generator):
        self._atlas = atlas
        self._time = time
        self._dark = dark
        self._rng = rng

    def vehicle(self, engine: float, driving: bool) -> Part:
        """
        Build a vehicle at the origin, heading along x.

        engine: 0 for a cold one, 1 for a running one. driving: lights on, wheels warm.
        """
        kinds = (CAR, CAR, HATCH, HATCH, VAN)
        length, width, sill, bonnet, roof, rear, front, slopes = kinds[int(self._rng.integers(len(kinds)))]
        paint = PAINTS[int(self._rng.integers(len(PAINTS)))]
        dark_paint = (140 - np.mean(paint)) / 140
        shade, gain = MATERIALS['car'].warmth(self._time)
        # dark paint takes up more sun
        warmth = (shade, gain * (1 + 0.45 * dark_paint))
        glass = MATERIALS['glass'].warmth(self._time)[0] - shade
        part = Part()
        x, y = length / 2, width / 2
        patches = {
            'left': self._side(length, bonnet - sill, paint, driving, engine),
            'right': self._side(length, bonnet - sill, paint, driving, engine),
            'front': self._end(width, bonnet - sill, paint, True, driving, engine),
            'back': self._end(width, bonnet - sill, paint, False, driving, engine),
            'top': self._bonnet(length, width, paint, engine),
        }
        part.box((-x, -y, sill), (x, y, bonnet), patches, {'side': warmth}, 0, (0.06, 0.06, 0.05, 0.05))
        cabin = (front - rear) * length
        long = self._pane(cabin, roof - bonnet, paint, glass, 3)
        wide = self._pane(width, roof - bonnet, paint, glass, 1)
        panes = {
            'left': long,
            'right': long,
            'front': wide,
            'back': wide,
            'top': self._plain(cabin, width, paint),
        }
        low, high = (rear * length, -y + 0.06, bonnet), (front * length, y - 0.06, roof)
        part.box(low, high, panes, {'side': warmth}, 2, slopes)
        part.blocks = [part.points()]
        part.blocks[0][:, 2] = np.where(part.blocks[0][:, 2] <= sill + 1e-9, 0.0, part.blocks[0][:, 2])
        return part

    def _side(self, length: float, height: float, paint, driving: bool, engine: float) -> Patch:
        side = Canvas(self._atlas, length, height, paint, self._rng)
        side.rectangle(0, 0, length, 0.10, tuple(min(255, 1.12 * c) for c in paint))
        for x in (0.33 * length, 0.56 * length):
            side.rectangle(x - 0.02, 0.05, x + 0.02, height - 0.1, tuple(0.55 * c for c in paint))
        side.rectangle(0, height - 0.14, length, height, (40, 40, 42))
        for x in (0.19 * length, 0.81 * length):
            tyre = 14.0 if driving else 4.0 * engine
            side.ellipse(x, height - 0.02, 0.37, 0.37, (26, 26, 28), warmth=tyre)
            side.ellipse(x, height - 0.02, 0.20, 0.20, (140, 142, 146), warmth=tyre + (9 if driving else 0))
        return side.patch()

    def _end(self, width: float, height: float, paint, front: bool, driving: bool, engine: float) -> Patch:
        end = Canvas(self._atlas, width, height, paint, self._rng)
        warm = engine * 16 if front else engine * 3
        end.rectangle(0.25 * width, 0.3 * height, 0.75 * width, 0.75 * height, (60, 62, 64), warmth=warm)
        glow = float(driving and self._dark)
        lamp = (255, 248, 226) if front else (255, 46, 30) if glow else (150, 24, 22)
        for x in (0.06 * width, 0.76 * width):
            end.rectangle(
                x, 0.12 * height, x + 0.18 * width, 0.45 * height, lamp, glow=glow, warmth=4 * engine
            )
        if not front and driving:
            end.rectangle(0.12 * width, 0.82 * height, 0.3 * width, height, (70, 66, 64), warmth=35)
        return end.patch()

    def _bonnet(self, length: float, width: float, paint, engine: float) -> Patch:
        top = Canvas(self._atlas, length, width, paint, self._rng)
        top.rectangle(0.70 * length, 0.06, 0.97 * length, width - 0.06, paint, warmth=21 * engine)
        bright = tuple(min(255, 1.06 * c) for c in paint)
        box = (0.76 * length, 0.25 * width, 0.93 * length, 0.75 * width)
        top.rectangle(*box, bright, warmth=26 * engine)
        top.rectangle(0.695 * length, 0.05, 0.705 * length, width - 0.05, tuple(0.5 * c for c in paint))
        top.grain(1.5, 0.2)
        return top.patch()

    def _pane(self, width: float, height: float, paint, glass: float, count: int) -> Patch:
        pane = Canvas(self._atlas, width, height, paint, self._rng)
        edge = 0.10
        step = (width - edge) / count
        for k in range(count):
            x0, x1 = edge + k * step, (k + 1) * step
            pane.rectangle(x0, 0.08, x1, height - 0.04, GLASS, warmth=glass)
            pane.rectangle(x0, 0.08, x1, 0.08 + 0.3 * height, tuple(1.5 * c for c in GLASS), warmth=glass - 2)
        return pane.patch()

    def _plain(self, length: float, width: float, paint) -> Patch:
        top = Canvas(self._atlas, length, width, paint, self._rng)
        bright = tuple(min(255, 1.05 * c) for c in paint)
        top.rectangle(0.15 * length, 0.15 * width, 0.85 * length, 0.85 * width, bright, warmth=0.6)
        top.grain(1.5, 0.2)
        return top.patch()

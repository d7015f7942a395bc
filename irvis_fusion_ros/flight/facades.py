"""What the walls and roofs of buildings look like, and where they are warm."""

import numpy as np

from irvis_fusion_ros.flight.atlas import Atlas, Patch
from irvis_fusion_ros.flight.canvas import Canvas, Colour
from irvis_fusion_ros.flight.light import Light
from irvis_fusion_ros.flight.materials import MATERIALS

PLASTERS = (
    (232, 224, 208),
    (236, 232, 226),
    (222, 204, 170),
    (206, 190, 176),
    (214, 216, 212),
    (226, 206, 190),
)
TILES = ((172, 92, 66), (158, 80, 60), (186, 112, 84), (140, 78, 62), (150, 96, 80))
SLATES = ((92, 94, 102), (78, 82, 92), (106, 104, 104))
LIT = ((255, 206, 130), (255, 220, 160), (250, 190, 110), (235, 225, 200))


class Painter:
    """Paints the buildings of one flight."""

    def __init__(self, atlas: Atlas, light: Light, time: str, rng: np.random.Generator):
        self._atlas = atlas
        self._light = light
        self._time = time
        self._rng = rng

    def wall_tone(self, kind: str) -> Colour:
        """Draw the colour of a wall of 'plaster' or 'brick'."""
        return self._pick(PLASTERS) if kind == 'plaster' else MATERIALS['brick'].colour

    def roof_tone(self, kind: str) -> Colour:
        """Draw the colour of a roof of 'tiles' or 'slate'."""
        return self._pick(TILES if kind == 'tiles' else SLATES)

    def facade(
        self, width: float, height: float, storeys: int, tone, brick: bool = False, door: bool = False,
        balconies: bool = False,
    ) -> Patch:  # fmt: skip
        """Paint a wall with rows of windows, one for each storey."""
        wall = Canvas(self._atlas, width, height, tone, self._rng)
        if brick:
            wall.rows(0.25, 0.22)
        wall.grain(2.5, 0.15)
        wall.grain(1.5, 0.25, coarse=1.0)
        storey = height / storeys
        count = max(1, int((width - 1.0) / 2.6))
        gap = width / count
        for level in range(storeys):
            top = level * storey + (storey - 1.35) * 0.5
            spots = [((k + 0.5) * gap - 0.65, top) for k in range(count)]
            if door and level == storeys - 1:
                spots.pop(count // 2)
            if balconies:
                for x, _ in spots[::2]:
                    bottom = (level + 1) * storey
                    wall.rectangle(x - 0.5, bottom - 1.1, x + 1.8, bottom - 0.05, (150, 156, 160), warmth=-2)
            # radiators under the windows leak
            for x, y in spots:
                wall.rectangle(x + 0.1, y + 1.35, x + 1.2, y + 1.7, tone, warmth=0.9)
            self.windows(wall, 1.3, 1.35, spots)
        if door:
            x = (count // 2 + 0.5) * gap
            wall.rectangle(x - 0.6, height - 2.2, x + 0.6, height, (96, 62, 44), warmth=1.0)
        wall.fade(1.0, 0.88)
        return wall.patch()

    def windows(self, wall: Canvas, width: float, height: float, spots: list[tuple[float, float]]) -> None:
        """Paint windows of a size at the spots of their upper left corners, some of them lit."""
        glass, shade = MATERIALS['glass'], MATERIALS['plaster'].warmth(self._time)[0]
        warmth = glass.warmth(self._time)[0] - shade
        for x, y in spots:
            # as many draws by day as by night, so that it stays the same village
            lit, lamp = self._rng.random() < self._light.lit_windows, self._pick(LIT)
            shine, chill = self._rng.uniform(0.6, 1.3), self._rng.normal(0, 1)
            wall.rectangle(x - 0.1, y - 0.1, x + width + 0.1, y + height + 0.12, (240, 240, 236), warmth=-0.5)
            if lit:
                wall.rectangle(x, y, x + width, y + height, lamp, glow=1.0, warmth=warmth + 3)
            else:
                tone = tuple(shine * c for c in glass.colour)
                wall.rectangle(x, y, x + width, y + height, tone, warmth=warmth + chill)
                wall.rectangle(
                    x, y, x + width, y + height * 0.35, tuple(1.25 * c for c in tone), warmth=warmth - 1
                )
            middle = x + width / 2
            wall.rectangle(middle - 0.04, y, middle + 0.04, y + height, (230, 230, 226), warmth=-0.5)

    def gable(self, width: float, rise: float, tone, brick: bool) -> Patch:
        """Paint the triangle under a gable, as the rectangle around it."""
        wall = Canvas(self._atlas, width, rise, tone, self._rng)
        if brick:
            wall.rows(0.25, 0.22)
        wall.grain(2.5, 0.15)
        if rise > 2.2:
            self.windows(wall, 0.9, 0.9, [(width / 2 - 0.45, rise - 1.5)])
        return wall.patch()

    def roof(self, length: float, slope: float, tone, kind: str, solar: bool) -> Patch:
        """Paint one side of a roof, the ridge above: solar panels, or perhaps windows."""
        roof = Canvas(self._atlas, length, slope, tone, self._rng)
        roof.grain(6, 0.4)
        roof.grain(5, 0.6, coarse=0.9)
        roof.rows(0.34, 0.24 if kind == 'tiles' else 0.16)
        roof.rows(0.30, 0.10, across=True, thickness=0.3)
        roof.rectangle(0, 0, length, 0.22, tuple(0.78 * c for c in tone), warmth=-1)
        roof.rectangle(0, slope - 0.14, length, slope, (150, 152, 152), warmth=-6)
        # rafters and warm spots of the attic show through at night
        leak = {'day': 0.0, 'dusk': 0.4, 'night': 1.6}[self._time]
        roof.warmth += leak * self._rng.random() * np.linspace(1, 0, roof.warmth.shape[0])[:, None]
        panel = MATERIALS['solar']
        if solar:
            delta = panel.warmth(self._time)[0] - MATERIALS[kind].warmth(self._time)[0]
            columns, rows = int((length - 2.4) / 1.06), max(1, int((slope - 1.2) / 1.7))
            for i in range(columns):
                for j in range(rows):
                    x, y = 1.2 + 1.06 * i, 0.6 + 1.7 * j
                    roof.rectangle(
                        x, y, x + 1.0, y + 1.64, panel.colour, warmth=delta + self._rng.normal(0, 0.3)
                    )
                    roof.rectangle(x, y + 0.80, x + 1.0, y + 0.84, (90, 98, 120), warmth=delta)
        elif self._rng.random() < 0.7:
            glass = MATERIALS['glass']
            delta = glass.warmth(self._time)[0] - MATERIALS[kind].warmth(self._time)[0]
            for _ in range(int(self._rng.integers(1, 3))):
                x, y = self._rng.uniform(1.2, length - 2.2), self._rng.uniform(0.9, max(1.0, slope - 2.4))
                lit, lamp = self._rng.random() < self._light.lit_windows, self._pick(LIT)
                roof.rectangle(x - 0.08, y - 0.08, x + 0.88, y + 1.28, (70, 70, 74), warmth=-2)
                tone = lamp if lit else tuple(1.5 * c for c in glass.colour)
                roof.rectangle(x, y, x + 0.8, y + 1.2, tone, glow=float(lit), warmth=delta)
        return roof.patch()

    def sheet_roof(self, length: float, width: float, tone) -> Patch:
        """Paint a metal roof with skylights."""
        roof = Canvas(self._atlas, length, width, tone, self._rng)
        roof.rows(0.9, 0.14, across=True, thickness=0.18)
        roof.grain(2, 0.3)
        roof.grain(3, 0.7, coarse=2.5)
        warm = {'day': 9.0, 'dusk': 7.0, 'night': 7.5}[self._time]
        for x in np.arange(3.6, length - 2.5, 7.2):
            roof.rectangle(
                x,
                0.18 * width,
                x + 1.2,
                0.82 * width,
                (226, 232, 232),
                glow=0.35 * bool(self._light.lamps),
                warmth=warm,
            )
        roof.rectangle(0, 0, length, 0.3, tuple(0.8 * c for c in tone), warmth=-1)
        return roof.patch()

    def flat_roof(self, length: float, width: float) -> Patch:
        """Paint a flat roof with its parapet and its mended patches."""
        roof = Canvas(self._atlas, length, width, MATERIALS['bitumen'].colour, self._rng)
        roof.grain(5, 0.5)
        roof.grain(6, 1.2, coarse=1.6)
        roof.rows(1.0, 0.08, thickness=0.08)
        for _ in range(4):
            x, y = self._rng.uniform(1, length - 5), self._rng.uniform(1, width - 4)
            roof.rectangle(
                x, y, x + self._rng.uniform(1.5, 4), y + self._rng.uniform(1, 3), (96, 92, 90), warmth=-1.5
            )
        for edge in (
            (0, 0, length, 0.4),
            (0, width - 0.4, length, width),
            (0, 0, 0.4, width),
            (length - 0.4, 0, length, width),
        ):
            roof.rectangle(*edge, (206, 204, 198), warmth=-5)
        return roof.patch()

    def _pick(self, tones):
        return tones[int(self._rng.integers(len(tones)))]

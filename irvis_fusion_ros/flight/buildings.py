"""Houses with gable roofs, and the few large buildings with flat or low roofs."""

import numpy as np

from irvis_fusion_ros.flight import village
from irvis_fusion_ros.flight.atlas import Atlas, Patch
from irvis_fusion_ros.flight.canvas import Canvas
from irvis_fusion_ros.flight.facades import Painter
from irvis_fusion_ros.flight.light import Light
from irvis_fusion_ros.flight.materials import AIR, MATERIALS
from irvis_fusion_ros.flight.solids import Part
from irvis_fusion_ros.flight.village import House

EAVES = 0.45


class Builder:
    """Builds and paints the buildings of one flight."""

    def __init__(self, atlas: Atlas, light: Light, time: str, rng: np.random.Generator):
        self._atlas = atlas
        self._time = time
        self._rng = rng
        self._paint = Painter(atlas, light, time, rng)

    def house(self, house: House) -> list[Part]:
        """Build a house: walls, a roof along its length, a chimney."""
        length, depth, wall = house.size
        rise = house.pitch * depth / 2
        walls = MATERIALS[house.wall].warmth(self._time)
        tone = self._paint.wall_tone(house.wall)
        part = Part()
        x, y = length / 2, depth / 2
        storeys = 2 if wall > 4.5 else 1
        sides = {
            'front': (depth, [(x, -y), (x, y)]), 'back': (depth, [(-x, y), (-x, -y)]),
            'left': (length, [(x, y), (-x, y)]), 'right': (length, [(-x, -y), (x, -y)]),
        }  # fmt: skip
        for name, (width, ((ax, ay), (bx, by))) in sides.items():
            facade = self._paint.facade(
                width, wall, storeys, tone, house.wall == 'brick', door=name == 'right'
            )
            corners = [(ax, ay, wall), (bx, by, wall), (bx, by, 0), (ax, ay, 0)]
            part.polygon(np.array(corners), facade, walls)
            if name in ('front', 'back'):
                gable = self._paint.gable(width, rise, tone, house.wall == 'brick')
                _add_gable(part, (ax, ay), (bx, by), wall, rise, gable, walls)
        tone = self._paint.roof_tone(house.roof)
        warmth = MATERIALS[house.roof].warmth(self._time)
        roofs = []
        for side in (1, -1):
            solar = house.solar and side * np.sin(house.heading + np.pi / 2) < 0.2
            roofs.append(self._paint.roof(*_slope(length, depth, rise), tone, house.roof, solar))
        _add_roof(part, length, depth, wall, rise, roofs, warmth)
        part.blocks = [part.points()]
        at, heading = house.at, house.heading
        return [part.place(at, heading), self._chimney(wall + rise, at, heading, x)]

    def market(self) -> list[Part]:
        """Build the supermarket: a wide metal roof with skylights and air conditioning."""
        centre, half, heading = village.MARKET
        roof = self._paint.sheet_roof(2 * half[0], 2 * half[1], (196, 202, 206))
        parts = [self._hall(half, 6.2, roof, 'metal', (205, 205, 200), (176, 44, 40)).place(centre, heading)]
        for along, across in ((-9, 4), (-4, 4.5), (6, 3.5), (11, -5)):
            unit = self._unit(2.2, 1.6, 1.1, 6.2)
            parts.append(unit.place(village.place(centre, heading, along, across), heading))
        return parts

    def flats(self) -> list[Part]:
        """Build the block of flats: four storeys, a flat roof with a stairwell and ventilation."""
        centre, half, heading = village.FLATS
        height = 11.6
        part = Part()
        tone = (222, 210, 190)
        patches = {
            'front': self._paint.facade(2 * half[1], height, 4, tone),
            'back': self._paint.facade(2 * half[1], height, 4, tone),
            'left': self._paint.facade(2 * half[0], height, 4, tone, balconies=True),
            'right': self._paint.facade(2 * half[0], height, 4, tone),
            'top': self._paint.flat_roof(2 * half[0], 2 * half[1]),
        }  # fmt: skip
        warmth = {
            'side': MATERIALS['plaster'].warmth(self._time), 'top': MATERIALS['bitumen'].warmth(self._time)
        }  # fmt: skip
        part.box((-half[0], -half[1], 0), (half[0], half[1], height), patches, warmth)
        parts = [part.place(centre, heading)]
        for along, across, size in (
            (0, 0, (4.0, 3.0, 2.4)),
            (-8, 2, (1.4, 1.4, 0.9)),
            (7, -2, (1.8, 1.2, 0.9)),
        ):
            unit = self._unit(*size, height)
            parts.append(unit.place(village.place(centre, heading, along, across), heading))
        return parts

    def barn(self) -> list[Part]:
        """Build the barn: a low metal roof on wooden walls."""
        centre, half, heading = village.BARN
        rise, wall = 2.4, 4.2
        x, y = half
        part = Part()
        wood = MATERIALS['wood'].warmth(self._time)
        for width, corners in (
            (2 * y, [(x, -y), (x, y)]), (2 * y, [(-x, y), (-x, -y)]),
            (2 * x, [(x, y), (-x, y)]), (2 * x, [(-x, -y), (x, -y)]),
        ):  # fmt: skip
            (ax, ay), (bx, by) = corners
            boards = Canvas(self._atlas, width, wall, (134, 70, 54), self._rng)
            boards.rows(0.3, 0.3, across=True)
            boards.grain(5, 0.3)
            boards.rectangle(width / 2 - 1.8, wall - 3.4, width / 2 + 1.8, wall, (90, 52, 42))
            part.polygon(
                np.array([(ax, ay, wall), (bx, by, wall), (bx, by, 0), (ax, ay, 0)]), boards.patch(), wood
            )
            if abs(ax - bx) < 1e-6:
                gable = self._paint.gable(width, rise, (134, 70, 54), False)
                _add_gable(part, (ax, ay), (bx, by), wall, rise, gable, wood)
        sheets = [self._paint.sheet_roof(*_slope(2 * x, 2 * y, rise), (150, 158, 162)) for _ in range(2)]
        _add_roof(part, 2 * x, 2 * y, wall, rise, sheets, MATERIALS['metal'].warmth(self._time))
        part.blocks = [part.points()]
        return [part.place(centre, heading)]

    def _hall(self, half, height: float, roof: Patch, material: str, tone, band) -> Part:
        part = Part()
        patches = {'top': roof}
        for name, width in (
            ('front', 2 * half[1]),
            ('back', 2 * half[1]),
            ('left', 2 * half[0]),
            ('right', 2 * half[0]),
        ):
            wall = Canvas(self._atlas, width, height, tone, self._rng)
            wall.rows(1.2, 0.12, across=True, thickness=0.05)
            wall.grain(2, 0.2)
            wall.rectangle(0, 0.3, width, 1.5, band)
            if name == 'left':
                self._paint.windows(
                    wall, 2.4, 2.6, [(2 + 2.6 * k, 3.2) for k in range(int((width - 4) / 2.6))]
                )
            wall.fade(1.0, 0.86)
            patches[name] = wall.patch()
        warmth = {
            'side': MATERIALS['concrete'].warmth(self._time),
            'top': MATERIALS[material].warmth(self._time),
        }
        part.box((-half[0], -half[1], 0), (half[0], half[1], height), patches, warmth)
        return part

    def _unit(self, length: float, width: float, height: float, base: float) -> Part:
        """Build a box on a roof: air conditioning, ventilation, a stairwell."""
        side = Canvas(self._atlas, length, height, (178, 180, 180), self._rng)
        side.rows(0.25, 0.25)
        top = Canvas(self._atlas, length, width, (188, 190, 190), self._rng)
        top.ellipse(
            length / 2,
            width / 2,
            0.38 * min(length, width),
            0.38 * min(length, width),
            (70, 72, 74),
            warmth=9,
        )
        steel = (AIR[self._time] + 4, 7.0 if self._time == 'day' else 1.0)
        part = Part()
        part.box(
            (-length / 2, -width / 2, base), (length / 2, width / 2, base + height),
            {'side': side.patch(), 'top': top.patch()}, {'side': steel},
        )  # fmt: skip
        return part

    def _chimney(self, ridge: float, at, heading: float, reach: float) -> Part:
        brick = Canvas(self._atlas, 0.8, 1.6, (140, 84, 66), self._rng)
        brick.rows(0.2, 0.2)
        top = Canvas(self._atlas, 0.8, 0.8, (120, 116, 112), self._rng)
        smoking = self._rng.random() < 0.5 and self._time != 'day'
        top.rectangle(0.2, 0.2, 0.6, 0.6, (40, 38, 38), warmth=14.0 if smoking else 2.0)
        warmth = (
            MATERIALS['brick'].warmth(self._time)[0] + (5 if smoking else 0),
            MATERIALS['brick'].warmth(self._time)[1],
        )
        part = Part()
        x, y = self._rng.uniform(-0.5, 0.5) * reach, self._rng.choice([-0.7, 0.7])
        patches = {'side': brick.patch(), 'top': top.patch()}
        part.box(
            (x - 0.35, y - 0.35, ridge - 1.0), (x + 0.35, y + 0.35, ridge + 0.8), patches, {'side': warmth}
        )
        return part.place(at, heading)


def _slope(length: float, depth: float, rise: float) -> tuple[float, float]:
    """Width and height of one side of a gable roof with eaves."""
    reach = depth / 2 + EAVES
    return length + 2 * EAVES, float(np.hypot(reach, rise * reach / (depth / 2)))


def _add_gable(part: Part, left, right, wall: float, rise: float, patch: Patch, warmth) -> None:
    """Add the triangle between a wall (its ends as seen from outside) and the ridge."""
    (ax, ay), (bx, by) = left, right
    ridge = ((ax + bx) / 2, (ay + by) / 2, wall + rise)
    frame = (np.array([ax, ay, wall + rise]), np.array([bx - ax, by - ay, 0.0]), np.array([0, 0, -rise]))
    part.polygon(np.array([ridge, (bx, by, wall), (ax, ay, wall)]), patch, warmth, frame)


def _add_roof(
    part: Part, length: float, depth: float, wall: float, rise: float, patches: list[Patch], warmth
) -> None:
    """Add both sides of a gable roof along x; the ridge is the upper edge of the textures."""
    over, low = length / 2 + EAVES, wall - EAVES * rise / (depth / 2)
    for side, patch in zip((1, -1), patches, strict=True):
        near, far, edge = side * over, -side * over, side * (depth / 2 + EAVES)
        corners = [(near, 0, wall + rise), (far, 0, wall + rise), (far, edge, low), (near, edge, low)]
        part.polygon(np.array(corners), patch, warmth, layer=1)

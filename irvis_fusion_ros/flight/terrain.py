"""
What the ground is made of, place by place, and what is painted on it.

A square map, north up: row 0 is the northern edge.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.flight import noise, village
from irvis_fusion_ros.flight.materials import NUMBER
from irvis_fusion_ros.flight.village import HALF_SIDE, Village

_SHIFT = 4


@dataclass(frozen=True)
class Map:
    """The grid of the ground: `size` pixels a side, each `texel` metres."""

    texel: float

    @property
    def size(self) -> int:
        """Pixels a side."""
        return round(2 * HALF_SIDE / self.texel)

    def affine(self) -> np.ndarray:
        """Return u and v (pixels) as affine functions of p: 2 x 4."""
        k = self.size / (2 * HALF_SIDE)
        middle = self.size / 2 - 0.5
        return np.array([[k, 0, 0, middle], [0, -k, 0, middle]])

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Return the pixel (..., 2) of points in metres."""
        a = self.affine()
        return np.asarray(points, float)[..., :2] @ a[:, :2].T + a[:, 3]

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Return pixels as OpenCV's drawing functions take them, with fractional bits."""
        return np.round(self.pixels(points) * 2**_SHIFT).astype(np.int32)

    def fill(self, image: np.ndarray, points: np.ndarray, value: float, smooth: bool = False) -> None:
        """Fill a polygon."""
        line = cv2.LINE_AA if smooth else cv2.LINE_8
        cv2.fillPoly(image, [self.fixed(points)], value, line, _SHIFT)

    def stroke(
        self, image: np.ndarray, points: np.ndarray, width: float, value: float, smooth: bool = False
    ) -> None:
        """Draw a line of a width in metres."""
        points = np.asarray(points, float)
        along = np.gradient(points, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        aside = np.stack([-along[:, 1], along[:, 0]], 1) * width / 2
        self.fill(image, np.concatenate([points + aside, (points - aside)[::-1]]), value, smooth)


@dataclass(frozen=True)
class Terrain:
    """
    material: numbers of materials.GROUND, uint8. rows: crop rows, -1 to 1 across them, float32.

    paint: share of white paint, wear: share of dark wear, both 0..255 uint8. All size x size.
    """

    material: np.ndarray
    rows: np.ndarray
    paint: np.ndarray
    wear: np.ndarray


def paint(plan: Village, grid: Map, rng: np.random.Generator) -> Terrain:
    """Paint the map of a village."""
    material = np.full((grid.size, grid.size), NUMBER['meadow'], np.uint8)
    rows = np.zeros((grid.size, grid.size), np.float32)
    _fields(material, rows, grid)
    for house in plan.houses:
        grid.fill(material, village.rectangle(house.at, (8.4, 12.5), house.heading), NUMBER['lawn'])
    (pond, half, turn) = village.POND
    for grow, name in ((1.12, 'gravel'), (1.0, 'water')):
        grid.fill(material, _shore(pond, half, turn, grow), NUMBER[name])
    material = _ragged(material, grid, rng)
    _built(material, plan, grid)
    wear = np.zeros_like(material)
    white = np.zeros_like(material)
    _markings(white, plan, grid)
    _wear(wear, plan, grid, rng)
    return Terrain(material, rows, white, wear)


def _fields(material: np.ndarray, rows: np.ndarray, grid: Map) -> None:
    """Fields around the village, each with its own crop and direction of the rows."""
    h = HALF_SIDE
    fields = [
        ([(30, 88), (h, 88), (h, h), (30, h)], 'crop', 0.1, 0.9),
        ([(-60, 88), (26, 88), (26, h), (-60, h)], 'wheat', 0.0, 0.5),
        ([(84, -h), (h, -h), (h, 84), (84, 84)], 'wheat', 1.5, 0.5),
        ([(-h, -h), (20, -h), (20, -90), (-h, -90)], 'soil', 0.05, 1.1),
        ([(24, -h), (82, -h), (82, -74), (24, -74)], 'crop', 0.3, 0.9),
        ([(-h, -84), (-84, -84), (-84, -8), (-h, -8)], 'crop', 1.4, 0.9),
        ([(-h, -4), (-88, 0), (-88, 26), (-h, 26)], 'soil', 1.3, 1.1),
        ([(-76, -84), (-30, -84), (-30, -71), (-76, -71)], 'soil', 0.0, 1.1),
    ]
    for corners, name, direction, spacing in fields:
        mask = np.zeros_like(material)
        grid.fill(mask, np.array(corners), 1)
        material[mask > 0] = NUMBER[name]
        x, y, width, height = cv2.boundingRect(mask)
        columns, lines = (np.arange(n, dtype=np.float32) * grid.texel for n in (width, height))
        across = columns[None] * np.sin(direction) + lines[:, None] * np.cos(direction)
        part = rows[y : y + height, x : x + width]
        inside = mask[y : y + height, x : x + width] > 0
        part[inside] = np.cos(2 * np.pi / spacing * across)[inside]


def _shore(centre, half, turn: float, grow: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 90)
    wobble = grow * (1 + 0.07 * np.sin(3 * angles + 1) + 0.05 * np.sin(5 * angles))
    points = zip(angles, wobble, strict=True)
    return np.array(
        [village.place(centre, turn, half[0] * w * np.cos(a), half[1] * w * np.sin(a)) for a, w in points]
    )


def _ragged(material: np.ndarray, grid: Map, rng: np.random.Generator) -> np.ndarray:
    """Nothing that grows has a sharp edge."""
    size = grid.size
    tile = noise.tile(rng, 256, 1.0)
    amount = 0.35 / grid.texel
    shifts = [noise.spread(tile, (size, size), 0.25 / grid.texel, at) * amount for at in ((0, 0), (97, 31))]
    x = shifts[0] + np.arange(size, dtype=np.float32)
    y = shifts[1] + np.arange(size, dtype=np.float32)[:, None]
    return cv2.remap(material, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def _built(material: np.ndarray, plan: Village, grid: Map) -> None:
    for path in plan.footpaths:
        grid.stroke(material, path, 2.0, NUMBER['gravel'])
    for road in plan.roads:
        grid.stroke(material, road.line, road.width + 2 * village.PAVEMENT, NUMBER['pavement'])
    for house in plan.houses:
        length, depth, _ = house.size
        drive = village.place(house.at, house.heading, length / 2 + 1.6, -depth / 2 - 1.5)
        grid.fill(material, village.rectangle(drive, (1.5, 6.5), house.heading), NUMBER['pavement'])
        patio = village.place(house.at, house.heading, 0, depth / 2 + 1.8)
        grid.fill(material, village.rectangle(patio, (3.2, 1.8), house.heading), NUMBER['patio'])
    for at, heading in plan.beds:
        grid.fill(material, village.rectangle(at, (1.8, 0.5), heading), NUMBER['bed'])
    for at, heading in plan.pools:
        grid.fill(material, village.rectangle(at, (3.0, 1.9), heading), NUMBER['patio'])
        grid.fill(material, village.rectangle(at, (2.4, 1.3), heading), NUMBER['pool'])
    for spot, name, grow in (
        (village.LOT, 'parking', 0.0), (village.MARKET, 'pavement', 2.0), (village.FLATS, 'pavement', 2.2),
        (village.BARN, 'gravel', 4.0), (village.COURT, 'court_out', 0.0),
    ):  # fmt: skip
        centre, half, heading = spot
        grid.fill(
            material, village.rectangle(centre, (half[0] + grow, half[1] + grow), heading), NUMBER[name]
        )
    centre, _, heading = village.COURT
    grid.fill(material, village.rectangle(centre, (11.9, 5.5), heading), NUMBER['court'])
    # the drive of the market, and where it meets the main road
    (cx, cy), (_, hy), _ = village.LOT
    entrance = np.array([[cx - 8, cy + hy - 1], [cx - 8, float(village.main_road(cx - 8))]])
    grid.stroke(material, entrance, 6.5, NUMBER['asphalt'])
    for road in plan.roads:
        grid.stroke(material, road.line, road.width, NUMBER['asphalt'])


def _markings(white: np.ndarray, plan: Village, grid: Map) -> None:
    """Lane lines, zebra crossings, parking bays and the lines of the court."""
    crossing = _meeting()
    for road in plan.roads[:2]:
        free = np.linalg.norm(road.line - crossing, axis=1) > 11
        for k in range(0, len(road.line) - 4, 7):
            if free[k : k + 4].all():
                grid.stroke(white, road.line[k : k + 4], 0.14, 235, smooth=True)
        for edge in (road.width / 2 - 0.25, -road.width / 2 + 0.25):
            line = road.offset(edge)
            for run in np.split(np.arange(len(line)), np.flatnonzero(~free)):
                if len(run) > 3:
                    grid.stroke(white, line[run[1:]], 0.12, 200, smooth=True)
        for sign in (-1, 1):
            k = int(
                np.abs(np.linalg.norm(road.line - crossing, axis=1) - 8.5).argsort()[0 if sign < 0 else 1]
            )
            along = road.line[k + 1] - road.line[k]
            heading = float(np.arctan2(along[1], along[0]))
            for across in np.arange(-road.width / 2 + 0.6, road.width / 2 - 0.2, 1.0):
                bar = village.place(tuple(road.line[k]), heading, 0, across)
                grid.fill(white, village.rectangle(bar, (1.5, 0.25), heading), 240, smooth=True)
    for (x, y), _ in village.parking_bays():
        for dx in (-1.3, 1.3):
            grid.fill(white, village.rectangle((x + dx, y), (0.06, 2.5), 0), 215, smooth=True)
    centre, _, heading = village.COURT
    lines = [((0, y), (11.9, 0.05)) for y in (-5.5, 5.5, -4.1, 4.1)]
    lines += [((x, 0), (0.05, 5.5)) for x in (-11.9, 11.9)]
    lines += [((x, 0), (0.05, 4.1)) for x in (-6.4, 6.4)] + [((0, 0), (6.4, 0.05))]
    for (along, across), half in lines:
        spot = village.place(centre, heading, along, across)
        grid.fill(white, village.rectangle(spot, half, heading), 245, smooth=True)


def _meeting() -> np.ndarray:
    """Where the two large roads cross."""
    x = 0.0
    for _ in range(50):
        y = float(village.main_road(x))
        x = float(village.cross_road(y))
    return np.array([x, y])


def _wear(wear: np.ndarray, plan: Village, grid: Map, rng: np.random.Generator) -> None:
    """Wheel tracks, mended patches, cracks and drain covers."""
    for road in plan.roads:
        for lane in (-1, 1):
            for track in (-0.75, 0.75):
                grid.stroke(wear, road.offset(lane * road.width / 4 + track), 0.5, 60)
        for _ in range(len(road.line) // 9):
            k = int(rng.integers(2, len(road.line) - 2))
            along = road.line[k + 1] - road.line[k]
            heading = float(np.arctan2(along[1], along[0]))
            at = village.place(tuple(road.line[k]), heading, 0, rng.uniform(-0.35, 0.35) * road.width)
            half = (float(rng.uniform(0.8, 3.0)), float(rng.uniform(0.4, 1.2)))
            grid.fill(wear, village.rectangle(at, half, heading), int(rng.integers(60, 130)))
        for _ in range(len(road.line) // 3):
            k = int(rng.integers(2, len(road.line) - 2))
            steps = rng.normal(0, 0.35, (int(rng.integers(5, 14)), 2)).cumsum(0)
            start = road.line[k] + rng.uniform(-0.4, 0.4, 2) * road.width
            grid.stroke(wear, start + steps, 0.07, 150, smooth=True)
        for k in range(9, len(road.line) - 2, 27):
            circle = [
                village.place(tuple(road.line[k]), 0, 0.35 * np.cos(a) + 0.6, 0.35 * np.sin(a))
                for a in np.linspace(0, 2 * np.pi, 16)
            ]
            grid.fill(wear, np.array(circle), 170, smooth=True)
    for (x, y), _ in village.parking_bays():
        if rng.random() < 0.7:
            stain = [
                (x + rng.normal(0, 0.3) + 0.35 * np.cos(a), y + 0.35 * np.sin(a) * rng.uniform(0.6, 1.4))
                for a in np.linspace(0, 2 * np.pi, 9)
            ]
            grid.fill(wear, np.array(stain), int(rng.integers(60, 150)), smooth=True)
    cv2.GaussianBlur(wear, (0, 0), max(0.08 / grid.texel, 0.3), wear)

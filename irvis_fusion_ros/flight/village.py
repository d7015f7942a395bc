"""
The plan of the village: where roads, houses, trees and everything else are. Metres, x east, y north.

The middle, which every flight looks at, is laid out by hand; the rest is drawn at random around it.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

# The mapped square reaches this far from the middle; beyond it the ground repeats as in a mirror.
HALF_SIDE = 112.0
MAIN_WIDTH, CROSS_WIDTH, LANE_WIDTH = 7.0, 6.2, 5.0
PAVEMENT = 2.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Road:
    """A road along a centre line (N x 2)."""

    line: np.ndarray
    width: float
    marked: bool

    def offset(self, distance: float) -> np.ndarray:
        """Return the line `distance` metres to the left of the centre line."""
        along = np.gradient(self.line, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        return self.line + distance * np.stack([-along[:, 1], along[:, 0]], 1)


@dataclass(frozen=True)
class House:
    """A house and its lot: centre, heading of its length, (length, depth, height of walls), in metres."""

    at: Point
    heading: float
    size: tuple[float, float, float]
    pitch: float
    roof: str
    wall: str
    solar: bool
    street: np.ndarray


@dataclass(frozen=True)
class Tree:
    """A tree: place, height and radius of the crown in metres, and whether it has needles."""

    at: Point
    height: float
    radius: float
    conifer: bool


@dataclass(frozen=True)
class Parked:
    """A parked vehicle; `cooling` is how warm its engine still is, 0 to 1."""

    at: Point
    heading: float
    cooling: float


@dataclass
class Village:
    """Everything that has a place."""

    roads: list[Road] = field(default_factory=list)
    houses: list[House] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    hedges: list[tuple[Point, Point]] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    lamps: list[tuple[Point, float]] = field(default_factory=list)
    footpaths: list[np.ndarray] = field(default_factory=list)
    pools: list[tuple[Point, float]] = field(default_factory=list)
    beds: list[tuple[Point, float]] = field(default_factory=list)


# Hand-made places: (centre, half size, heading in radians)
MARKET = ((44.0, -44.0), (17.0, 10.0), 0.0)
LOT = ((38.0, -19.5), (26.0, 10.5), 0.0)
FLATS = ((18.0, 31.0), (13.0, 6.0), 1.45)
COURT = ((-44.0, -40.0), (18.0, 9.0), 0.22)
PARK = ((-44.0, 44.0), (30.0, 17.0), 0.0)
POND = ((-46.0, 44.0), (14.0, 9.5), 0.4)
BARN = ((72.0, 34.0), (12.0, 7.0), 0.1)


def main_road(x: np.ndarray | float) -> np.ndarray | float:
    """Return y of the main road at x."""
    return 8 * np.sin(np.asarray(x) / 38) - 4


def cross_road(y: np.ndarray | float) -> np.ndarray | float:
    """Return x of the road that crosses it, at y."""
    return -6 + 9 * np.sin(np.asarray(y) / 50 + 0.6)


def plan(seed: int) -> Village:
    """Plan the village of a seed."""
    rng = np.random.default_rng([seed, 3])
    village = Village()
    span = np.linspace(-HALF_SIDE - 30, HALF_SIDE + 30, 300)
    side = np.linspace(float(cross_road(56)) + 2, 104, 80)
    lane = np.linspace(float(cross_road(-64)) - 2, -104, 80)
    village.roads = [
        Road(np.stack([span, main_road(span)], 1), MAIN_WIDTH, True),
        Road(np.stack([cross_road(span), span], 1), CROSS_WIDTH, True),
        Road(np.stack([side, 56 + 3 * np.sin(side / 22)], 1), LANE_WIDTH, False),
        Road(np.stack([lane, -64 + 4 * np.sin(lane / 26)], 1), LANE_WIDTH, False),
    ]
    _footpaths(village)
    _houses(village, rng)
    _trees(village, rng)
    _parked(village, rng)
    _lamps(village)
    return village


def place(centre: Point, heading: float, along: float, across: float) -> Point:
    """Return the point at (along, across) in the axes of something that stands at `centre`."""
    c, s = np.cos(heading), np.sin(heading)
    return (centre[0] + c * along - s * across, centre[1] + s * along + c * across)


def rectangle(centre: Point, half: Point, heading: float) -> np.ndarray:
    """Return the corners (4 x 2) of a rectangle."""
    signs = ((-1, 1), (1, 1), (1, -1), (-1, -1))
    return np.array([place(centre, heading, i * half[0], j * half[1]) for i, j in signs])


def reach(spot, point: Point, margin: float = 0.0) -> bool:
    """Say whether a point lies in a hand-made place or within `margin` of it."""
    centre, half, heading = spot
    along, across = place((0, 0), -heading, point[0] - centre[0], point[1] - centre[1])
    return abs(along) < half[0] + margin and abs(across) < half[1] + margin


def distance_to_roads(village: Village, point: Point) -> float:
    """Return the distance from a point to the nearest edge of a road."""
    return min(float(np.linalg.norm(r.line - point, axis=1).min()) - r.width / 2 for r in village.roads)


def _footpaths(village: Village) -> None:
    angles = np.linspace(0, 2 * np.pi, 60)
    (px, py), (hx, hy), turn = POND
    round_pond = np.array([place((px, py), turn, (hx + 4) * np.cos(a), (hy + 4) * np.sin(a)) for a in angles])
    to_road = np.array([round_pond[54], [-20.0, 33.0], [-10.0, 30.0], [float(cross_road(29)) - 4, 29.0]])
    to_south = np.array([round_pond[41], [-52.0, 20.0], [-50.0, 8.0], [-46.0, float(main_road(-46)) + 5]])
    village.footpaths += [round_pond, _smooth(to_road), _smooth(to_south)]


def _smooth(points: np.ndarray) -> np.ndarray:
    t, fine = np.arange(len(points)), np.linspace(0, len(points) - 1, 40)
    degree = min(3, len(points) - 1)
    return np.stack([np.polyval(np.polyfit(t, points[:, i], degree), fine) for i in (0, 1)], 1)


def _houses(village: Village, rng: np.random.Generator) -> None:
    reserved = (MARKET, LOT, FLATS, COURT, PARK, BARN)
    for road in village.roads:
        steps = np.linalg.norm(np.diff(road.line, axis=0), axis=1)
        arc = np.concatenate([[0], np.cumsum(steps)])
        for distance in np.arange(6, arc[-1], 8.5):
            k = int(np.searchsorted(arc, distance + rng.uniform(-1.5, 1.5)).clip(1, len(road.line) - 1))
            along = road.line[k] - road.line[k - 1]
            heading = float(np.arctan2(along[1], along[0]))
            for side in (1, -1):
                size = (rng.uniform(9.5, 12.5), rng.uniform(7.6, 9.0), rng.choice([3.0, 3.2, 5.4]))
                back = road.width / 2 + PAVEMENT + 4.5 + size[1] / 2 + rng.uniform(0, 1.5)
                at = place(tuple(road.line[k]), heading, 0, side * back)
                if np.hypot(*at) > 96 or distance_to_roads(village, at) < back - road.width / 2 - 1.5:
                    continue
                lot = [place(at, heading, a, b) for a in (-8, -4, 0, 4, 8) for b in (-12, -6, 0, 6, 12)]
                if any(reach(spot, point, 1.5) for spot in reserved for point in lot):
                    continue
                if any(np.linalg.norm(path - at, axis=1).min() < 9.5 for path in village.footpaths):
                    continue
                if any(np.hypot(h.at[0] - at[0], h.at[1] - at[1]) < 14.0 for h in village.houses):
                    continue
                house = House(
                    at=at,
                    heading=heading + (np.pi if side < 0 else 0) + float(rng.normal(0, 0.02)),
                    size=tuple(map(float, size)),
                    pitch=float(rng.uniform(0.62, 0.88)),
                    roof=str(rng.choice(['tiles', 'tiles', 'slate'])),
                    wall=str(rng.choice(['plaster', 'plaster', 'brick'])),
                    solar=bool(rng.random() < 0.3),
                    street=road.line[k],
                )
                village.houses.append(house)
                _garden(village, house, rng)


def _garden(village: Village, house: House, rng: np.random.Generator) -> None:
    """Hedges behind and beside, a tree or two, sometimes a pool, flower beds, a car on the drive."""
    length, depth, _ = house.size
    behind = depth / 2 + 8.0
    corners = [
        place(house.at, house.heading, a, b)
        for a, b in ((-8.0, -depth / 2), (-8.0, behind), (8.0, behind), (8.0, -depth / 2))
    ]
    for a, b in itertools.pairwise(corners):
        if rng.random() < 0.75 and min(distance_to_roads(village, p) for p in (a, b)) > 3:
            village.hedges.append((a, b))
    for _ in range(int(rng.integers(1, 4))):
        at = place(
            house.at, house.heading, rng.uniform(-6.5, 6.5), rng.uniform(depth / 2 + 2.5, behind - 1.5)
        )
        if distance_to_roads(village, at) > 4:
            village.trees.append(
                Tree(at, float(rng.uniform(3.5, 6.5)), float(rng.uniform(1.3, 2.3)), bool(rng.random() < 0.2))
            )
    if rng.random() < 0.28:
        village.pools.append(
            (place(house.at, house.heading, rng.uniform(-3, 3), depth / 2 + 4.0), house.heading)
        )
    for _ in range(int(rng.integers(1, 4))):
        side = rng.choice([-1, 1])
        village.beds.append(
            (place(house.at, house.heading, rng.uniform(-4, 4), side * (depth / 2 + 0.9)), house.heading)
        )
    if rng.random() < 0.6:
        spot = place(house.at, house.heading, length / 2 + 1.6, -depth / 2 - 0.5)
        facing = house.heading + np.pi / 2 * float(rng.choice([-1, 1]))
        village.parked.append(Parked(spot, facing, float(rng.choice([0, 0, 1]))))


def _trees(village: Village, rng: np.random.Generator) -> None:
    def free(at: Point, radius: float) -> bool:
        return (
            distance_to_roads(village, at) > 2.6 + 0.4 * radius
            and not any(reach(spot, at, radius) for spot in (MARKET, LOT, FLATS, COURT, POND, BARN))
            and all(np.hypot(h.at[0] - at[0], h.at[1] - at[1]) > 6.5 + radius for h in village.houses)
            and all(np.linalg.norm(p - at, axis=1).min() > 1.0 + 0.4 * radius for p in village.footpaths)
            and all(
                np.hypot(t.at[0] - at[0], t.at[1] - at[1]) > 0.8 * (t.radius + radius) for t in village.trees
            )
        )

    def grow(at: Point, tall: float = 1.0, conifer: float = 0.12) -> None:
        radius = float(rng.uniform(2.2, 3.8)) * tall
        if free(at, radius):
            village.trees.append(
                Tree(at, radius * float(rng.uniform(2.2, 2.9)), radius, rng.random() < conifer)
            )

    for road in village.roads[:2]:
        for line in (
            road.offset(road.width / 2 + PAVEMENT + 2.2),
            road.offset(-road.width / 2 - PAVEMENT - 2.2),
        ):
            for point in line[:: int(rng.integers(11, 14))]:
                if rng.random() < 0.75:
                    grow(tuple(point + rng.normal(0, 0.4, 2)), 0.85, 0)
    for _ in range(70):
        grow(place(PARK[0], 0, *(rng.uniform(-1, 1, 2) * PARK[1])), 1.1)
    for _ in range(60):
        # a wood in the north-west and hedgerows between the fields
        grow((float(rng.uniform(-105, -72)), float(rng.uniform(30, 100))), 1.2, 0.4)
    for x in np.arange(-100, 100, 7.5):
        grow((x + float(rng.normal(0, 1)), 84 + float(rng.normal(0, 1.0))), 1.0)
        grow((x + float(rng.normal(0, 1)), -86 + float(rng.normal(0, 1.0))), 1.0)
    for _ in range(60):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(15, 80)
        grow((radius * np.cos(angle), radius * np.sin(angle)))


def _parked(village: Village, rng: np.random.Generator) -> None:
    for at, heading in parking_bays():
        if rng.random() < 0.62:
            heading += np.pi * rng.integers(0, 2) + rng.normal(0, 0.02)
            at = tuple(np.array(at) + rng.normal(0, 0.12, 2))
            village.parked.append(Parked(at, float(heading), float(rng.choice([0, 0, 0.5, 1]))))


def parking_bays() -> list[tuple[Point, float]]:
    """Return the bays of the market's car park: centre and heading."""
    (cx, cy), (hx, hy), _ = LOT
    rows = (cy + hy - 2.6, cy - hy + 2.6)
    return [((float(x), y), np.pi / 2) for y in rows for x in np.arange(cx - hx + 3, cx + hx - 2, 2.6)]


def _lamps(village: Village) -> None:
    for road in village.roads:
        for number, point in enumerate(road.line[6::16]):
            side = 1 if number % 2 else -1
            line = road.offset(side * (road.width / 2 + 0.7))[6::16]
            towards = point - line[number]
            if distance_to_roads(village, tuple(line[number])) > 0.4:
                village.lamps.append((tuple(line[number]), float(np.arctan2(towards[1], towards[0]))))
    (cx, cy), (hx, _), _ = LOT
    village.lamps += [((cx + k * hx / 1.6, cy), 0.0) for k in (-1, 0, 1)]
    village.lamps += [(tuple(village.footpaths[0][k]), 0.0) for k in (5, 17, 28, 38, 50)]

"""What moves: vehicles on their lanes and people on the pavements, at any time."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from irvis_fusion_ros.flight import village
from irvis_fusion_ros.flight.people import HIP, Person
from irvis_fusion_ros.flight.solids import Part, Solids
from irvis_fusion_ros.flight.village import Village

STRIDE, SWING = 1.4, 0.42
# Nobody looks further ahead than this when vehicles are kept apart.
HORIZON = 240.0


@dataclass(frozen=True)
class Route:
    """A way along a line (N x 2) at a speed (m/s), from `start` metres on; at the end back again, or anew."""

    line: np.ndarray
    speed: float
    start: float
    returning: bool

    @cached_property
    def _arc(self) -> np.ndarray:
        steps = np.linalg.norm(np.diff(self.line, axis=0), axis=1)
        return np.concatenate([[0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """Length of the line in metres."""
        return float(self._arc[-1])

    def at(self, seconds: float | np.ndarray) -> np.ndarray:
        """Return x, y, heading and the metres gone, at one time or at many (... x 4)."""
        gone = self.start + self.speed * np.asarray(seconds, float)
        place = gone % (2 * self.length if self.returning else self.length)
        back = place > self.length
        place = np.where(back, 2 * self.length - place, place)
        x, y = self._points(place)
        (x0, y0), (x1, y1) = self._points(place - 0.6), self._points(place + 0.6)
        return np.stack([x, y, np.arctan2(y1 - y0, x1 - x0) + np.pi * back, gone], -1)

    def _points(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.interp(place, self._arc, self.line[:, i]) for i in (0, 1))


class Traffic:
    """All that moves, as solids; vehicles first, then bodies and legs of people."""

    def __init__(self, vehicles: list[tuple[Part, Route]], people: list[tuple[Person, Route]]):
        parts = [part for part, _ in vehicles]
        for person, _ in people:
            parts += [person.body, *person.legs]
        self._solids = Solids.join(parts)
        self._drives = [route for _, route in vehicles]
        self._walks = [route for _, route in people]

    @property
    def vehicles(self) -> int:
        """How many of the parts, from the first on, are vehicles."""
        return len(self._drives)

    @property
    def part(self) -> np.ndarray:
        """Which part each face belongs to."""
        return self._solids.part

    @lru_cache(maxsize=4)  # noqa: B019  (one traffic lives as long as its process)
    def places(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the affine map of every part, `p -> linear p + shift` (n x 3 x 3, n x 3)."""
        linear, shift = [], []
        for route in self._drives:
            x, y, heading, _ = route.at(seconds)
            linear.append(_turn(heading))
            shift.append((x, y, 0.0))
        for route in self._walks:
            x, y, heading, gone = route.at(seconds)
            bob = 0.02 * abs(np.sin(2 * np.pi * gone / STRIDE)) if route.speed else 0.0
            linear.append(_turn(heading))
            shift.append((x, y, bob))
            for sign in (1, -1):
                lean = sign * SWING * np.sin(2 * np.pi * gone / STRIDE) if route.speed else 0.0
                linear.append(_turn(heading) @ np.array([[1, 0, -lean], [0, 1, 0], [0, 0, 1]]))
                hip = _turn(heading) @ np.array([lean * HIP, 0, 0])
                shift.append(np.array([x, y, 0.0]) + hip)
        return np.array(linear), np.array(shift, float)

    @lru_cache(maxsize=4)  # noqa: B019
    def at(self, seconds: float) -> Solids:
        """Return everything that moves, where it is."""
        return self._solids.moved(*self.places(seconds))


def drives(plan: Village, count: int, rng: np.random.Generator) -> list[Route]:
    """Draw routes of vehicles that do not run into one another."""
    routes: list[Route] = []
    times = np.arange(0, HORIZON, 0.5)
    tracks: list[np.ndarray] = []
    speeds = [9.0, 7.5, 4.5, 4.5]
    for _ in range(12 * count):
        which = int(rng.choice(len(plan.roads), p=[0.5, 0.34, 0.08, 0.08]))
        road, speed = plan.roads[which], speeds[which]
        line = road.offset(-road.width / 4)
        if rng.random() < 0.5:
            line = road.offset(road.width / 4)[::-1]
        route = Route(line, speed, 0.0, False)
        route = replace(route, start=float(rng.uniform(0, route.length)))
        track = route.at(times)[:, :2]
        if all(np.linalg.norm(track - other, axis=1).min() > 6.5 for other in tracks):
            routes.append(route)
            tracks.append(track)
        if len(routes) == count:
            break
    return routes


def walks(plan: Village, count: int, rng: np.random.Generator) -> list[Route]:
    """Draw routes of people: on the pavements, in the park, between parked cars, on the court."""
    (cx, cy), (hx, _), _ = village.LOT
    ways = [road.offset(side * (road.width / 2 + 1.1)) for road in plan.roads[:2] for side in (1, -1)]
    near = [way[np.hypot(*way.T) < 62] for way in ways]
    lot = [np.array([[cx - hx + 4, cy + k], [cx + hx - 4, cy + k]]) for k in (-2.0, 0.5, 2.5)]
    routes = []
    for number in range(count):
        pool = (near, near, plan.footpaths, lot)[number % 4]
        way = pool[int(rng.integers(len(pool)))]
        routes.append(Route(way, float(rng.uniform(1.1, 1.6)), float(rng.uniform(0, 120)), True))
    centre, _, heading = village.COURT
    for side in (-1, 1):
        ends = [village.place(centre, heading, side * 11.0, k) for k in (-2.6, 2.6)]
        routes.append(Route(np.array(ends), 1.9, float(rng.uniform(0, 5)), True))
    return routes


def _turn(heading: float) -> np.ndarray:
    c, s = np.cos(heading), np.sin(heading)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

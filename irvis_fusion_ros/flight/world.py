"""The world of one flight: built once, then read by every process that renders."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.flight import ground, light, plants, street, terrain, traffic, village
from irvis_fusion_ros.flight.atlas import Atlas, Textures
from irvis_fusion_ros.flight.buildings import Builder
from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.flight.light import LAMP_COLOUR, LAMP_HEIGHT, Light
from irvis_fusion_ros.flight.people import Tailor
from irvis_fusion_ros.flight.solids import Part, Solids
from irvis_fusion_ros.flight.terrain import Map
from irvis_fusion_ros.flight.traffic import Traffic
from irvis_fusion_ros.flight.vehicles import Workshop

VEHICLES, PEOPLE = 14, 20
# Texture is as fine as the sharpest view of it, within what memory allows (metres).
FINEST, COARSEST = 0.045, 0.25
LEVELS = 5


@dataclass(frozen=True)
class World:
    """
    grid: of the ground. colour and warmth: the ground at halving resolutions (ground.Ground).

    textures: of solids. fixed: what stands, and the light on it and its temperature. traffic: what moves.
    lamps: N x 2, where the street lamps are.
    """

    grid: Map
    light: Light
    colour: list[np.ndarray]
    warmth: list[np.ndarray]
    textures: Textures
    fixed: Solids
    fixed_light: np.ndarray
    fixed_warmth: np.ndarray
    traffic: Traffic
    lamps: np.ndarray

    def lamp_light(self, points: np.ndarray) -> np.ndarray:
        """Return what the street lamps add at points (N x 2), N x 3 BGR."""
        return lamp_light(self.lamps, self.light, points)

    def save(self, folder: Path) -> None:
        """Store the world so that several processes can share it."""
        for name in ('colour', 'warmth'):
            for level, image in enumerate(getattr(self, name)):
                np.save(folder / f'{name}{level}.npy', image)
        rest = {k: v for k, v in self.__dict__.items() if k not in ('colour', 'warmth')}
        (folder / 'rest.pickle').write_bytes(pickle.dumps(rest))

    @staticmethod
    def load(folder: Path) -> 'World':
        """Open what `save` stored; the large images are shared through the page cache."""
        layers = {
            name: [
                np.asarray(np.load(folder / f'{name}{level}.npy', mmap_mode='r')) for level in range(LEVELS)
            ]
            for name in ('colour', 'warmth')
        }
        return World(**layers, **pickle.loads((folder / 'rest.pickle').read_bytes()))


def lamp_light(lamps: np.ndarray, of_day: Light, points: np.ndarray) -> np.ndarray:
    """Return what lamps (N x 2) add at points (M x 2), M x 3 BGR."""
    if not of_day.lamps:
        return np.zeros((len(points), 3))
    square = ((points[:, None] - lamps[None]) ** 2).sum(-1)
    share = ((LAMP_HEIGHT**2 / (square + LAMP_HEIGHT**2)) ** 2.2).sum(1)
    return (of_day.lamps * share)[:, None] * LAMP_COLOUR


def build(config: FlightConfig) -> World:
    """Build the world of a flight; the same for the same seed, time of day and image width."""
    texel = float(np.clip(40 / config.width, FINEST, COARSEST))
    grid = Map(texel)
    of_day = light.of(config.time)
    plan = village.plan(config.seed)
    rngs = [np.random.default_rng([config.seed, 10 + k]) for k in range(8)]
    atlas = Atlas(texel)
    parts = _standing(plan, atlas, of_day, config.time, rngs)
    moving = _moving(plan, atlas, of_day, config.time, rngs[5])
    painted = terrain.paint(plan, grid, rngs[6])
    blocks = [block for part in parts for block in part.blocks or [part.points()]]
    baked = ground.bake(painted, plan, blocks, grid, of_day, config.time, rngs[7])
    fixed = Solids.join(parts)
    lamps = np.array([at for at, _ in plan.lamps])
    middles = fixed.corners.mean(1)[:, :2]
    return World(
        grid=grid,
        light=of_day,
        colour=_halved(baked.colour),
        warmth=_halved(baked.warmth),
        textures=atlas.pack(),
        fixed=fixed,
        fixed_light=fixed.lit(of_day) + 0.7 * lamp_light(lamps, of_day, middles),
        fixed_warmth=fixed.temperatures(of_day),
        traffic=moving,
        lamps=lamps,
    )


def _standing(plan: village.Village, atlas: Atlas, of_day: Light, time: str, rngs) -> list[Part]:
    builder = Builder(atlas, of_day, time, rngs[0])
    grower = plants.Grower(atlas, of_day, time, rngs[1])
    workshop = Workshop(atlas, time, bool(of_day.lamps), rngs[2])
    parts: list[Part] = []
    for house in plan.houses:
        parts += builder.house(house)
    parts += [*builder.market(), *builder.flats(), *builder.barn()]
    parts += [grower.tree(tree) for tree in plan.trees]
    for start, stop in plan.hedges:
        parts += grower.hedge(start, stop)
    for parked in plan.parked:
        parts.append(workshop.vehicle(parked.cooling, driving=False).place(parked.at, parked.heading))
    return parts + street.lamps(plan, atlas, time, bool(of_day.lamps), rngs[3])


def _moving(plan: village.Village, atlas: Atlas, of_day: Light, time: str, rng) -> Traffic:
    workshop = Workshop(atlas, time, bool(of_day.lamps), rng)
    tailor = Tailor(atlas, time, rng)
    drives = traffic.drives(plan, VEHICLES, rng)
    walks = traffic.walks(plan, PEOPLE, rng)
    return Traffic(
        [(workshop.vehicle(1.0, driving=True), route) for route in drives],
        [(tailor.person(), route) for route in walks],
    )


def _halved(image: np.ndarray) -> list[np.ndarray]:
    levels = [image]
    for _ in range(LEVELS - 1):
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return levels

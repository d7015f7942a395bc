"""
The ground as the two cameras see it: its colours with sunlight and shadows in them, and its temperatures.

Baked once for a flight, because neither sun nor village moves.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.flight import noise
from irvis_fusion_ros.flight.light import LAMP_COLOUR, LAMP_HEIGHT, Light
from irvis_fusion_ros.flight.materials import GROUND, MATERIALS
from irvis_fusion_ros.flight.terrain import Map, Terrain
from irvis_fusion_ros.flight.village import Village

# Light and temperature are mapped this much coarser than colour.
COARSE = 2


@dataclass(frozen=True)
class Ground:
    """
    colour: size x size x 4 uint8, BGR and how much of the light is direct sun.

    warmth: (size / 2) x (size / 2) float32, degrees Celsius.
    """

    colour: np.ndarray
    warmth: np.ndarray


def bake(
    terrain: Terrain, plan: Village, blocks: Iterable[np.ndarray], grid: Map, light: Light, time: str,
    rng: np.random.Generator,
) -> Ground:  # fmt: skip
    """Bake the ground of a village; `blocks` are the convex pieces (n x 3) that stand on it."""
    blocks = list(blocks)
    coarse = Map(grid.texel * COARSE)
    colour = _colours(terrain, grid, rng)
    sun = _sunlit(blocks, light.sun, coarse)
    openness = _openness(blocks, coarse)
    lamps = _lamps(plan, coarse.size) * light.lamps
    received = (
        openness[..., None] * light.sky
        + sun[..., None] * (light.sun_colour * light.sun[2])
        + lamps[..., None] * LAMP_COLOUR
    )
    received = np.sqrt(received, dtype=np.float32)
    # under a lamp the shadow of the moon is faint
    daylight = (light.sky + light.sun_colour * light.sun[2]).mean()
    direct = sun * (daylight / (daylight + lamps * LAMP_COLOUR.mean()))
    baked = np.empty((grid.size, grid.size, 4), np.uint8)
    # by strips: the whole map in floats would take much memory
    step = 256
    for top in range(0, grid.size, step):
        rows = slice(top, min(top + step, grid.size))
        strip = _enlarged(received, rows, grid.size)
        np.clip(colour[rows] * strip, 0, 255, out=strip)
        baked[rows, :, :3] = strip
        baked[rows, :, 3] = _enlarged(direct, rows, grid.size) * 255
    past = np.mean([_sunlit(blocks, direction, coarse) for direction in light.past], 0)
    heat = cv2.GaussianBlur(0.5 * sun + 0.5 * past.astype(np.float32), (0, 0), max(0.15 / coarse.texel, 0.3))
    return Ground(baked, _warmth(terrain, heat, openness, coarse, time, rng))


@dataclass(frozen=True)
class Look:
    """How lively a material is: grain, clumps and clouds in per cent of its colour; tint: BGR at a cloud."""

    grain: float
    clumps: float
    clouds: float
    tint: tuple[float, float, float] = (0, 0, 0)


LOOKS = {
    'meadow': Look(9, 10, 6, (-2, 4, 9)),
    'lawn': Look(6, 6, 4, (-2, 4, 8)),
    'crop': Look(9, 9, 5, (0, 6, 6)),
    'wheat': Look(6, 5, 4, (-6, -2, 4)),
    'soil': Look(9, 9, 6, (-4, -4, -4)),
    'gravel': Look(10, 4, 4),
    'asphalt': Look(5, 2.5, 3),
    'parking': Look(5, 3, 4),
    'pavement': Look(4, 3, 3),
    'patio': Look(5, 4, 2),
    'water': Look(2, 5, 8, (8, 10, 2)),
    'pool': Look(1, 5, 2, (6, 4, 0)),
    'court': Look(2, 1, 2),
    'court_out': Look(2, 1, 2),
    'bed': Look(14, 26, 5, (10, 14, 30)),
}


def _colours(terrain: Terrain, grid: Map, rng: np.random.Generator) -> np.ndarray:
    """Colours in full light, size x size x 3 uint8."""
    size = grid.size
    side = 1 << int(np.ceil(np.log2(40 / grid.texel)))
    metre = 1 / grid.texel
    grain = noise.tile(rng, side, 0.25)
    clumps = noise.tile(rng, side, 0.9, smallest=0.35 * metre)
    clouds = noise.tile(rng, side, 1.3, smallest=2 * metre)
    wide = noise.spread(noise.tile(rng, 256, 1.4), (size, size), 0.9 * metre)
    colour = np.empty((size, size, 3), np.uint8)
    for number, name in enumerate(GROUND):
        look = LOOKS[name]
        texture = 1 + 0.01 * (look.grain * grain + look.clumps * clumps + look.clouds * clouds)
        texture = texture[..., None] * MATERIALS[name].bgr + clouds[..., None] * np.array(look.tint)
        texture = np.clip(_pattern(name, texture, grid.texel, rng), 0, 255).astype(np.uint8)
        repeats = -(-size // side)
        tiled = np.tile(texture, (repeats, repeats, 1))[:size, :size]
        cv2.copyTo(
            np.ascontiguousarray(tiled), cv2.compare(terrain.material, float(number), cv2.CMP_EQ), colour
        )
    # how far wide clouds, crop rows and wear change each material
    natural, crops = ('meadow', 'crop', 'wheat', 'soil', 'lawn'), ('crop', 'soil')
    factor = (
        1 + _table({**dict.fromkeys(GROUND, 0.02), **dict.fromkeys(natural, 0.07)})[terrain.material] * wide
    )
    factor *= (
        1
        + _table({**dict.fromkeys(GROUND, 0.05), **dict.fromkeys(crops, 0.17)})[terrain.material]
        * terrain.rows
    )
    factor *= 1 - _table(dict.fromkeys(('asphalt', 'parking'), 0.45 / 255))[terrain.material] * terrain.wear
    colour = cv2.multiply(colour, cv2.merge([factor] * 3), dtype=cv2.CV_8U)
    marked = np.flatnonzero(terrain.paint)
    share = terrain.paint.ravel()[marked] / 255 * (0.86 + 0.05 * wide.ravel()[marked].clip(-2, 2))
    flat, share = colour.reshape(-1, 3), share[:, None]
    flat[marked] = flat[marked] * (1 - share) + MATERIALS['paint'].bgr * share
    return colour


def _table(values: dict[str, float]) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in GROUND], np.float32)


def _pattern(name: str, texture: np.ndarray, texel: float, rng: np.random.Generator) -> np.ndarray:
    """Add slabs, mown stripes, flowers."""
    side = texture.shape[0]
    metres = np.arange(side) * texel
    if name in ('pavement', 'patio'):
        joint = (metres % 1.0 < max(0.07, texel)).astype(float)
        texture *= 1 - 0.16 * np.maximum(joint[:, None], joint)[..., None]
        slabs = rng.normal(0, 0.03, (int(metres[-1]) + 1,) * 2)
        texture *= 1 + slabs[np.ix_(metres.astype(int), metres.astype(int))][..., None]
    elif name == 'lawn':
        texture *= 1 + 0.035 * np.sign(np.sin(2 * np.pi * metres / 2))[:, None, None]
    elif name == 'meadow':
        count = int(side * side * texel * texel * 0.5)
        for flower in ((90, 220, 240), (235, 240, 240)):
            y, x = rng.integers(0, side, (2, count))
            texture[y, x] = 0.45 * texture[y, x] + 0.55 * np.array(flower)
    return texture


def _sunlit(blocks: list[np.ndarray], sun: np.ndarray, grid: Map) -> np.ndarray:
    """Which part of the ground the sun reaches past the blocks, size x size float32."""
    shade = np.zeros((grid.size, grid.size), np.uint8)
    for block in blocks:
        cast = block[:, :2] - block[:, 2:] * (sun[:2] / sun[2])
        hull = cv2.convexHull(cast.astype(np.float32))
        grid.fill(shade, hull[:, 0].astype(float), 255, smooth=True)
    softened = cv2.GaussianBlur(shade, (0, 0), max(0.10 / grid.texel, 0.3))
    return 1 - softened.astype(np.float32) / 255


def _openness(blocks: list[np.ndarray], grid: Map) -> np.ndarray:
    """How much of the sky the ground sees: corners at the foot of things are darker."""
    covered = np.zeros((grid.size, grid.size), np.uint8)
    for block in blocks:
        hull = cv2.convexHull(block[:, :2].astype(np.float32))[:, 0].astype(float)
        grid.fill(covered, hull, 255 if block[:, 2].min() < 0.5 else 130)
    near = cv2.GaussianBlur(covered, (0, 0), max(0.35 / grid.texel, 0.3)).astype(np.float32)
    far = cv2.GaussianBlur(covered, (0, 0), max(1.6 / grid.texel, 0.3)).astype(np.float32)
    return 1 - (0.30 * near + 0.45 * far) / 255


def _lamps(plan: Village, size: int) -> np.ndarray:
    """Light of the street lamps on the ground, 1 right under one, size x size float32."""
    # smooth, so that half a metre is fine enough
    grid = Map(0.5)
    total = np.zeros((grid.size, grid.size), np.float32)
    x = np.arange(grid.size)
    for at, _ in plan.lamps:
        u, v = grid.pixels(np.array(at))
        square = ((x[None] - u) ** 2 + (x[:, None] - v) ** 2) * grid.texel**2
        total += (LAMP_HEIGHT**2 / (square + LAMP_HEIGHT**2)) ** 2.2
    return cv2.resize(total, (size, size), interpolation=cv2.INTER_LINEAR)


def _warmth(
    terrain: Terrain, heat: np.ndarray, openness: np.ndarray, grid: Map, time: str, rng: np.random.Generator
) -> np.ndarray:
    """Temperature, degrees Celsius; `heat` is how much sun a place has had."""
    shade, gain = (_table({name: MATERIALS[name].warmth(time)[i] for name in GROUND}) for i in (0, 1))
    variation = _table({name: MATERIALS[name].variation for name in GROUND})
    shape = heat.shape
    side = 1 << int(np.ceil(np.log2(40 / grid.texel)))
    patches = noise.spread(noise.tile(rng, side, 1.0, smallest=0.3 / grid.texel), shape, 1)
    clouds = noise.spread(noise.tile(rng, side, 1.4), shape, 3.1)
    grain = noise.spread(noise.tile(rng, side, 0.3), shape, 1)
    # averaged from the fine map, so that edges do not step
    take = lambda table: cv2.resize(table[terrain.material], shape[::-1], interpolation=cv2.INTER_AREA)  # noqa: E731
    liveliness = take(variation)
    warmth = take(shade) + take(gain) * heat + liveliness * (0.55 * patches + 0.6 * clouds + 0.35 * grain)
    rows = cv2.resize(terrain.rows, shape[::-1], interpolation=cv2.INTER_AREA)
    warmth -= rows * liveliness * (1.6 if time == 'day' else 0.9)
    hard = take(_table({'asphalt': 1.0, 'parking': 1.0}))
    paint, wear = (
        cv2.resize(layer, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        for layer in (terrain.paint, terrain.wear)
    )
    warmth += hard * wear * {'day': 3.5, 'dusk': 2.2, 'night': 1.5}[time]
    warmth -= paint * {'day': 5.0, 'dusk': 1.6, 'night': 0.7}[time]
    # under trees and beside walls the ground does not see the cold sky of the night
    warmth += (1 - openness) * {'day': -1.5, 'dusk': 1.0, 'night': 3.5}[time]
    return warmth.astype(np.float32)


def _enlarged(image: np.ndarray, rows: slice, size: int) -> np.ndarray:
    """Rows of a coarse map at full size, linear between its pixels."""
    scale = image.shape[0] / size
    y = ((np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) * scale - 0.5)[:, None]
    x = ((np.arange(size, dtype=np.float32) + 0.5) * scale - 0.5)[None]
    shape = (rows.stop - rows.start, size)
    maps = (np.ascontiguousarray(np.broadcast_to(a, shape)) for a in (x, y))
    return cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

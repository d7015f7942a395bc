"""Trees and hedges: lumpy crowns, bright towards the sun and dark inside."""

import cv2
import numpy as np

from irvis_fusion_ros.flight import noise
from irvis_fusion_ros.flight.atlas import Atlas, Patch
from irvis_fusion_ros.flight.light import Light
from irvis_fusion_ros.flight.materials import MATERIALS
from irvis_fusion_ros.flight.solids import UP, Part, texture_maps
from irvis_fusion_ros.flight.village import Tree

LEAF_SIDE = 8.0
GREENS = ((84, 112, 50), (70, 100, 46), (98, 120, 52), (110, 124, 60), (66, 92, 52))


class Grower:
    """Grows the plants of one flight."""

    def __init__(self, atlas: Atlas, light: Light, time: str, rng: np.random.Generator):
        self._light = light
        self._rng = rng
        self._leaves = [self._foliage(atlas, green, 0.20) for green in GREENS]
        self._needles = self._foliage(atlas, MATERIALS['needles'].colour, 0.12)
        self._bark = self._plain(atlas, MATERIALS['bark'].colour)
        self._warmth = {name: MATERIALS[name].warmth(time) for name in ('leaves', 'needles', 'bark')}

    def tree(self, tree: Tree) -> Part:
        """Grow a tree."""
        return self._conifer(tree) if tree.conifer else self._broadleaf(tree)

    def hedge(self, start: tuple[float, float], stop: tuple[float, float]) -> list[Part]:
        """Grow a hedge as a row of bushes."""
        a, b = np.array(start), np.array(stop)
        count = max(2, int(np.linalg.norm(b - a) / 1.5))
        patch = self._leaves[int(self._rng.integers(len(self._leaves)))]
        parts = []
        for share in (np.arange(count) + 0.5) / count:
            part = Part()
            centre = np.array([*(a + share * (b - a)), 0.62])
            self._lump(
                part, centre, np.array([0.95, 0.95, 0.85]), [], patch, 'leaves', centre - [0, 0, 0.9], 2.0, 0
            )
            parts.append(part)
        return parts

    def _broadleaf(self, tree: Tree) -> Part:
        rng, radius = self._rng, tree.radius
        middle = np.array([*tree.at, tree.height - 0.78 * radius])
        lumps = [(middle + 0.18 * radius * UP, 0.66 * radius)]
        count = 7 if radius > 2.6 else 5
        turn = rng.uniform(0, 2 * np.pi)
        for k in range(count):
            angle = turn + 2 * np.pi * (k + rng.uniform(-0.25, 0.25)) / count
            out, up = 0.58 * radius, rng.uniform(-0.25, 0.35) * radius
            lumps.append((middle + _towards(angle, out, up), rng.uniform(0.36, 0.52) * radius))
        for _ in range(2):
            angle = rng.uniform(0, 2 * np.pi)
            out = 0.25 * radius
            lumps.append((middle + _towards(angle, out, 0.55 * radius), rng.uniform(0.34, 0.45) * radius))
        part = self._trunk(tree, middle[2])
        patch = self._leaves[int(rng.integers(len(self._leaves)))]
        for k, (centre, size) in enumerate(lumps):
            others = lumps[:k] + lumps[k + 1 :]
            self._lump(part, centre, np.full(3, size), others, patch, 'leaves', middle, 1.15 * radius, 1)
        return part

    def _conifer(self, tree: Tree) -> Part:
        part = self._trunk(tree, 1.5)
        levels = 5
        for k in range(levels):
            low = 0.8 + (tree.height - 0.8) * 0.19 * k
            high = tree.height if k == levels - 1 else low + 0.42 * tree.height
            radius = 0.72 * tree.radius * (1 - k / (levels + 0.6))
            self._cone(part, tree.at, low, high, radius, k + 1, k / levels)
        foot = np.linspace(0, 2 * np.pi, 12)
        wide = 0.72 * tree.radius
        ring = np.stack(
            [tree.at[0] + wide * np.cos(foot), tree.at[1] + wide * np.sin(foot), np.full(12, 1.0)], 1
        )
        part.blocks.append(np.vstack([ring, [[*tree.at, tree.height]]]))
        return part

    def _cone(self, part: Part, at, low: float, high: float, radius: float, layer: int, inner: float) -> None:
        angles = np.linspace(0, 2 * np.pi, 12) + self._rng.uniform(0, 1)
        ragged = radius * self._rng.uniform(0.82, 1.15, 12)
        ragged[-1] = ragged[0]
        ring = np.stack(
            [at[0] + ragged * np.cos(angles), at[1] + ragged * np.sin(angles), np.full(12, low)], 1
        )
        tip = np.broadcast_to([*at, high], (11, 3))
        middle = (ring[:-1] + ring[1:]) / 2 - [*at, low]
        normals = middle / np.linalg.norm(middle, axis=1, keepdims=True) + 0.6 * UP
        edge = self._brightness(normals, np.full(11, 0.42 + 0.2 * inner))
        top = self._brightness(UP[None], np.array([0.8 + 0.2 * inner]))
        shade = np.stack([np.repeat(top, 11), edge, edge], 1)
        self._clad(part, np.stack([tip, ring[1:], ring[:-1]], 1), shade, self._needles, 'needles', layer)

    def _trunk(self, tree: Tree, top: float) -> Part:
        part = Part()
        w = 0.05 * tree.radius + 0.05
        (x, y), bark = tree.at, self._warmth['bark']
        patches = {'side': self._bark, 'top': self._bark}
        part.box((x - w, y - w, 0), (x + w, y + w, top), patches, {'side': bark})
        part.blocks.append(part.points())
        return part

    def _lump(
        self, part: Part, centre, size, others, patch: Patch, kind: str, middle, reach: float, layer: int
    ) -> None:  # fmt: skip
        """Add one lump of foliage, without the faces that other lumps hide."""
        directions, faces = SPHERE
        bumps = 1 + 0.13 * self._rng.standard_normal(len(directions)).clip(-1.6, 1.6)
        corners = centre + directions * size * bumps[:, None]
        part.blocks.append(corners)
        out = (corners - middle) / reach
        # leaves in hollows and below see less of the sky
        openness = np.clip(0.34 + 0.5 * np.linalg.norm(out, axis=1) + 0.22 * out[:, 2], 0.2, 1.0)
        shade = self._brightness(0.55 * directions + 0.75 * out, openness)
        triangles = corners[faces]
        spots = triangles.mean(1)
        normals = np.cross(triangles[:, 2] - triangles[:, 0], triangles[:, 1] - triangles[:, 0])
        seen = (spots[:, 2] > 0.05) & (normals[:, 2] > -0.45 * np.linalg.norm(normals, axis=1))
        for other, radius in others:
            seen &= np.linalg.norm(spots - other, axis=1) > 0.84 * radius
        if seen.any():
            self._clad(part, triangles[seen], shade[faces[seen]], patch, kind, layer)

    def _clad(self, part: Part, triangles, shade, patch: Patch, kind: str, layer: int) -> None:
        """Add triangles, each with its own cut-out of the foliage."""
        rng, count = self._rng, len(triangles)
        normals = np.cross(triangles[:, 2] - triangles[:, 0], triangles[:, 1] - triangles[:, 0])
        angles = rng.uniform(0, 2 * np.pi, count)
        right = np.cross(normals, np.stack([np.cos(angles), np.sin(angles), np.full(count, 0.3)], 1))
        right *= LEAF_SIDE / np.linalg.norm(right, axis=1, keepdims=True)
        down = np.cross(right, normals) / np.linalg.norm(normals, axis=1, keepdims=True)
        shares = rng.uniform(0.3, 0.7, (2, count, 1))
        origin = triangles.mean(1) - shares[0] * right - shares[1] * down
        maps = texture_maps(patch, origin, right, down)
        part.foliage(triangles, shade, maps, patch, self._warmth[kind], layer)

    def _brightness(self, normals: np.ndarray, openness: np.ndarray) -> np.ndarray:
        """Return how bright foliage is against level ground, as a square root; light also shines through."""
        light = self._light
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        facing = np.clip((normals @ light.sun + 0.35) / 1.35, 0, None) * (0.35 + 0.65 * openness)
        sky = (0.62 + 0.38 * normals[:, 2]) * openness
        level = light.on(UP[None])[0].mean()
        return np.sqrt((facing * light.sun_colour.mean() + sky * light.sky.mean()) / level)

    def _foliage(self, atlas: Atlas, green, leaf: float) -> Patch:
        """Paint leaves with dark gaps between them."""
        size = atlas.pixels(LEAF_SIDE)
        side = 1 << int(np.ceil(np.log2(size)))
        finest = max(1.0, leaf / atlas.texel)
        fine = noise.tile(self._rng, side, 0.35, smallest=finest)[:size, :size]
        clumps = noise.tile(self._rng, side, 0.8, smallest=3 * finest)[:size, :size]
        bright = np.clip(1 + 0.17 * fine + 0.07 * clumps - 0.20 * np.clip(-fine - 0.9, 0, 1.5), 0.3, 1.5)
        colour = np.zeros((size, size, 4), np.float32)
        colour[..., :3] = bright[..., None] * np.array(green[::-1], float)
        colour[..., 2] += 7 * clumps
        return atlas.add(colour, cv2.GaussianBlur(0.25 * fine + 0.3 * clumps, (0, 0), 0.7))

    def _plain(self, atlas: Atlas, colour) -> Patch:
        texture = np.zeros((8, 8, 4))
        texture[..., :3] = colour[::-1]
        return atlas.add(texture, np.zeros((8, 8)))


def _towards(angle: float, out: float, up: float) -> np.ndarray:
    return np.array([out * np.cos(angle), out * np.sin(angle), up])


def _sphere() -> tuple[np.ndarray, np.ndarray]:
    """Directions and triangles, clockwise from outside, of an icosahedron cut once."""
    g = (1 + 5**0.5) / 2
    corners = np.array([
        (-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g),
        (0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1),
    ])  # fmt: skip
    faces = [
        (0, 5, 11), (0, 1, 5), (0, 7, 1), (0, 10, 7), (0, 11, 10), (1, 9, 5), (5, 4, 11), (11, 2, 10),
        (10, 6, 7), (7, 8, 1), (3, 4, 9), (3, 2, 4), (3, 6, 2), (3, 8, 6), (3, 9, 8), (4, 5, 9),
        (2, 11, 4), (6, 10, 2), (8, 7, 6), (9, 1, 8),
    ]  # fmt: skip
    points = [c / np.linalg.norm(c) for c in corners]
    middles: dict[tuple[int, int], int] = {}

    def middle(i: int, j: int) -> int:
        key = (min(i, j), max(i, j))
        if key not in middles:
            point = points[i] + points[j]
            middles[key] = len(points)
            points.append(point / np.linalg.norm(point))
        return middles[key]

    cut = []
    for a, b, c in faces:
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        cut += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.array(points), np.array(cut)


SPHERE = _sphere()

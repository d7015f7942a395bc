"""
Everything that stands on the ground, as textured polygons.

A part is a rigid group of faces whose mutual order is plain (layer, then distance); parts hide one another
by depth. Everything a face shows is an affine function of the place p on it (texture coordinates,
brightness): that is what makes pictures exact and cheap (visibility.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from irvis_fusion_ros.flight.atlas import Patch
from irvis_fusion_ros.flight.light import Light

UP = np.array([0.0, 0.0, 1.0])
# What a walking leg or a leaning wall gains from the sun cannot exceed this multiple of level ground.
MOST_SUN = 1.3

Warmth = tuple[float, float]
Frame = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Part:
    """
    A part being built, in metres; corners of a face go clockwise as seen from outside.

    Arrays as in Solids, a list of pieces each. blocks: the convex pieces (n x 3 points) that cast its shadow;
    all of it is one if there are none.
    """

    corners: list[np.ndarray] = field(default_factory=list)
    texture: list[np.ndarray] = field(default_factory=list)
    brightness: list[np.ndarray] = field(default_factory=list)
    bounds: list[np.ndarray] = field(default_factory=list)
    warmth: list[np.ndarray] = field(default_factory=list)
    layer: list[np.ndarray] = field(default_factory=list)
    soft: list[np.ndarray] = field(default_factory=list)
    blocks: list[np.ndarray] = field(default_factory=list)

    def points(self) -> np.ndarray:
        """Return all corners, N x 3."""
        return np.concatenate(self.corners).reshape(-1, 3)

    def polygon(
        self, corners: np.ndarray, patch: Patch, warmth: Warmth, frame: Frame | None = None, layer: int = 0
    ) -> None:
        """
        Add a flat face of 3 or 4 corners.

        frame: the place of the top left corner of the patch, and the vectors along its width and its height;
        by default the first corner and the ways to the second and to the last. warmth: temperature in the
        shade, and gain in full sun. A higher layer hides the lower ones of the same part.
        """
        corners = np.asarray(corners, float)
        origin, right, down = frame or (corners[0], corners[1] - corners[0], corners[-1] - corners[0])
        maps = texture_maps(patch, *(np.asarray(v, float)[None] for v in (origin, right, down)))
        self._add(corners[None, [0, 1, 2, -1]], maps, np.array([[0, 0, 0, 1.0]]), patch, warmth, layer, False)

    def foliage(
        self,
        corners: np.ndarray,
        shade: np.ndarray,
        maps: np.ndarray,
        patch: Patch,
        warmth: Warmth,
        layer: int,
    ) -> None:
        """
        Add N soft triangles (N x 3 x 3): they receive the light of level ground whatever way they face.

        shade: N x 3, brightness at each corner, blended between them. maps: see `texture_maps`.
        """
        a, along, across = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        normal = np.cross(along, across)
        gradient = (shade[:, 1:2] - shade[:, :1]) * np.cross(across, normal)
        gradient += (shade[:, 2:] - shade[:, :1]) * np.cross(normal, along)
        gradient /= (normal**2).sum(1, keepdims=True)
        constant = shade[:, :1] - (gradient * a).sum(1, keepdims=True)
        brightness = np.concatenate([gradient, constant], 1)
        self._add(corners[:, [0, 1, 2, 2]], maps, brightness, patch, warmth, layer, True)

    def _add(
        self, corners, texture, brightness, patch: Patch, warmth: Warmth, layer: int, soft: bool
    ) -> None:
        count = len(corners)
        self.corners.append(corners)
        self.texture.append(texture)
        self.brightness.append(brightness)
        self.bounds.append(np.tile(patch.bounds, (count, 1)))
        self.warmth.append(np.tile(warmth, (count, 1)))
        self.layer.append(np.full(count, layer))
        self.soft.append(np.full(count, soft))

    def box(
        self,
        low: tuple[float, float, float],
        high: tuple[float, float, float],
        patches: dict[str, Patch],
        warmth: dict[str, Warmth],
        layer: int = 0,
        shrink: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    ) -> None:
        """
        Add a box without a bottom. `shrink` draws its top in from front, back, left and right, as on a car.

        patches and warmth go by 'front' (+x), 'back', 'left' (+y), 'right', 'top', and 'side' for the rest.
        """
        (x0, y0, z0), (x1, y1, z1) = low, high
        front, back, left, right = shrink
        bottom = {(i, j): np.array([(x0, x1)[i], (y0, y1)[j], z0]) for i in (0, 1) for j in (0, 1)}
        tops = ((x0 + back, x1 - front), (y0 + right, y1 - left))
        top = {(i, j): np.array([tops[0][i], tops[1][j], z1]) for i in (0, 1) for j in (0, 1)}
        # the two corners of each side, from left to right as seen from outside
        sides = {
            'front': ((1, 0), (1, 1)), 'back': ((0, 1), (0, 0)),
            'left': ((1, 1), (0, 1)), 'right': ((0, 0), (1, 0)),
        }  # fmt: skip
        for name, (a, b) in sides.items():
            across = bottom[b] - bottom[a]
            down = (bottom[a] + bottom[b] - top[a] - top[b]) / 2
            down = down - across * (down @ across) / (across @ across)
            origin = (bottom[a] + bottom[b] - across) / 2 - down
            self.polygon(
                np.array([top[a], top[b], bottom[b], bottom[a]]),
                patches.get(name) or patches['side'],
                warmth.get(name) or warmth['side'],
                (origin, across, down),
                layer,
            )
        roof = np.array([top[0, 1], top[1, 1], top[1, 0], top[0, 0]])
        self.polygon(roof, patches['top'], warmth.get('top') or warmth['side'], layer=layer + 1)

    def place(self, at: tuple[float, float], heading: float = 0.0) -> 'Part':
        """Turn the part by `heading` (radians) about the vertical, move it to `at`, and return it."""
        c, s = np.cos(heading), np.sin(heading)
        turn, shift = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array([*at, 0.0])
        self.corners = [corners @ turn.T + shift for corners in self.corners]
        self.blocks = [b @ turn.T + shift for b in self.blocks]
        self.texture = [_carried(m, turn.T, shift) for m in self.texture]
        self.brightness = [_carried(m, turn.T, shift) for m in self.brightness]
        return self


def texture_maps(patch: Patch, origin: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return N x 2 x 4: pixel of the atlas as affine functions of p, for N frames (see Part.polygon)."""
    rows = []
    for axis, start, size in ((right, patch.x, patch.width), (down, patch.y, patch.height)):
        gradient = axis * (size / (axis**2).sum(1, keepdims=True))
        constant = start - 0.5 - (gradient * origin).sum(1, keepdims=True)
        rows.append(np.concatenate([gradient, constant], 1))
    return np.stack(rows, 1)


@dataclass(frozen=True)
class Solids:
    """
    Finished parts as arrays: n parts with F faces in all.

    corners: F x 4 x 3 (a triangle repeats its last corner). normals: F x 3, outwards, and offsets: F, of the
    planes `normal . p = offset`. texture: F x 2 x 4 and brightness: F x 4, affine in p. bounds: F x 4, least
    u and v and largest u and v in the atlas. warmth: F x 2, temperature in the shade and gain in full sun.
    layer: F. soft: F bool, lit like level ground. part: F, ascending. centres: n x 3 and radii: n of a ball
    around each part.
    """

    corners: np.ndarray
    normals: np.ndarray
    offsets: np.ndarray
    texture: np.ndarray
    brightness: np.ndarray
    bounds: np.ndarray
    warmth: np.ndarray
    layer: np.ndarray
    soft: np.ndarray
    part: np.ndarray
    centres: np.ndarray
    radii: np.ndarray

    @staticmethod
    def join(parts: Iterable[Part]) -> 'Solids':
        """Make arrays of parts."""
        parts = list(parts)
        whole = {
            name: np.concatenate([piece for part in parts for piece in getattr(part, name)])
            for name in ('corners', 'texture', 'brightness', 'bounds', 'warmth', 'layer', 'soft')
        }
        sizes = [sum(map(len, part.corners)) for part in parts]
        number = np.repeat(np.arange(len(parts)), sizes)
        return Solids(**whole, **_planes(whole['corners']), part=number, **_balls(whole['corners'], number))

    def moved(self, linear: np.ndarray, shift: np.ndarray) -> 'Solids':
        """Return every part moved by its own `p -> linear p + shift` (n x 3 x 3, n x 3)."""
        by_face, shift = linear[self.part], shift[self.part]
        corners = np.einsum('fij,fcj->fci', by_face, self.corners) + shift[:, None]
        inverse = np.linalg.inv(by_face)
        return replace(
            self,
            corners=corners,
            **_planes(corners),
            texture=_carried(self.texture, inverse[:, None], shift[:, None]),
            brightness=_carried(self.brightness, inverse, shift),
            **_balls(corners, self.part),
        )

    def lit(self, light: Light) -> np.ndarray:
        """Return the light that each face receives, F x 3 BGR."""
        return light.on(self._lit_normals())

    def temperatures(self, light: Light) -> np.ndarray:
        """Return the temperature of each face, F, degrees Celsius, by how it faces the sun."""
        facing = np.clip(self._lit_normals() @ light.sun / light.sun[2], 0, MOST_SUN)
        return self.warmth[:, 0] + self.warmth[:, 1] * facing

    def _lit_normals(self) -> np.ndarray:
        return np.where(self.soft[:, None], UP, self.normals)


def _planes(corners: np.ndarray) -> dict[str, np.ndarray]:
    a, b, c = (corners[:, i] for i in range(3))
    normals = np.cross(c - a, b - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return {'normals': normals, 'offsets': (normals * a).sum(1)}


def _balls(corners: np.ndarray, part: np.ndarray) -> dict[str, np.ndarray]:
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    low = np.minimum.reduceat(corners.min(1), starts)
    high = np.maximum.reduceat(corners.max(1), starts)
    return {'centres': (low + high) / 2, 'radii': np.linalg.norm(high - low, axis=1) / 2}


def _carried(maps: np.ndarray, inverse: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Turn affine functions of p (gradient, constant) into functions of `linear p + shift`."""
    gradient = (maps[..., None, :3] @ inverse)[..., 0, :]
    return np.concatenate([gradient, maps[..., 3:] - (gradient * shift).sum(-1, keepdims=True)], -1)

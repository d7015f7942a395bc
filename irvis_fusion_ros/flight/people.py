"""People on foot."""

from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.flight.atlas import Atlas, Patch
from irvis_fusion_ros.flight.materials import MATERIALS
from irvis_fusion_ros.flight.solids import Part

CLOTHES = (
    (186, 44, 48), (44, 78, 150), (232, 228, 220), (52, 54, 58), (222, 170, 60), (70, 120, 90),
    (150, 90, 140), (92, 104, 118),
)  # fmt: skip
TROUSERS = ((48, 56, 78), (62, 60, 58), (122, 108, 88), (36, 38, 42))
HAIR = ((46, 34, 26), (96, 66, 40), (28, 26, 26), (166, 134, 90))
HIP = 0.85


@dataclass(frozen=True)
class Person:
    """The body and the two legs, at the origin and looking along x; legs swing by leaning (see walk.py)."""

    body: Part
    legs: tuple[Part, Part]


class Tailor:
    """Dresses the people of one flight."""

    def __init__(self, atlas: Atlas, time: str, rng: np.random.Generator):
        self._atlas = atlas
        self._rng = rng
        self._warmth = {name: MATERIALS[name].warmth(time) for name in ('cloth', 'skin')}

    def person(self) -> Person:
        """Make a person."""
        jacket, trousers, hair = (t[int(self._rng.integers(len(t)))] for t in (CLOTHES, TROUSERS, HAIR))
        cloth, skin = self._warmth['cloth'], self._warmth['skin']
        coat = self._plain(jacket)
        face = self._plain(MATERIALS['skin'].colour)
        body = Part()
        body.box((-0.13, -0.22, HIP), (0.13, 0.22, 1.45), {'side': coat, 'top': coat}, {'side': cloth}, 0,
                 (0.03, 0.03, 0.03, 0.03))  # fmt: skip
        for side in (1, -1):
            low, high = sorted((0.23 * side, 0.33 * side))
            body.box((-0.07, low, 0.82), (0.07, high, 1.40), {'side': coat, 'top': coat}, {'side': cloth}, 0)
        body.box((-0.10, -0.09, 1.47), (0.11, 0.09, 1.72), {'side': face, 'top': self._plain(hair)},
                 {'side': skin, 'top': (skin[0] - 3.0, skin[1])}, 2, (0.03, 0.03, 0.02, 0.02))  # fmt: skip
        legs = []
        for side in (1, -1):
            leg, wool = Part(), self._plain(trousers)
            low, high = sorted((0.02 * side, 0.19 * side))
            leg.box((-0.08, low, 0.0), (0.09, high, HIP), {'side': wool, 'top': wool},
                    {'side': (cloth[0] - 1.5, cloth[1])})  # fmt: skip
            legs.append(leg)
        return Person(body, (legs[0], legs[1]))

    def _plain(self, colour) -> Patch:
        texture = np.zeros((6, 6, 4))
        texture[..., :3] = np.array(colour[::-1]) * self._rng.uniform(0.9, 1.1, (6, 6, 1))
        return self._atlas.add(texture, self._rng.normal(0, 0.4, (6, 6)))

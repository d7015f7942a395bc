"""Street lamps."""

import numpy as np

from irvis_fusion_ros.flight.atlas import Atlas
from irvis_fusion_ros.flight.canvas import Canvas
from irvis_fusion_ros.flight.light import LAMP_HEIGHT
from irvis_fusion_ros.flight.materials import MATERIALS
from irvis_fusion_ros.flight.solids import Part
from irvis_fusion_ros.flight.village import Village


def lamps(plan: Village, atlas: Atlas, time: str, lit: bool, rng: np.random.Generator) -> list[Part]:
    """Build the street lamps: a post, an arm, a head that glows when it is on."""
    steel = MATERIALS['steel'].warmth(time)
    post = Canvas(atlas, 0.6, 0.6, MATERIALS['steel'].colour, rng).patch()
    lamp = Canvas(atlas, 0.6, 0.6, (140, 142, 144), rng)
    lamp.rectangle(0.1, 0.1, 0.5, 0.5, (255, 226, 170), glow=float(lit), warmth=16.0 if lit else 0.0)
    head = lamp.patch()
    parts = []
    for at, heading in plan.lamps:
        part = Part()
        top = LAMP_HEIGHT
        side = {'side': post, 'top': post}
        part.box((-0.07, -0.07, 0), (0.07, 0.07, top), side, {'side': steel})
        part.blocks.append(part.points())
        part.box((0.0, -0.05, top - 0.1), (1.3, 0.05, top), side, {'side': steel}, 2)
        part.box(
            (1.0, -0.16, top - 0.05), (1.6, 0.16, top + 0.08), {'side': post, 'top': head}, {'side': steel}, 4
        )
        parts.append(part.place(at, heading))
    return parts

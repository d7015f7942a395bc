"""
What surfaces are made of: a colour, and a temperature that depends on the time of day.

Thermal cameras see radiation: metal and glass reflect the cold sky, so their apparent temperature lies
below their true one.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Material:
    """
    colour: sRGB (r, g, b) as it looks in full sun. day, dusk, night: temperature in the shade, and gain in
    full sun, in degrees Celsius as a thermal camera sees it. variation: standard deviation of the
    temperature from place to place.
    """

    colour: tuple[int, int, int]
    day: tuple[float, float]
    dusk: tuple[float, float]
    night: tuple[float, float]
    variation: float = 0.6

    def warmth(self, time: str) -> tuple[float, float]:
        """Return temperature in the shade and gain in full sun, degrees Celsius."""
        return getattr(self, time)

    @property
    def bgr(self) -> np.ndarray:
        """The colour as BGR float 0..255."""
        return np.array(self.colour[::-1], float)


AIR = {'day': 23.0, 'dusk': 17.0, 'night': 9.0}
SKY = {'day': -8.0, 'dusk': -14.0, 'night': -22.0}

# In the order of the material numbers of the ground.
MATERIALS = {
    'meadow': Material((118, 136, 80), (24, 4.5), (14.5, 1.2), (5.2, 0.2), 0.9),
    'lawn': Material((104, 136, 66), (23, 3.5), (14.0, 1.0), (4.8, 0.1), 0.6),
    'crop': Material((96, 124, 56), (23, 3.0), (14.5, 0.8), (6.0, 0.1), 0.7),
    'wheat': Material((201, 178, 112), (26, 6.5), (15.5, 1.5), (5.5, 0.2), 0.8),
    'soil': Material((139, 109, 79), (26, 10), (19.0, 2.0), (8.2, 0.3), 1.0),
    'gravel': Material((190, 180, 160), (27, 11), (20.5, 2.4), (9.5, 0.4), 0.6),
    'asphalt': Material((105, 106, 110), (30, 15), (22.0, 2.5), (13.6, 0.5), 0.7),
    'parking': Material((118, 118, 120), (29, 14), (21.4, 2.4), (12.8, 0.5), 0.7),
    'pavement': Material((176, 170, 160), (27, 10), (22.0, 2.2), (11.2, 0.4), 0.5),
    'patio': Material((190, 160, 135), (27, 10), (21.5, 2.2), (10.6, 0.4), 0.5),
    'water': Material((62, 92, 100), (19, 0.6), (18.2, 0.2), (14.8, 0.0), 0.25),
    'pool': Material((70, 178, 196), (24, 0.8), (23.2, 0.2), (21.5, 0.0), 0.2),
    'court': Material((70, 118, 150), (28, 13), (22.5, 2.4), (9.8, 0.4), 0.4),
    'court_out': Material((90, 140, 96), (28, 12), (22.0, 2.4), (9.4, 0.4), 0.4),
    'bed': Material((92, 72, 52), (24, 6), (16.0, 1.4), (6.8, 0.2), 1.2),
    # not on the ground
    'paint': Material((232, 232, 226), (28, 9), (23.6, 2.0), (13.0, 0.4), 0.3),
    'plaster': Material((226, 216, 198), (25, 11), (20.0, 4.5), (10.5, 0.3), 0.35),
    'brick': Material((158, 98, 76), (26, 12), (21.5, 5.0), (11.8, 0.3), 0.4),
    'concrete': Material((168, 166, 160), (25, 9), (20.0, 4.0), (11.0, 0.3), 0.35),
    'glass': Material((70, 86, 100), (17, 3), (9.0, 1.5), (5.5, 0.0), 0.6),
    'wood': Material((120, 84, 56), (25, 10), (18.0, 3.5), (8.0, 0.2), 0.4),
    'tiles': Material((172, 92, 66), (29, 19), (16.5, 5.0), (2.8, 0.2), 0.7),
    'slate': Material((92, 94, 102), (31, 23), (17.0, 5.5), (2.0, 0.2), 0.7),
    'metal': Material((178, 186, 192), (12, 7), (3.5, 2.0), (-6.5, 0.0), 0.8),
    'bitumen': Material((112, 108, 104), (31, 20), (17.5, 4.0), (3.2, 0.2), 1.0),
    'solar': Material((34, 42, 72), (30, 16), (13.0, 3.5), (-1.5, 0.0), 0.4),
    'leaves': Material((78, 104, 48), (22, 3.2), (16.2, 0.9), (9.4, 0.0), 0.5),
    'needles': Material((52, 82, 50), (22, 2.4), (16.4, 0.7), (9.7, 0.0), 0.4),
    'bark': Material((96, 78, 60), (23, 4), (17.0, 1.5), (8.6, 0.0), 0.3),
    'car': Material((200, 200, 200), (28, 17), (13.0, 3.0), (2.5, 0.0), 0.4),
    'tyre': Material((28, 28, 30), (32, 8), (21.0, 2.0), (10.5, 0.0), 0.4),
    'cloth': Material((120, 110, 110), (29.5, 2.5), (27.0, 0.8), (21.5, 0.0), 0.4),
    'skin': Material((206, 160, 132), (33.5, 0.8), (32.0, 0.3), (30.0, 0.0), 0.2),
    'steel': Material((120, 124, 126), (21, 6), (10.0, 1.5), (2.0, 0.0), 0.3),
}
GROUND = tuple(MATERIALS)[:15]
NUMBER = {name: number for number, name in enumerate(GROUND)}

"""
The light of a time of day: sun, sky and lamps.

Colours are BGR. Brightness is relative to level ground in full sun at the camera's exposure. Pictures are
computed with square roots of brightness, which are close to what a display shows and make noise uniform.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Light:
    """
    sun: unit vector towards it; past: where it was in the hours before, which warmed the ground.
    sun_colour: what it adds to a surface facing it. sky: what the open sky adds. lamps: brightness of the
    ground under a street lamp, 0 when they are off. lit_windows: share of them.
    haze: colour of distant air, and the distance in metres at which 63 % of it is seen.
    noise: standard deviation of the visible sensor in display levels. exposure: seconds.
    """

    sun: np.ndarray
    past: tuple[np.ndarray, ...]
    sun_colour: np.ndarray
    sky: np.ndarray
    lamps: float
    lit_windows: float
    haze: np.ndarray
    haze_distance: float
    noise: float
    exposure: float

    def on(self, normals: np.ndarray, openness: float | np.ndarray = 1.0) -> np.ndarray:
        """Return the light (N x 3) that surfaces with unit normals (N x 3) in the sun receive."""
        facing = np.clip(normals @ self.sun, 0, None)[:, None]
        # walls see half of the sky and, instead, the ground, which is darker
        sky = (0.68 + 0.32 * normals[:, 2:]) * np.reshape(openness, (-1, 1))
        return facing * self.sun_colour + sky * self.sky


LAMP_COLOUR = np.array([0.50, 0.80, 1.0])
LAMP_HEIGHT = 6.5


def of(time: str) -> Light:
    """Return the light of 'day', 'dusk' or 'night'."""
    return _LIGHTS[time]


def _towards(azimuth: float, elevation: float) -> np.ndarray:
    """Unit vector; degrees, azimuth counted from east to north."""
    a, e = np.deg2rad([azimuth, elevation])
    return np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])


_LIGHTS = {
    'day': Light(
        sun=_towards(205, 44),
        past=(_towards(212, 47), _towards(222, 50), _towards(236, 52)),
        sun_colour=np.array([0.92, 1.05, 1.12]),
        sky=np.array([0.38, 0.32, 0.28]),
        lamps=0.0,
        lit_windows=0.0,
        haze=np.array([0.88, 0.82, 0.78]),
        haze_distance=700.0,
        noise=1.6,
        exposure=0.002,
    ),
    'dusk': Light(
        sun=_towards(168, 13),
        past=(_towards(175, 21), _towards(185, 30), _towards(200, 42)),
        sun_colour=np.array([0.62, 1.30, 2.10]),
        sky=np.array([0.30, 0.22, 0.19]),
        lamps=0.22,
        lit_windows=0.25,
        haze=np.array([0.62, 0.70, 0.86]),
        haze_distance=420.0,
        noise=2.6,
        exposure=0.006,
    ),
    'night': Light(
        # the moon
        sun=_towards(60, 40),
        past=(_towards(190, 35),),
        sun_colour=np.array([0.026, 0.020, 0.015]),
        sky=np.array([0.030, 0.022, 0.017]),
        lamps=1.25,
        lit_windows=0.45,
        haze=np.array([0.12, 0.10, 0.09]),
        haze_distance=1500.0,
        noise=5.5,
        exposure=0.016,
    ),
}

"""
Pairs of made flights (`irvis make_flight`) with their exact deformation: the only truth that no label gives.

Each flight renders the thermal camera in another way: what it blurs and adds as noise, its gain and its
polarity, by day and by night.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.flight import Flight, FlightConfig

# Frames lie two seconds apart. The cameras share their centre: with parallax, the mean over an image depends
# on how much of it stands above the ground, which no smooth field follows.
PLAIN = FlightConfig(
    rate=0.5,
    truth_rate=0.5,
    width=480,
    height=384,
    thermal_width=320,
    thermal_height=256,
    baseline=0,
    jitter=0,
    shutters=0,
    seed=11,
)
FLIGHTS = {
    'day': PLAIN,
    'night': replace(PLAIN, time='night'),
    'blurred': replace(PLAIN, thermal_blur=1.5, thermal_noise=0.2),
    'black_hot': replace(
        PLAIN, thermal_depth=8, thermal_gain='histogram', thermal_polarity='black_hot', thermal_blur=1.0
    ),
}


@dataclass(frozen=True)
class FlownPair:
    """
    A pair with its true deformation.

    thermal: H x W uint16 or uint8, smaller than visible, H x W x 3 uint8 BGR. truth: of the visible grid
    (geometry/warp.py), NaN outside the thermal image.
    """

    name: str
    thermal: np.ndarray
    visible: np.ndarray
    truth: np.ndarray


def pairs(name: str, count: int) -> Iterator[FlownPair]:
    """Yield the first pairs of one of FLIGHTS."""
    config = replace(FLIGHTS[name], seconds=count / PLAIN.rate)
    for index, frame in enumerate(Flight(config).frames()):
        yield FlownPair(f'{name}_{index}', frame.thermal, frame.visible, frame.truth)

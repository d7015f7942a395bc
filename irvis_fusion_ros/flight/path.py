"""The path of the drone: a slow round about the village, looking ahead and down, with wind and vibration."""

import numpy as np

from irvis_fusion_ros.flight.camera import Pose
from irvis_fusion_ros.flight.config import FlightConfig

RADIUS, SPEED, PITCH = 52.0, 5.5, 39.0
# It looks at a point that goes round before it, nearer to the middle.
TARGET_RADIUS, TARGET_LEAD = 33.0, 52.0


class FlightPath:
    """Where the visible camera is at any time. Smooth, so that exposure times may be anything."""

    def __init__(self, config: FlightConfig):
        rng = np.random.default_rng([config.seed, 1])
        self._altitude = config.altitude
        # seed 0 is the flight of the pictures: it begins where the view is best
        self._start = rng.uniform(0, 2 * np.pi) if config.seed else np.deg2rad(66.0)
        self._phases = rng.uniform(0, 2 * np.pi, 8)
        self._shake = rng.uniform(0, 2 * np.pi, (3, 4))

    def pose(self, seconds: float) -> Pose:
        """Return the pose of the visible camera, `seconds` after the start."""
        phases = self._phases
        angle = self._start + SPEED / RADIUS * seconds

        def sway(amount: float, period: float, phase: float) -> float:
            return amount * np.sin(2 * np.pi * seconds / period + phase)

        radius = RADIUS + sway(5, 31, phases[0])
        centre = np.array(
            [radius * np.cos(angle), radius * np.sin(angle), self._altitude * (1 + sway(0.07, 17, phases[1]))]
        )
        ahead = angle + np.deg2rad(TARGET_LEAD + sway(12, 23, phases[7]))
        target = TARGET_RADIUS * np.array([np.cos(ahead), np.sin(ahead)])
        heading = np.arctan2(*(target - centre[:2])[::-1]) + np.deg2rad(sway(6, 11, phases[2]))
        pitch = np.deg2rad(PITCH + sway(2.5, 13, phases[3]) + sway(0.5, 2.9, phases[4]))
        roll = np.deg2rad(sway(1.8, 7.3, phases[5]) + sway(0.4, 1.7, phases[6]))
        heading, pitch, roll = np.array([heading, pitch, roll]) + self._vibration(seconds)
        return Pose(_axes(heading, pitch, roll), centre)

    def _vibration(self, seconds: float) -> np.ndarray:
        """Rotor vibration about three axes, radians: a few hundredths of a degree, 8 to 40 Hz."""
        frequencies = np.array([8.3, 14.9, 23.7, 38.1])
        amounts = np.deg2rad(np.array([0.018, 0.012, 0.008, 0.005]))
        return (amounts * np.sin(2 * np.pi * frequencies * seconds + self._shake)).sum(1)


def _axes(heading: float, pitch: float, roll: float) -> np.ndarray:
    """Camera axes in the world (x east, y north, z up), radians; pitch is positive downwards."""
    forward = np.array([np.cos(pitch) * np.cos(heading), np.cos(pitch) * np.sin(heading), -np.sin(pitch)])
    right = np.array([np.sin(heading), -np.cos(heading), 0.0])
    down = np.cross(forward, right)
    return np.stack(
        [
            np.cos(roll) * right + np.sin(roll) * down,
            np.cos(roll) * down - np.sin(roll) * right,
            forward,
        ],
        1,
    )

"""The path of the drone: a slow round about the village, looking ahead and down, with wind and vibration."""

import numpy as np

from irvis_fusion_ros.flight.camera import Pose
from irvis_fusion_ros.flight.config import FlightConfig

RADIUS, PITCH = 52.0, 39.0
# Wind and gusts sway a drone that hovers by this share of how one sways that flies.
HOVERING = 0.03
# A drone that changes its height rises and sinks once in this time (s), and keeps this far above what stands
# within some metres of its path.
CLIMB_SECONDS, CLEARANCE, BESIDE = 40.0, 3.0, 3.0
# It begins to rise this long before an obstacle, and how smoothly (s).
FORESIGHT, SMOOTHNESS, STEP = 0.8, 0.6, 0.1
# It looks at a point that goes round before it, nearer to the middle.
TARGET_RADIUS, TARGET_LEAD = 33.0, 52.0


class FlightPath:
    """
    Where the visible camera is at any time. Smooth, so that exposure times may be anything.

    obstacles: points (N x 3) that a drone which changes its height keeps above.
    """

    def __init__(self, config: FlightConfig, obstacles: np.ndarray | None = None):
        rng = np.random.default_rng([config.seed, 1])
        self._altitude = config.altitude
        # seed 0 is the flight of the pictures: it begins where the view is best
        self._start = rng.uniform(0, 2 * np.pi) if config.seed else np.deg2rad(66.0)
        self._phases = rng.uniform(0, 2 * np.pi, 8)
        self._shake = rng.uniform(0, 2 * np.pi, (3, 4))
        self._speed = config.speed
        self._swaying = 1.0 if config.speed else HOVERING
        self._heights: np.ndarray | None = None
        if config.altitude_to:
            self._heights = self._climbs(config, np.zeros((0, 3)) if obstacles is None else obstacles)

    def pose(self, seconds: float) -> Pose:
        """Return the pose of the visible camera, `seconds` after the start."""
        phases = self._phases
        angle = self._start + self._speed / RADIUS * seconds

        def sway(amount: float, period: float, phase: float) -> float:
            return self._swaying * amount * np.sin(2 * np.pi * seconds / period + phase)

        radius = RADIUS + sway(5, 31, phases[0])
        altitude = self._altitude * (1 + sway(0.07, 17, phases[1]))
        if self._heights is not None:
            altitude = np.interp(seconds, STEP * np.arange(len(self._heights)), self._heights)
        centre = np.array([radius * np.cos(angle), radius * np.sin(angle), altitude])
        ahead = angle + np.deg2rad(TARGET_LEAD + sway(12, 23, phases[7]))
        target = TARGET_RADIUS * np.array([np.cos(ahead), np.sin(ahead)])
        heading = np.arctan2(*(target - centre[:2])[::-1]) + np.deg2rad(sway(6, 11, phases[2]))
        pitch = np.deg2rad(PITCH + sway(2.5, 13, phases[3]) + sway(0.5, 2.9, phases[4]))
        roll = np.deg2rad(sway(1.8, 7.3, phases[5]) + sway(0.4, 1.7, phases[6]))
        heading, pitch, roll = np.array([heading, pitch, roll]) + self._vibration(seconds)
        return Pose(_axes(heading, pitch, roll), centre)

    def _climbs(self, config: FlightConfig, obstacles: np.ndarray) -> np.ndarray:
        """Return the height at every STEP of the flight, in equal ratios between its lowest and highest."""
        times = np.arange(0, config.seconds + 2 * STEP, STEP)
        share = 0.5 - 0.5 * np.cos(2 * np.pi * times / CLIMB_SECONDS)
        wanted = config.altitude * (config.altitude_to / config.altitude) ** share
        free = np.zeros(len(times))
        for k, seconds in enumerate(times):
            beside = np.abs(obstacles[:, :2] - self.pose(seconds).centre[:2]).max(1) < BESIDE
            free[k] = obstacles[beside, 2].max(initial=0.0) + CLEARANCE
        reach = round(FORESIGHT / STEP)
        padded = np.pad(np.maximum(wanted, free), 2 * reach, mode='edge')
        highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(1)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP / SMOOTHNESS) ** 2)
        return np.convolve(highest, kernel / kernel.sum(), mode='valid')

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

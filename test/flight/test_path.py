"""The path: smooth, over the village, looking down."""

import numpy as np
import pytest

from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.flight.path import SPEED, FlightPath


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_drone_flies_steadily_and_always_looks_at_the_ground(seed):
    path = FlightPath(FlightConfig(seed=seed))
    poses = [path.pose(t) for t in np.arange(0, 120, 0.05)]
    centres = np.array([p.centre for p in poses])
    speeds = np.linalg.norm(np.diff(centres, axis=0), axis=1) / 0.05
    assert speeds.min() > 0.6 * SPEED
    assert speeds.max() < 1.6 * SPEED
    assert centres[:, 2].min() > 25
    assert centres[:, 2].max() < 35
    assert np.hypot(*centres.T[:2]).max() < 65
    for pose in poses:
        np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose.rotation) == pytest.approx(1)
        # the upper edge of the image, 25 degrees above the axis, stays below the horizon
        assert -55 < np.rad2deg(np.arcsin(pose.rotation[2, 2])) < -30


def test_attitude_changes_and_vibrates_a_little():
    path = FlightPath(FlightConfig())
    times = np.arange(0, 1, 0.002)
    forward = np.array([path.pose(t).rotation[:, 2] for t in times])
    turn = np.rad2deg(np.linalg.norm(np.diff(forward, axis=0), axis=1))
    assert 0 < turn.max() < 0.05

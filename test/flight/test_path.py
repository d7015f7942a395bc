"""The path: smooth, over the village, looking down."""

import numpy as np
import pytest

from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.flight.path import CLEARANCE, FlightPath


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_drone_flies_steadily_and_always_looks_at_the_ground(seed):
    path = FlightPath(FlightConfig(seed=seed))
    poses = [path.pose(t) for t in np.arange(0, 120, 0.05)]
    centres = np.array([p.centre for p in poses])
    speeds = np.linalg.norm(np.diff(centres, axis=0), axis=1) / 0.05
    assert speeds.min() > 0.6 * 5.5
    assert speeds.max() < 1.6 * 5.5
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


def test_a_drone_that_changes_its_height_goes_from_low_to_high():
    path = FlightPath(FlightConfig(altitude=8, altitude_to=60, seconds=80))
    heights = np.array([path.pose(t).centre[2] for t in np.arange(0, 80, 0.05)])
    assert heights.min() == pytest.approx(8, abs=0.3)
    assert heights.max() == pytest.approx(60, abs=0.5)
    assert np.abs(np.diff(heights)).max() / 0.05 < 6


def test_it_keeps_above_what_stands_in_its_way():
    config = FlightConfig(altitude=8, altitude_to=60, seconds=80)
    low = FlightPath(config).pose(40.0).centre
    path = FlightPath(config, np.array([[*low[:2], 14.0]]))
    assert path.pose(40.0).centre[2] > 14 + 0.8 * CLEARANCE
    assert path.pose(36.0).centre[2] == pytest.approx(FlightPath(config).pose(36.0).centre[2], abs=0.1)


def test_a_drone_that_hovers_stays_where_it_is():
    path = FlightPath(FlightConfig(speed=0))
    poses = [path.pose(t) for t in np.arange(0, 30, 0.1)]
    assert np.ptp([p.centre for p in poses], axis=0).max() < 0.5
    forward = np.array([p.rotation[:, 2] for p in poses])
    assert np.rad2deg(np.ptp(forward, axis=0).max()) < 1

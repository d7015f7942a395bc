"""The offset between two clocks, from how the images of both cameras move."""

import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.flight.path import FlightPath
from irvis_fusion_ros.rig.clock import compare
from irvis_fusion_ros.rig.motion import Motion, speeds

SCENE = textured((400, 520), 3).astype(np.float32) / 255


def look(time, turn=1.0):
    """Return where the camera looks: uneven turns, as of a drone in wind."""
    x = 40 * np.sin(1.7 * time) + 25 * np.sin(4.1 * time + 1) + 12 * np.sin(9.0 * time)
    y = 30 * np.sin(1.3 * time + 2) + 15 * np.sin(5.3 * time)
    return turn * x, turn * y


def stream(offset=0.0, rate=20.0, seconds=8.0, turn=1.0, inverted=False, frozen=None):
    """Return the motion of a camera whose stamps are `offset` late."""
    motion, image = Motion(), None
    for time in np.arange(0, seconds, 1 / rate):
        x, y = look(time, turn)
        if frozen is None or not frozen[0] <= time <= frozen[1]:
            moved = np.float32([[1, 0, x - 100], [0, 1, y - 90]])
            image = cv2.warpAffine(SCENE, moved, (320, 240), flags=cv2.INTER_LINEAR)
        motion.add(1 - image if inverted else image, time + offset)
    return motion


@pytest.mark.parametrize('offset', [0.043, -0.12])
def test_the_offset_is_found_to_some_milliseconds(offset):
    found = compare(stream(offset, inverted=True), stream())
    assert found.reason == ''
    assert found.offset.seconds == pytest.approx(-offset, abs=0.003)
    assert found.offset.error < 0.003
    assert abs(found.lags[found.agreement.argmax()] + offset) < 0.01


def test_rates_may_differ_and_a_camera_may_stand_still_for_a_while():
    found = compare(stream(0.05, rate=15, frozen=(3, 4)), stream(rate=25))
    assert found.offset.seconds == pytest.approx(-0.05, abs=0.006)


def path(rate, offset, seed, camera, seconds=60.0):
    """Return the motion of a camera on a made flight whose stamps are `offset` late, with noise."""
    rng = np.random.default_rng([seed, camera])
    flown = FlightPath(FlightConfig(seed=seed, seconds=seconds))
    times = np.arange(rng.uniform(0, 1 / rate), seconds, 1 / rate)
    poses = [flown.pose(time) for time in times]
    steps = []
    for before, after, start, stop in zip(poses, poses[1:], times, times[1:], strict=False):
        x, y, z = after.rotation.T @ (before.rotation @ [0, 0, 40.0] + before.centre - after.centre)
        turn = (after.rotation.T @ before.rotation)[1, 0]
        moved = np.array([288 * x / z, 288 * y / z, 160 * turn, 0]) + rng.normal(0, 0.15, 4)
        steps.append((start + offset, stop + offset, *moved))
    return SimpleNamespace(steps=np.array(steps))


@pytest.mark.parametrize('rate', [3, 5, 10])
def test_the_stated_error_covers_the_true_one_at_low_rates_too(rate):
    for seed in range(21, 25):
        found = compare(path(rate, 0.06, seed, 0), path(rate, 0.0, seed, 1)).offset
        assert found is not None
        assert abs(found.seconds + 0.06) < 3 * found.error


@pytest.mark.parametrize(
    ('thermal', 'visible', 'why'),
    [
        (stream(turn=0.0), stream(turn=0.0), 'move too little|fewer than'),
        (stream(seconds=1.0), stream(seconds=1.0), 'fewer than 30 images'),
        (Motion(), Motion(), 'fewer than 30 images'),
    ],
)
def test_what_cannot_be_told_is_said(thermal, visible, why):
    found = compare(thermal, visible)
    assert found.offset is None
    assert re.search(why, found.reason)


def test_speed_is_in_pixels_of_the_wanted_width():
    times = np.array([1.0, 2.5, 50.0])
    found, known = speeds(stream(), times, 640)
    ahead, behind = (np.stack(look(times + side), -1) for side in (0.05, -0.05))
    assert known.tolist() == [True, True, False]
    np.testing.assert_allclose(found[:2, :2], ((ahead - behind) / 0.1 * 2)[:2], atol=12)

"""The time between the exposures of pairs, from their shifts, and the parallax, from how they spread."""

from types import SimpleNamespace

import numpy as np
import pytest

from irvis_fusion_ros.calibration import ClockOffset, Parallax
from irvis_fusion_ros.rig import exposure, parallax
from irvis_fusion_ros.rig.clock import Motion
from irvis_fusion_ros.rig.views import View

IMAGE = np.zeros((240, 320), np.uint8)
RNG = np.random.default_rng(0)


def moving(seconds=20.0, rate=20.0):
    motion, times = Motion(), np.arange(0, seconds, 1 / rate)
    x, y, turn = 30 * np.sin(1.5 * times), 20 * np.sin(2.3 * times), 6 * np.sin(3.1 * times)
    path = np.stack([x, y, turn, 0 * x], -1)
    for number in range(len(times) - 1):
        motion._steps.append((times[number], times[number + 1], *(path[number + 1] - path[number])))
    return motion


def pairs(motion, late, nearness=0.0):
    """Return views and pairs whose thermal images were taken `late` seconds after the visible ones."""
    stamps = np.arange(1, 19, 0.5)
    speed, _ = exposure.speeds(motion, stamps, 320)
    numbers = speed * late + RNG.normal(0, 0.1, speed.shape)
    numbers[:, 0] += nearness * RNG.normal(0, 1, len(stamps))
    views = [View(IMAGE, IMAGE, float(stamp), '', gap=0.05) for stamp in stamps]
    return views, [SimpleNamespace(numbers=np.append(row, 0)) for row in numbers]


@pytest.mark.parametrize(('along', 'nearness'), [(None, 0.0), (Parallax((1.0, 0.0), (-5, 5)), 4.0)])
def test_the_offset_is_sharpened_by_the_shifts_of_pairs(along, nearness):
    motion = moving()
    # the thermal clock is 30 ms ahead: with stamps 50 ms later, the exposures are 20 ms apart
    views, found = pairs(motion, 0.02, nearness)
    offset = exposure.sharpened(ClockOffset(-0.024, 0.006), views, found, motion, along)
    assert offset.seconds == pytest.approx(-0.03, abs=0.002)
    assert offset.error < 0.004


def test_without_gaps_nothing_is_changed_and_against_the_motion_nothing_is_believed():
    motion = moving()
    views, found = pairs(motion, 0.02)
    first = ClockOffset(0.2, 0.002)
    doubted = exposure.sharpened(first, views, found, motion, None)
    assert doubted.seconds == 0.2 and doubted.error > 0.1
    blind = [View(IMAGE, IMAGE, each.stamp, '') for each in views]
    assert exposure.sharpened(first, blind, found, motion, None) == first


def spread(along, across, frames=20):
    direction = np.array([0.8, 0.6])
    made = []
    for _ in range(frames):
        near = abs(RNG.normal(0, along, 40)) + RNG.normal(0, 0.01)
        field = near[:, None] * direction + RNG.normal(0, across, (40, 2))
        made.append(SimpleNamespace(numbers=np.zeros(7), regional=field, seen=np.ones(40)))
    return made


def test_the_parallax_is_the_direction_that_frames_spread_along():
    found, left = parallax.find(spread(3.0, 0.2), 640)
    np.testing.assert_allclose(found.direction, (0.8, 0.6), atol=0.05)
    assert found.range[0] < 0 < found.range[1]
    assert left.shape == (20, 2)


def test_without_a_direction_or_from_one_frame_alone_there_is_no_parallax():
    assert parallax.find(spread(0.5, 0.6), 640)[0] is None
    one = spread(0.0, 0.3)
    one[3].numbers[:2] = (40, 0)
    assert parallax.find(one, 640)[0] is None
    assert parallax.find(spread(3.0, 0.2, frames=4), 640)[0] is None

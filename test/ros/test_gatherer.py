"""Measuring the rig while the node works: what is gathered, when it is estimated, and what is said of it."""

import contextlib
import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from rig import SECOND, START, header, image, wait_until
from sensor_msgs.msg import CompressedImage

from irvis_fusion_ros import calibration
from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.calibration import Calibration, ClockOffset
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.imaging.depth import DepthConfig
from irvis_fusion_ros.imaging.tone import ToneConfig
from irvis_fusion_ros.pairing import Pair
from irvis_fusion_ros.rig.clock import ClockCurve
from irvis_fusion_ros.rig.estimate import Estimate
from irvis_fusion_ros.ros.gatherer import FIRST, WAITING, Gatherer, state_file

RIG = Calibration(np.eye(3), (96, 128), (96, 128))
CLOCK = ClockCurve(ClockOffset(-0.04, 0.002), '', np.zeros(1), np.zeros(1))
FOUND = Estimate(RIG, 0.9, 0.31, 90, 8, (None,) * 10, CLOCK, ())


class Gathering:
    """Counts what it is given; its estimates are what the test wants, and wait until it lets them go."""

    def __init__(self):
        self.answer = FOUND
        self.go = threading.Event()
        self.go.set()
        self.reset()
        self.resets = self.estimates = 0

    def reset(self):
        self.moves, self.stamps, self.gaps = [], [], []
        self.resets = getattr(self, 'resets', 0) + 1

    def move(self, camera, brightness, stamp):
        self.moves.append((camera, brightness, stamp))

    def pair(self, thermal, visible, stamp, name='', gap=None, scenes=None):
        self.stamps.append(stamp)
        self.gaps.append(gap)

    def estimate(self):
        self.estimates += 1
        assert self.go.wait(30)
        return self.answer


@pytest.fixture
def bench():
    gathering, found, errors = Gathering(), [], []
    gatherer = Gatherer(ToneConfig(), DepthConfig(), found.append, errors.append, gathering)
    gatherer.start()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(gatherer.stop)
        stack.callback(gathering.go.set)
        yield gatherer, gathering, found
    assert errors == []


def message(encoding, seconds):
    made = image(encoding)
    made.header = header(START + round(seconds * SECOND), 'camera')
    return made


def pair(seconds):
    return Pair(message('mono16', seconds), message('bgr8', seconds), 0.0)


def offer(gatherer, gathering, count, first=0.0, apart=1.0):
    for k in range(count):
        gatherer.pair(pair(first + k * apart))
        # one after the other: the queue is short, and what it cannot take is left out
        wait_until(lambda: not gatherer._queue, lambda: 'the queue is not taken')


def test_nothing_is_gathered_before_it_is_asked_for(bench):
    gatherer, gathering, _ = bench
    offer(gatherer, gathering, 3)
    gatherer.image('thermal', message('mono16', 0))
    assert gathering.stamps == gathering.moves == []
    assert gatherer.progress() == 'nothing is gathered: call ~/calibrate'


def test_pairs_are_gathered_and_the_rig_is_told_when_it_is_found(bench):
    gatherer, gathering, found = bench
    gatherer.begin()
    offer(gatherer, gathering, FIRST - 1)
    wait_until(lambda: gatherer.pairs == FIRST - 1, gatherer.progress)
    assert gatherer.progress() == f'{FIRST - 1} pairs gathered, the first estimate comes with {FIRST}'
    offer(gatherer, gathering, 1, first=FIRST)
    wait_until(lambda: gatherer.estimate is not None, gatherer.progress)
    wait_until(lambda: found == [RIG], lambda: found)
    said = gatherer.progress()
    assert '8 of 10 agree, the transform is known to 0.31 px, confidence 0.90' in said
    assert 'sync.thermal_offset should be -0.0400 +- 0.0020 s' in said
    # the next estimate comes with twice as many
    offer(gatherer, gathering, FIRST - 1, first=100)
    assert gathering.estimates == 1
    offer(gatherer, gathering, 1, first=200)
    wait_until(lambda: gathering.estimates == 2, gatherer.progress)


def test_the_difference_of_the_stamps_is_passed_and_what_is_noted_is_said(bench):
    gatherer, gathering, _ = bench
    gathering.answer = replace(FOUND, notes=(Note('zoom', 'one camera has zoomed'),))
    gatherer.begin()
    gatherer.pair(Pair(message('mono16', 0.04), message('bgr8', 0), 0.0))
    wait_until(lambda: gathering.gaps, gatherer.progress)
    assert gathering.gaps == [pytest.approx(0.04)]
    offer(gatherer, gathering, FIRST - 1, first=1)
    wait_until(lambda: gatherer.estimate is not None, gatherer.progress)
    assert gatherer.progress().endswith('; one camera has zoomed')


def test_another_region_of_interest_begins_anew(bench):
    gatherer, gathering, _ = bench
    gatherer.begin()
    offer(gatherer, gathering, 3)
    gatherer.set_rois((8, 8, 64, 64), ())
    assert gatherer.pairs == 0
    offer(gatherer, gathering, 1, first=10)
    wait_until(lambda: gathering.stamps == [START / SECOND + 10], gatherer.progress)


def test_views_that_have_hardly_changed_are_left_out(bench):
    gatherer, gathering, _ = bench
    gatherer.begin()
    offer(gatherer, gathering, 21, apart=0.1)
    wait_until(lambda: len(gathering.stamps) >= 5, gatherer.progress)
    assert np.diff(gathering.stamps).min() >= 0.5
    # a clock that went back does not end it
    offer(gatherer, gathering, 1, first=-50)
    wait_until(lambda: gathering.stamps[-1] == START / SECOND - 50, gatherer.progress)


def test_every_image_tells_of_the_clocks_as_brightness(bench):
    gatherer, gathering, _ = bench
    gatherer.begin()
    for camera, encoding in (('thermal', 'mono16'), ('visible', 'bgr8')):
        gatherer.image(camera, message(encoding, 0.5))
    wait_until(lambda: len(gathering.moves) == 2, gatherer.progress)
    for (camera, brightness, stamp), expected in zip(gathering.moves, ('thermal', 'visible'), strict=True):
        assert camera == expected
        assert brightness.dtype == np.float32
        assert brightness.ndim == 2
        assert 0 <= brightness.min() <= brightness.max() <= 1
        assert stamp == START / SECOND + 0.5


def test_nothing_found_says_why_and_is_not_used(bench):
    gatherer, gathering, found = bench
    gathering.answer = replace(
        FOUND, calibration=None, notes=(Note('no_texture', 'the images show nothing'),), confidence=0.1
    )
    gatherer.begin()
    offer(gatherer, gathering, FIRST)
    wait_until(lambda: gatherer.estimate is not None, gatherer.progress)
    assert gatherer.progress().endswith('no rig is found yet: the images show nothing')
    assert found == []


def test_a_rig_that_is_not_sure_is_not_used(bench):
    gatherer, gathering, found = bench
    gathering.answer = replace(FOUND, confidence=0.2)
    gatherer.begin()
    offer(gatherer, gathering, FIRST)
    wait_until(lambda: gatherer.estimate is not None, gatherer.progress)
    assert found == []


def test_what_is_forgotten_while_it_is_estimated_is_forgotten(bench):
    gatherer, gathering, found = bench
    gatherer.begin()
    gathering.go.clear()
    offer(gatherer, gathering, FIRST)
    wait_until(lambda: gathering.estimates == 1, gatherer.progress)
    assert gatherer.progress() == f'estimating the rig from {FIRST} pairs'
    gatherer.forget()
    gathering.go.set()
    offer(gatherer, gathering, 1, first=500)
    wait_until(lambda: gathering.stamps == [START / SECOND + 500], gatherer.progress)
    assert gatherer.estimate is None
    assert found == []
    assert gatherer.pairs == 1


def test_a_busy_thread_holds_up_nobody_and_little_waits(bench):
    gatherer, gathering, _ = bench
    gatherer.begin()
    gathering.go.clear()
    offer(gatherer, gathering, FIRST)
    for k in range(100):
        gatherer.image('visible', message('bgr8', 600 + k))
    assert len(gatherer._queue) <= WAITING


def test_an_image_that_cannot_be_decoded_is_left_to_its_camera(bench):
    gatherer, gathering, _ = bench
    gatherer.begin()
    gatherer.image('thermal', CompressedImage(format='png', data=b'no image'))
    gatherer.image('visible', message('bgr8', 1))
    wait_until(lambda: len(gathering.moves) >= 1, gatherer.progress)


def test_a_rig_is_saved_or_why_not_is_said(bench, tmp_path):
    gatherer, gathering, _ = bench
    gatherer.begin()
    path = tmp_path / 'state' / 'rig.yaml'
    with pytest.raises(FileError, match='there is no rig to save: 0 pairs gathered'):
        gatherer.save(path)
    offer(gatherer, gathering, FIRST)
    wait_until(lambda: gatherer.estimate is not None, gatherer.progress)
    assert gatherer.save(path) == f'{path}: 8 of 10 pairs agree, the transform is known to 0.31 px'
    np.testing.assert_array_equal(calibration.load(path).matrix, np.eye(3))
    (tmp_path / 'file').write_text('')
    with pytest.raises(FileError, match=r'file/rig\.yaml: its folder cannot be made'):
        gatherer.save(tmp_path / 'file' / 'rig.yaml')


def test_the_state_file_is_the_nodes_own(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert state_file('/front/fusion_node') == tmp_path / 'irvis_fusion_ros' / 'front_fusion_node.yaml'
    monkeypatch.delenv('ROS_HOME')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert state_file('/fusion_node') == tmp_path / '.ros' / 'irvis_fusion_ros' / 'fusion_node.yaml'

"""Replay, over real DDS between processes: order, stamps, time, and its errors."""

import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from irvis_fusion_ros import dds_profile
from irvis_fusion_ros.io import bags
from irvis_fusion_ros.tools import replay

LISTENER = Path(__file__).with_name('listener.py')
START = 1_700_000_000_000_000_000
THERMAL, VISIBLE = '/thermal/image_raw', '/visible/image_raw'
IMAGES = (f'{THERMAL}={bags.IMAGE}', f'{VISIBLE}={bags.IMAGE}')


@pytest.fixture
def environment(tmp_path):
    pytest.importorskip('rclpy', reason='replay publishes with rclpy')
    variables = dict(os.environ)
    variables.update(
        ROS_DOMAIN_ID=str(1 + os.getpid() % 100),
        ROS_LOG_DIR=str(tmp_path / 'log'),
        ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST',
    )
    profile = dds_profile.find()
    if profile:
        variables.update(dict.fromkeys(dds_profile.VARIABLES, str(profile)))
    return variables


@pytest.fixture
def bag(tmp_path):
    """Half a second of a 640x512 colour stream at 30 Hz and a small thermal one at 10 Hz."""
    rng = np.random.default_rng(0)
    visible = rng.integers(0, 255, (512, 640, 3), np.uint8)
    thermal = rng.integers(0, 255, (64, 80), np.uint8)
    with bags.BagWriter(tmp_path / 'bag') as writer:
        for number in range(15):
            stamp = START + round(number / 30 * 1e9)
            if number % 3 == 0:
                writer.write_image(THERMAL, thermal, 'mono8', stamp + 3_000_000, 'thermal', stamp + 4_000_000)
            writer.write_image(VISIBLE, visible, 'bgr8', stamp, 'visible', stamp + 1_000_000)
    return tmp_path / 'bag'


class Listener:
    """The subscriber process; `stop` returns what it received by topic: stamps and arrival times."""

    def __init__(self, environment, topics):
        self._process = subprocess.Popen(
            [sys.executable, LISTENER, *topics],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == 'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def stop(self):
        output, _ = self._process.communicate(timeout=60)
        return json.loads(output)


def play(environment, *arguments):
    return subprocess.run(
        [sys.executable, '-m', 'irvis_fusion_ros.tools.replay', *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def stamps(received, topic):
    return [stamp for name, stamp, *_ in received if name == topic]


def message_size(bag, topic):
    with bags.BagReader(bag) as reader:
        return {len(record.cdr) for record in reader.records([topic])}


def recorded(bag, topic):
    with bags.BagReader(bag) as reader:
        return [image.stamp for image in reader.images(topic)]


@pytest.mark.slow
def test_everything_arrives_in_order_with_its_stamps(environment, bag):
    with Listener(environment, IMAGES) as listener:
        done = play(environment, bag, '--subscribers', 2)
        received = listener.stop()
    assert done.returncode == 0, done.stderr
    for topic in (THERMAL, VISIBLE):
        assert stamps(received, topic) == recorded(bag, topic)
    assert {size for name, _, size, _ in received if name == VISIBLE} == message_size(bag, VISIBLE)
    assert '15  /visible/image_raw' in done.stdout
    assert 'ms late' in done.stdout


@pytest.mark.slow
def test_the_rate_changes_the_pace_and_the_clock_never_the_stamps(environment, bag):
    with Listener(environment, ['/clock=rosgraph_msgs/msg/Clock', IMAGES[1]]) as listener:
        done = play(environment, bag, '--rate', 0.25, '--clock')
        received = listener.stop()
    assert done.returncode == 0, done.stderr
    assert stamps(received, VISIBLE) == recorded(bag, VISIBLE)
    arrivals = [arrival for name, _, _, arrival in received if name == VISIBLE]
    # a quarter of the pace: 14/30 s take 1.87 s; a slow machine can only take longer
    assert arrivals[-1] - arrivals[0] > 1.5
    clock = stamps(received, '/clock')
    assert len(clock) > 40
    assert np.all(np.diff(clock) >= 0)
    assert clock[0] >= START
    assert START + 0.46e9 < clock[-1] < START + 0.5e9


@pytest.mark.slow
def test_restamp_starts_now_and_keeps_the_differences(environment, bag):
    before = time.time_ns()
    with Listener(environment, IMAGES) as listener:
        done = play(environment, bag, '--restamp')
        received = listener.stop()
    assert done.returncode == 0, done.stderr
    for topic in (THERMAL, VISIBLE):
        shift = {new - old for new, old in zip(stamps(received, topic), recorded(bag, topic), strict=True)}
        assert len(shift) == 1
    assert before < stamps(received, VISIBLE)[0] < time.time_ns()


@pytest.mark.slow
@pytest.mark.parametrize('restamp', [False, True])
def test_loop_goes_back_unless_restamped_and_ctrl_c_ends_it(environment, bag, restamp):
    with Listener(environment, IMAGES) as listener:
        options = ['--loop', '--rate', '4', *(['--restamp'] if restamp else [])]
        process = subprocess.Popen(
            [sys.executable, '-m', 'irvis_fusion_ros.tools.replay', bag, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            errors = ''
            while 'pass 3' not in errors:
                errors += process.stderr.read(1)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        received = stamps(listener.stop(), VISIBLE)
    assert process.returncode == 0, errors
    assert 'Traceback' not in errors
    assert 'published:' in output
    if restamp:
        assert len(received) >= 30
        assert np.all(np.diff(received) > 0)
    else:
        assert received[:30] == recorded(bag, VISIBLE) * 2


@pytest.mark.slow
def test_topics_remaps_and_a_part_of_the_bag(environment, bag):
    with Listener(environment, [f'/rig/b={bags.IMAGE}', *IMAGES]) as listener:
        done = play(
            environment, bag,
            '--topics', 'thermal/image_raw', '--remap', 'thermal/image_raw:=/rig/a',
            '--start', 0.15, '--duration', 0.2, '--ros-args', '-r', '/rig/a:=/rig/b',
        )  # fmt: skip
        received = listener.stop()
    assert done.returncode == 0, done.stderr
    assert stamps(received, '/rig/b') == recorded(bag, THERMAL)[2:4]
    assert {name for name, *_ in received} == {'/rig/b'}


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['nowhere'], 'there is no bag at'),
        (['BAG', '--topics', 'lwir/image'], "no topic 'lwir/image'"),
        (['BAG', '--remap', 'lwir/image:=x'], "no topic 'lwir/image'"),
        (['BAG', '--remap', THERMAL], 'expected RECORDED:=PUBLISHED'),
        (['BAG', '--remap', f'{THERMAL}:=no spaces'], "'no spaces' is not a valid topic name"),
        (['BAG', '--start', '100'], 'nothing to play'),
    ],
)
def test_errors_are_one_clear_text_and_a_failing_exit_code(bag, capsys, arguments, text):
    assert replay.main([str(bag) if a == 'BAG' else a for a in arguments]) == 1
    error = capsys.readouterr().err
    assert text in error
    if 'no topic' in text:
        assert f'{VISIBLE}  sensor_msgs/msg/Image  15 messages' in error


@pytest.mark.parametrize(
    'arguments', [['b', '--rate', '0'], ['b', '--rate', 'fast'], ['b', '--wait', '-1'], []]
)
def test_wrong_usage_exits_with_two(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        replay.main(arguments)
    assert stopped.value.code == 2
    assert 'usage: replay' in capsys.readouterr().err


def test_without_ros_it_says_how_to_get_it(bag, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    for variable in dds_profile.VARIABLES:
        monkeypatch.setenv(variable, 'of another test')
    assert replay.main([str(bag)]) == 1
    assert "pip install 'irvis_fusion_ros[ros]'" in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--ros-args', '-p', 'foo'], ['--ros-args', '-r', ':=']])
def test_what_ros_refuses_is_said_in_one_line(environment, bag, arguments):
    command = [sys.executable, '-m', 'irvis_fusion_ros.tools.replay', bag, '--wait', '0', *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr and done.stderr.splitlines()[-1].startswith('replay: ')


def test_topics_of_types_that_are_not_installed_are_left_out_by_name(environment, tmp_path):
    if importlib.util.find_spec('trajectory_msgs'):
        pytest.skip('trajectory_msgs is installed')
    store = get_typestore(Stores.ROS2_HUMBLE)
    kind = 'trajectory_msgs/msg/JointTrajectory'
    message = store.types[kind](header=bags.header(1, ''), joint_names=[], points=[])
    with bags.BagWriter(tmp_path / 'bag') as writer:
        writer.write('/arm', kind, store.serialize_cdr(message, kind), 1)
    done = play(environment, tmp_path / 'bag', '--wait', 0)
    assert done.returncode == 1
    assert "topic '/arm' is left out: message type trajectory_msgs/msg/JointTrajectory" in done.stderr
    assert 'none of the message types' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(('order', 'mark'), [('<', 1), ('>', 0)])
def test_a_stamp_is_moved_in_either_byte_order(order, mark):
    def message(seconds, nanoseconds):
        return bytes([0, mark, 0, 0]) + struct.pack(order + 'iI', seconds, nanoseconds) + b'rest'

    assert replay.shifted(message(5, 900_000_000), 200_000_000) == message(6, 100_000_000)
    assert replay.shifted(message(5, 100_000_000), -200_000_000) == message(4, 900_000_000)
    assert replay.shifted(message(0, 0), 200_000_000) == message(0, 0)


def test_ros_arguments_are_left_to_ros():
    ours, ros = replay._split_ros_arguments(['bag', '--ros-args', '-r', 'a:=b', '--', '--loop'])
    assert ours == ['bag', '--loop']
    assert ros == ['--ros-args', '-r', 'a:=b', '--']
    assert replay._split_ros_arguments(['bag']) == (['bag'], [])


def test_a_name_that_ros_does_not_allow_is_left_out_with_the_remedy(environment, tmp_path):
    with bags.BagWriter(tmp_path / 'bag') as writer:
        for topic in ('/gimbal-2/lwir', '/3/image', '/fine'):
            writer.write_image(topic, np.zeros((3, 4), np.uint8), 'mono8', START, 'camera')
    done = play(environment, tmp_path / 'bag', '--wait', 0, '--remap', '/3/image:=/three')
    assert done.returncode == 0
    assert "topic '/gimbal-2/lwir' is left out" in done.stderr
    assert '--remap /gimbal-2/lwir:=/NAME' in done.stderr
    assert 'Traceback' not in done.stderr
    assert '1  /fine' in done.stdout and '1  /three' in done.stdout and 'gimbal' not in done.stdout


def test_what_is_whole_is_played_and_what_is_not_is_said(environment, bag):
    file = next(bag.glob('*.mcap'))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = play(environment, bag, '--wait', 0)
    assert done.returncode == 1
    published = int(done.stdout.split('published:')[1].split()[0])
    assert 0 < published < 15
    last = done.stderr.strip().splitlines()[-1]
    assert 'is not complete' in last and f'{published} of 15 of {VISIBLE}' in last
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    ('variables', 'arguments'), [({'HOME': '/proc'}, []), ({}, ['--ros-args', '-p', 'no_value'])]
)
def test_what_ros_refuses_is_one_line(environment, bag, variables, arguments):
    environment = {**environment, **variables}
    if variables:
        del environment['ROS_LOG_DIR']
    done = play(environment, bag, '--wait', 0, *arguments)
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith('replay: ')]

"""What other nodes do to the streams, over DDS and with processes: the log and the diagnostics tell it."""

import contextlib
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

import rclpy.subscription
from rig import START, image
from sensor_msgs.msg import CameraInfo

pytestmark = pytest.mark.slow  # processes of the node, over DDS

# Jazzy and Humble do not tell who sent a message: publishers are named when they have been there for a while.
TELLS_PUBLISHER = hasattr(rclpy.subscription, 'MessageInfo')
RAW = ('thermal/image_raw', 'visible/image_raw')


@contextlib.contextmanager
def camera(name, topic, **options):
    """A camera in a process of its own."""
    given = [part for key, value in options.items() for part in (f'--{key.replace("_", "-")}', str(value))]
    script = Path(__file__).with_name('paced_camera.py')
    process = subprocess.Popen([sys.executable, script, name, topic, *given])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_two_cameras_on_one_topic_are_named(rig, start_node):
    node = start_node()
    with camera('front', RAW[1], frame_id='front_optical'):
        rig.wait(lambda: 'visible 0.0' not in rig.messages['inputs'] and rig.messages['inputs'])
        with camera('rear', RAW[1], frame_id='rear_optical'):
            node.wait_for_log('2 publishers send at once')
            names = '/front, /rear'
            if TELLS_PUBLISHER:
                names = "/front (frame_id 'front_optical'), /rear (frame_id 'rear_optical')"
            assert f'/visible/image_raw: 2 publishers send at once, {names}' in node.log
            rig.wait(lambda: 'visible publishers mix' in rig.messages['inputs'])
            assert rig.levels['inputs'] >= 1
            assert names in rig.diagnostic('inputs', 'visible mixed')
        rig.wait(lambda: rig.diagnostic('inputs', 'visible mixed') == 'no')


def test_another_node_that_publishes_our_outputs_is_named(rig, start_node):
    node = start_node()
    start_node(arguments=['-r', '__node:=other_fusion'])
    node.wait_for_log('/other_fusion publishes on ')
    assert '/fused/image' in node.log
    rig.wait(lambda: '/other_fusion publishes' in rig.diagnostic('output', 'also published by'))
    rig.wait(lambda: rig.levels['output'] == 1)


def test_a_camera_that_is_far_too_fast_is_told(rig, start_node):
    node = start_node({'sync.tolerance': 0.05})
    with camera('slow', RAW[0], encoding='mono16', rate=3), camera('fast', RAW[1], rate=90):
        node.wait_for_log('lower its rate; the other camera sends')
        assert '/visible/image_raw: ' in node.log
        rig.wait(lambda: 'visible sends too much' in rig.messages['inputs'])
        assert 'thermal sends too much' not in rig.messages['inputs']


def test_numbers_that_no_camera_has_are_refused_once_and_told(rig, start_node):
    node = start_node({'calibration.source': 'camera_info'})
    rig.listen_and_be_known('fused/image')
    infos = ('thermal/camera_info', 'visible/camera_info')
    rig.camera(*RAW, *infos)

    def send_infos(stamp, **changes):
        for topic in infos:
            info = CameraInfo(width=128, height=96, k=[60, 0, 63.5, 0, 60, 47.5, 0, 0, 1.0])
            for name, value in changes.items() if topic == infos[0] else ():
                setattr(info, name, value)
            rig.send(topic, info, stamp)

    nan = float('nan')
    for number, (changes, words) in enumerate(
        [
            ({'k': [60, 0, nan, 0, 60, 32, 0, 0, 1.0]}, 'has numbers in K that are not finite'),
            ({'p': [nan] * 12}, 'has numbers in P that are not finite'),
            ({'k': [1e300, 0, 0, 0, 1e300, 0, 0, 0, 1.0]}, 'camera_info is wrong: K has fx = 1e+300'),
            ({'r': [2.0] * 9}, 'camera_info is wrong: R is no rotation'),
            ({'width': 4_000_000_000}, 'states a size of 4000000000x96'),
        ]
    ):
        stamps = itertools.count(START + number * 1_000_000_000_000, 100_000_000)

        # a pair may be fused before the camera_info that was sent with it has come
        def told(changes=changes, words=words, stamps=stamps):
            stamp = next(stamps)
            send_infos(stamp, **changes)
            rig.send_pair(stamp)
            return words in rig.messages['inference']

        rig.wait(told)
        rig.wait(lambda: rig.count('output', 'dropped', 'no_camera_info'))
        assert rig.levels['inference'] == 1
        if 'camera_info is' in words:
            node.wait_for_log(words)
    assert node.log.count('has numbers in K that are not finite: it is not used') == 1
    assert not rig.received['fused/image']

    def fused():
        send_infos(START + 10_000_000_000_000)
        fused.stamp += 100_000_000
        rig.send_pair(fused.stamp, image('mono16'), image('bgr8'))
        return rig.received['fused/image']

    fused.stamp = START + 20_000_000_000_000
    rig.wait(fused)

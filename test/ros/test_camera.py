"""Streams over DDS: nothing lost, nothing late, cameras that die, publishers of any quality, any clock."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from rig import SECOND, START, image, wait_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage

from irvis_fusion_ros import dds_profile
from irvis_fusion_ros.ros import qos

pytestmark = pytest.mark.slow  # processes of the node, over DDS

RAW = ('thermal/image_raw', 'visible/image_raw')
STEP = SECOND // 30


def accounted(rig):
    """Jobs, and where they went; equal when nothing is under way."""
    drops = ('superseded', 'too_old', 'overflow', 'stopped', 'not_wanted', 'refused', 'format_change')
    ends = sum(rig.count('output', 'dropped', cause) for cause in drops)
    ends += int(rig.diagnostic('inference', 'fused')) + int(rig.diagnostic('inference', 'passed through'))
    return int(rig.diagnostic('output', 'jobs')), ends + int(rig.diagnostic('output', 'waiting'))


def dropped(rig, camera):
    """How many images of a camera never became part of a pair, whatever the cause."""
    counts = rig.diagnostic('pairing', f'{camera} dropped')
    return sum(int(number) for number in re.findall(r' (\d+)', counts))


def settled(rig, camera, count):
    """Whether each of `count` images of a camera was lost, dropped, or became part of a pair."""
    lost, pairs = rig.diagnostic('inputs', f'{camera} lost on the way'), rig.diagnostic('pairing', 'pairs')
    return int(lost or 0) + int(pairs or 0) + dropped(rig, camera) == count


def test_every_frame_fuses_all_pairs_once_and_in_order(rig, start_node):
    start_node({'mode': 'every_frame'})
    rig.listen_and_be_known('fused/image')
    rig.camera(*RAW)
    count = 60
    # as fast as they can be sent: the node falls behind, and catches up; thermal is late, and at another rate
    for number in range(count + 3):
        if number < count:
            rig.send('visible/image_raw', image('bgr8', 240, 320), START + number * STEP)
        if number >= 3 and not (number - 3) % 2:
            rig.send('thermal/image_raw', image('mono16'), START + (number - 3) * STEP + 4_000_000)
    expected = [START + number * STEP for number in range(0, count, 2)]
    rig.wait_for('fused/image', len(expected))
    rig.refresh()
    assert rig.stamps('fused/image') == expected
    jobs, ends = accounted(rig)
    assert jobs == ends == len(expected)
    assert rig.diagnostic('pairing', 'thermal dropped') == 'none'


def test_every_frame_is_bounded_by_bytes(rig, start_node):
    start_node({'mode': 'every_frame', 'every_frame.max_queue_bytes': 1 << 20})
    rig.listen_and_be_known('fused/image')
    rig.camera(*RAW)
    count = 40
    thermal, visible = image('mono16', 240, 320), image('bgr8', 240, 320)  # 0.4 MB a pair
    for number in range(count):
        rig.send_pair(START + number * STEP, thermal, visible)

    def pairs():
        return int(rig.diagnostic('pairing', 'pairs') or 0)

    # one camera may arrive far ahead of the other: what then waits for a partner is bounded, too
    rig.wait(lambda: all(pairs() + dropped(rig, camera) == count for camera in ('thermal', 'visible')))
    # until every pair is accounted for: before the first has been taken, nothing waits, too
    rig.wait(lambda: accounted(rig) == (pairs(), pairs()))
    overflow = rig.count('output', 'dropped', 'overflow')
    rig.wait_for('fused/image', pairs() - overflow)
    full = sum(rig.count('pairing', f'{camera} dropped', 'queue_full') for camera in ('thermal', 'visible'))
    assert overflow + full > 0
    assert len(rig.received['fused/image']) == pairs() - overflow
    assert rig.levels['output'] == 1 or full or rig.diagnostic('output', 'dropped') != 'none'


def test_realtime_drops_what_it_has_no_time_for_and_accounts_for_it(rig, start_node):
    start_node()
    rig.listen_and_be_known('fused/image')
    rig.camera(*RAW)
    thermal, visible = image('mono16', 480, 640), image('bgr8', 480, 640)
    count = 80
    for number in range(count):
        rig.send_pair(START + number * STEP, thermal, visible)
        rig.wait(lambda: True)
        rig._executor.spin_once(timeout_sec=0.005)
    # on a busy machine any may be lost, or come after its partner was given up: the last, too
    rig.wait(lambda: all(settled(rig, camera, count) for camera in ('thermal', 'visible')))
    # the last pair may still be in the works
    rig.wait(lambda: len({int(rig.diagnostic('pairing', 'pairs')), *accounted(rig)}) == 1)
    rig.refresh()
    pairs = int(rig.diagnostic('pairing', 'pairs'))
    fused = int(rig.diagnostic('inference', 'fused'))
    rig.wait_for('fused/image', fused)
    stamps = rig.stamps('fused/image')
    assert stamps == sorted(set(stamps))
    assert accounted(rig) == (pairs, pairs)
    assert len(stamps) == fused
    assert rig.count('output', 'dropped', 'superseded') == pairs - fused > 0
    assert int(rig.diagnostic('output', 'waiting')) == 0


@pytest.mark.skipif(not qos.GIVES_MESSAGE_INFO, reason='this rclpy does not number messages')
def test_images_that_the_node_had_no_time_to_take_are_counted(rig, start_node):
    node = start_node({'sync.timeout': 0.1})
    rig.camera('visible/image_raw')
    message, count = image('bgr8', 48, 64), 40
    rig.send('visible/image_raw', message, START)
    rig.wait(lambda: rig.diagnostic('inputs', 'visible received') == '1')
    node.process.send_signal(signal.SIGSTOP)  # longer than the shallow queue of realtime reaches
    for number in range(1, count):
        rig.send('visible/image_raw', message, START + number * STEP)
    time.sleep(0.2)  # on their way, while the node stands still
    node.process.send_signal(signal.SIGCONT)
    rig.wait(lambda: int(rig.diagnostic('inputs', 'visible lost on the way')) > 20)
    rig.refresh()
    received = int(rig.diagnostic('inputs', 'visible received'))
    assert received + int(rig.diagnostic('inputs', 'visible lost on the way')) == count
    node.wait_for_log('/visible/image_raw: ')
    assert 'messages were lost on the way: this machine has no time to take them' in node.log


def test_a_dead_camera_is_passed_through_marked_and_taken_back(rig, start_node):
    node = start_node({'on_missing': 'pass_through', 'missing_after': 0.2})
    rig.listen('fused/image', 'valid_mask/image', 'deformation/image')
    rig.camera(*RAW)
    stamp = [START]

    def send(*cameras):
        stamp[0] += STEP
        for camera in cameras:
            rig.send(f'{camera}/image_raw', image('mono16' if camera == 'thermal' else 'bgr8'), stamp[0])
        rig._executor.spin_once(timeout_sec=0.03)

    def fused():
        return int(rig.diagnostic('inference', 'fused') or 0)

    def passed():
        return int(rig.diagnostic('inference', 'passed through') or 0)

    rig.wait(lambda: send('thermal', 'visible') or fused() > 2)
    frame = 'visible_optical'  # also of the thermal image alone, which is laid on the last visible grid
    for alive in ('visible', 'thermal'):
        before = passed()
        rig.wait(lambda alive=alive, before=before: send(alive) or passed() > before + 2)
        rig.wait(lambda alive=alive: send(alive) or 'is missing' in rig.messages['output'])
        assert rig.levels['output'] == 1
        mask = rig.received['valid_mask/image'][-1]
        assert mask.header.frame_id == frame
        assert not any(mask.data)
        before = fused()
        rig.wait(lambda before=before: send('thermal', 'visible') or fused() > before + 2)
        rig.wait(lambda: send('thermal', 'visible') or 'is missing' not in rig.messages['output'])
    assert 'thermal camera is missing' in node.log and 'visible camera is missing' in node.log


def test_a_dead_camera_is_waited_for_by_default(rig, start_node):
    node = start_node({'missing_after': 0.2, 'sync.timeout': 0.2, 'diagnostics.no_pair_after': 0.5})
    rig.listen('fused/image')
    rig.camera(*RAW)
    stamps = iter(range(START, START + 10_000 * STEP, STEP))

    def send_visible():
        rig.send('visible/image_raw', image('bgr8'), next(stamps))
        rig._executor.spin_once(timeout_sec=0.03)

    rig.wait(lambda: send_visible() or rig.count('pairing', 'visible dropped', 'no_partner') > 2)
    rig.wait(lambda: send_visible() or 'no pair for' in node.log)
    assert 'thermal topic /thermal/image_raw has a publisher, but nothing arrives' in node.log
    assert rig.levels['inputs'] == 2 and 'thermal camera is missing' in rig.messages['inputs']
    assert rig.levels['pairing'] == 1
    assert not rig.received['fused/image']


def say(rig, node, act, words):
    """Repeat `act` until the node has logged the words."""

    def step():
        act()
        rig._executor.spin_once(timeout_sec=0.03)

    rig.wait(lambda: step() or words in node.log)


QUICK = {'sync.timeout': 0.2, 'diagnostics.no_pair_after': 0.7}


def test_the_log_says_how_far_the_clocks_are_apart(rig, start_node):
    node = start_node(QUICK)
    rig.listen('fused/image')
    rig.camera(*RAW)
    stamps = iter(range(START, START + 10_000 * STEP, STEP))

    def send():
        stamp = next(stamps)
        rig.send('thermal/image_raw', image('mono16'), stamp - 2 * SECOND)
        rig.send('visible/image_raw', image('bgr8'), stamp)

    say(rig, node, send, 'thermal stamps lag visible ones by ')
    suggestion = float(node.log.rpartition('set sync.thermal_offset to ')[2].split(',')[0])
    assert suggestion == pytest.approx(2.0, abs=0.1)
    assert rig.set_parameter('sync.thermal_offset', 2.0).successful
    rig.wait(lambda: send() or rig.received['fused/image'])


def test_the_log_says_that_stamps_are_zero(rig, start_node):
    node = start_node(QUICK)
    rig.camera(*RAW)
    stamps = iter(range(START, START + 10_000 * STEP, STEP))

    def send():
        rig.send('thermal/image_raw', image('mono16'), 0)
        rig.send('visible/image_raw', image('bgr8'), next(stamps))

    say(rig, node, send, 'their stamps are zero: have the driver stamp them')


def test_the_log_says_why_images_are_refused_and_where_they_come(rig, start_node):
    node = start_node(QUICK)
    rig.camera('thermal/image_raw')
    rig.node.create_publisher(CompressedImage, 'visible/image_raw/compressed', 10)
    unknown = image('8UC3')
    unknown.encoding = 'yuv999'
    stamps = iter(range(START, START + 10_000 * STEP, STEP))
    say(rig, node, lambda: rig.send('thermal/image_raw', unknown, next(stamps)), 'images on thermal topic')
    assert "unknown image encoding 'yuv999'; known are mono8" in node.log
    assert 'set visible.transport to compressed' in node.log


def test_best_effort_publishers_are_followed_whenever_they_come(rig, start_node):
    node = start_node({'mode': 'every_frame', 'sync.timeout': 0.05})
    rig.listen('fused/image')
    rig.camera(*RAW, reliable=False)
    rig.wait(lambda: rig.diagnostic('inputs', 'visible reliability') == 'best effort')
    rig.wait(lambda: all(rig._publishers[topic].get_subscription_count() for topic in RAW))
    stamps = iter(range(START, START + 10_000 * STEP, STEP))
    rig.wait(lambda: rig.send_pair(next(stamps)) or rig.received['fused/image'])
    node.wait_for_log('/visible/image_raw: subscribed best effort, as its publishers offer')
    assert 'incompatible' not in node.log
    for topic in RAW:
        rig.node.destroy_publisher(rig._publishers[topic])
    rig.camera(*RAW)
    rig.wait(lambda: rig.diagnostic('inputs', 'visible reliability') == 'reliable')


def test_an_override_wins_and_a_mismatch_is_reported_by_topic(rig, start_node):
    name = 'qos_overrides./visible/image_raw.subscription.reliability'
    node = start_node(QUICK | {name: 'reliable'})
    rig.node.create_publisher(type(image('mono8')), 'thermal/image_raw', 10)
    from rclpy.qos import qos_profile_sensor_data

    rig.node.create_publisher(type(image('mono8')), 'visible/image_raw', qos_profile_sensor_data)
    node.wait_for_log('/visible/image_raw: a publisher offers incompatible quality of service (RELIABILITY)')
    assert name in node.log
    rig.wait(lambda: rig.diagnostic('inputs', 'visible reliability') == 'reliable')


def test_a_subscriber_that_cannot_be_served_is_reported_by_topic(rig, start_node):
    from rclpy.qos import DurabilityPolicy, QoSProfile

    node = start_node()
    profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    rig.node.create_subscription(type(image('mono8')), 'fused/image', print, profile)
    node.wait_for_log('/fused/image: a subscriber asks for incompatible quality of service (DURABILITY)')


def test_images_that_dds_loses_are_counted_and_the_remedy_is_told(rig, start_node):
    node = start_node()
    environment = {name: value for name, value in os.environ.items() if name not in dds_profile.VARIABLES}
    camera = subprocess.Popen([sys.executable, Path(__file__).with_name('lossy_camera.py')], env=environment)
    try:
        node.wait_for_log('/visible/image_raw: subscribed best effort')
        node.wait_for_log(
            'messages were lost on the way: give the process that publishes them the Fast DDS profile'
        )
        rig.wait(lambda: int(rig.diagnostic('inputs', 'visible lost on the way') or 0) > 10)
    finally:
        camera.terminate()
        camera.wait()


def test_simulated_time_that_stands_still_or_begins_again(rig, start_node):
    start_node({'mode': 'every_frame', 'sync.timeout': 0.05, 'use_sim_time': True})
    rig.listen_and_be_known('fused/image')
    rig.camera(*RAW)
    rig.send_pair(START)
    rig.wait(lambda: START in rig.stamps('fused/image'))
    rig.wait(lambda: rig.diagnostic('inference', 'fused') == '1')
    assert rig.diagnostic('output', 'age p50/p95 [s]') == 'unknown'
    assert rig.diagnostic('pairing', 'rate [Hz]') == '0.00'
    clock = rig.node.create_publisher(Clock, '/clock', 10)
    wait_until(clock.get_subscription_count, rig._state)

    def set_clock(nanoseconds):
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(nanoseconds, SECOND)
        clock.publish(message)
        rig._executor.spin_once(timeout_sec=0.02)

    for beginning in (START + 10 * SECOND, START):  # the second time the clock goes back
        fused = int(rig.diagnostic('inference', 'fused'))
        for number in range(20):
            set_clock(beginning + number * STEP)
            rig.send_pair(beginning + number * STEP)
        rig.wait(lambda fused=fused: int(rig.diagnostic('inference', 'fused')) >= fused + 19)
        rig.refresh()
        assert float(rig.diagnostic('pairing', 'rate [Hz]')) >= 0
        age = [float(value) for value in rig.diagnostic('output', 'age p50/p95 [s]').split(' / ')]
        assert all(abs(value) < 100 for value in age)

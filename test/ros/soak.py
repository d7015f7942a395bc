"""
A node for minutes under what a robot does to it: `scripts/soak`.

Cameras of 30 Hz are killed and started again, a reliable subscriber takes half a second for each image, other
topics come and go, and a parameter is changed each second. At the end every image and every pair is accounted
for, and the memory is what it was after the first minute.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from rig import NodeProcess, Rig, process_environment

CAMERAS = {'thermal': ('mono16', 256, 320), 'visible': ('bgr8', 512, 640)}
TOPICS = ('registered/image', 'deformation/image', 'deformation/image_color', 'fused/image/compressed')
# Each is changed to its second value and back.
CHANGES = (
    ('sync.tolerance', 0.05, 0.1),
    ('thermal.normalisation', 'percentile', 'auto'),
    ('output_encoding', 'mono8', 'bgr8'),
    ('highlight', 'tint', 'none'),
    ('targets', 'off', 'warm'),
    ('thermal.roi', '8, 8, 300, 240', ''),
    ('compressed.format', 'png', 'jpeg'),
    ('on_missing', 'pass_through', 'drop'),
    ('sync.thermal_offset', 0.001, 0.0),
    ('limits.max_pixels', 2048, 20_000_000),
    ('realtime.max_age', 0.05, 0.5),
)
# What the memory may still grow by after the first minute, as a part of it.
GROWTH = 0.1


class Slow:
    """A reliable subscriber that takes its time, in a process of its own."""

    PROGRAM = """
import time, rclpy
from irvis_fusion_ros import dds_profile
dds_profile.apply()
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
rclpy.init(args=[])
node = rclpy.create_node('slow')
node.create_subscription(Image, 'fused/image', lambda message: time.sleep(0.5), QoSProfile(depth=10))
rclpy.spin(node)
"""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, '-c', self.PROGRAM])


def main() -> int:
    """Run the soak and return 0 if it was passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=float, default=5)
    parser.add_argument('--rate', type=float, default=30)
    parser.add_argument('--preset', default='classical')
    parser.add_argument('--other-preset', help='change to this preset and back as well, each half minute')
    parser.add_argument('--mode', default='realtime')
    arguments = parser.parse_args()
    process_environment(tempfile.mkdtemp(prefix='soak_'))
    node = NodeProcess({'preset': arguments.preset, 'mode': arguments.mode, 'diagnostics.period': 0.5,
                        'calibration.source': 'none', 'calibration.file': ''})  # fmt: skip
    rig, slow, cameras = Rig(), Slow(), {}
    try:
        node.wait_for_log('fused/image')
        cameras = {name: start_camera(name, arguments.rate) for name in CAMERAS}
        samples = run(arguments, node, rig, cameras)
        for camera in cameras.values():
            camera.kill()
        return report(node, rig, samples)
    finally:
        for process in (*cameras.values(), slow.process):
            process.kill()
            process.wait()
        rig.close()
        node.close()


def start_camera(name, rate):
    """Return the process of a camera."""
    encoding, height, width = CAMERAS[name]
    script = Path(__file__).with_name('paced_camera.py')
    options = ['--encoding', encoding, '--size', str(height), str(width), '--rate', str(rate)]
    return subprocess.Popen([sys.executable, script, f'{name}_camera', f'{name}/image_raw', *options])


def run(arguments, node, rig, cameras):
    """Disturb the node for some minutes and return samples of its memory, (seconds, megabytes)."""
    begin, samples = time.monotonic(), []
    changes = itertools.cycle([(name, value) for name, *values in CHANGES for value in values])
    listeners = []
    for second in itertools.count(1):
        rig.wait(lambda due=begin + second: time.monotonic() >= due)
        if second > 60 * arguments.minutes:
            break
        did = []
        if second % 15 == 0:
            name = tuple(CAMERAS)[second // 15 % 2]
            cameras[name].kill()
            cameras[name].wait()
            did.append(f'{name} killed')
        if second % 15 == 2:
            for name in CAMERAS:
                if cameras[name].poll() is not None:
                    cameras[name] = start_camera(name, arguments.rate)
                    did.append(f'{name} started')
        if second % 15 == 5 and not listeners:
            listeners = [
                rig.node.create_subscription(type_of(topic), topic, print_nothing, 1) for topic in TOPICS
            ]
            did.append('more topics')
        elif second % 15 == 12:
            for listener in listeners:
                rig.node.destroy_subscription(listener)
            listeners = []
            did.append('fewer topics')
        name, value = next(changes)
        if arguments.other_preset and second % 30 == 0:
            name, value = 'preset', (arguments.other_preset, arguments.preset)[second // 30 % 2 == 0]
        result = rig.set_parameter(name, value)
        did.append(f'{name} {value!r}' if result.successful else f'{name} refused: {result.reason}')
        samples.append((time.monotonic() - begin, memory(node.process.pid)))
        fused = rig.diagnostic('inference', 'fused')
        print(
            f'{samples[-1][0]:6.1f} s  {described(samples[-1][1])}  fused {fused:>6}  {", ".join(did)}',
            flush=True,
        )
    return samples


def type_of(topic):
    """Return the type of the messages of a topic."""
    from sensor_msgs.msg import CompressedImage, Image

    return CompressedImage if topic.endswith('compressed') else Image


def print_nothing(message):
    """Take a message."""


def memory(pid):
    """Return the resident memory of a process in MB, and what it consists of."""
    found = {}
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]:
        name, kilobytes = line.split()[:2]
        found[name.rstrip(':')] = int(kilobytes) * 1024 / 1e6
    found['torch'] = 'libtorch_cpu' in Path(f'/proc/{pid}/maps').read_text()
    return found


def described(found):
    """Return memory in words."""
    torch = ' with torch' if found['torch'] else ''
    return f'{found["Rss"]:4.0f} MB, {found["Anonymous"]:4.0f} of them its own{torch}'


def report(node, rig, samples):
    """Print what became of everything; return 0 if it is well."""
    problems = []
    rig.refresh()
    previous = None
    while previous != (previous := [rig.diagnostic('output', 'jobs'), rig.diagnostic('output', 'waiting')]):
        rig.refresh()
    for name in CAMERAS:
        received = int(rig.diagnostic('inputs', f'{name} received'))
        parts = {
            'refused': rig.diagnostic('inputs', f'{name} refused'),
            'pairs': rig.diagnostic('pairing', 'pairs'),
        }
        parts |= {key: rig.diagnostic('pairing', f'{name} {key}') for key in ('alone', 'waiting', 'dropped')}
        ends = sum(total(text) for text in parts.values())
        print(f'{name}: received {received}, of them {parts}')
        if received != ends:
            problems.append(f'{name}: {received} received, {ends} accounted for')
    jobs = int(rig.diagnostic('output', 'jobs'))
    parts = {key: rig.diagnostic('inference', key) for key in ('fused', 'passed through', 'errors')}
    parts |= {key: rig.diagnostic('output', key) for key in ('waiting', 'dropped')}
    print(f'pairs: {jobs} handed over, of them {parts}')
    if jobs != (ends := sum(total(text) for text in parts.values())):
        problems.append(f'{jobs} pairs handed over, {ends} accounted for')
    settled = [found['Rss'] for second, found in samples if 50 <= second <= 70]
    last = [found['Rss'] for second, found in samples[-20:]]
    if settled:
        print(f'memory: {max(settled):.0f} MB after a minute, {max(last):.0f} MB at the end')
        if max(last) > (1 + GROWTH) * max(settled):
            problems.append(f'the memory grew from {max(settled):.0f} to {max(last):.0f} MB')
    if node.process.poll() is not None or 'failed' in node.log:
        problems.append('the node failed: ' + node.log[-2000:])
    print('\n'.join(problems) or 'passed')
    return 1 if problems else 0


def total(text):
    """Return the sum of the numbers in a list of counts, 'late 3, repeated 1', or of one number."""
    return sum(int(part.rpartition(' ')[2]) for part in text.split(', ') if part != 'none')


if __name__ == '__main__':
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    sys.exit(main())

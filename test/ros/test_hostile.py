"""
Images that attack decoders, mixed into a good stream over DDS: every good pair comes out.

`python test_hostile.py 300 FOLDER` goes on for 300 seconds, with the files of a folder as well, and prints
what happened.
"""

import contextlib
import itertools
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

# where this file is run by itself
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import hostile_images
import rig as rigs
from rig import SECOND, START, image
from sensor_msgs.msg import CompressedImage

from irvis_fusion_ros.ros import conversions

pytestmark = pytest.mark.slow  # processes of the node, over DDS

TOPICS = {name: f'{name}/image_raw/compressed' for name in ('thermal', 'visible')}
STEP = SECOND // 10
PARAMETERS = {'mode': 'every_frame', 'thermal.transport': 'compressed', 'visible.transport': 'compressed'}
# What the node may take beyond what the good pairs take, in MB.
MOST_MEMORY = 300


def good(encoding):
    """Return a good compressed image."""
    picture = conversions.to_picture(image(encoding), 1 << 20)
    encoded = hostile_images.encoded('.png', picture.pixels)
    return CompressedImage(format=f'{encoding}; png compressed {encoding}', data=encoded)


def peak(node):
    """Return the most memory that a process has ever had, in MB."""
    status = Path(f'/proc/{node.process.pid}/status').read_text()
    return int(status.partition('VmHWM:')[2].split()[0]) * 1024 / 1e6


class Mixture:
    """A stream of good pairs with hostile images between them, as fast as the node takes them."""

    def __init__(self, rig):
        self._rig = rig
        self._pair = {'thermal': good('mono16'), 'visible': good('bgr8')}
        self.sent = []  # the stamps of the good pairs
        self.hostile = 0
        rig.listen_and_be_known('fused/image')
        rig.camera(*TOPICS.values())

    def send(self, *hostile):
        """Send a good pair, and each of these images to both cameras."""
        stamp = START + len(self.sent) * STEP
        for name, topic in TOPICS.items():
            self._rig.send(topic, self._pair[name], stamp)
            for number, data in enumerate(hostile, 1):
                message = CompressedImage(format='jpeg', data=data)
                self._rig.send(topic, message, stamp + number * STEP // (len(hostile) + 1))
                self.hostile += 1
        self.sent.append(stamp)
        # the last pair may wait for the next one
        self._rig.wait(lambda: len(self._rig.received['fused/image']) >= len(self.sent) - 5)

    def came_out(self):
        """Wait for the last pair, and return whether all came out, once and in order."""
        self._rig.wait(lambda: self.sent[-1] in self._rig.stamps('fused/image'))
        return self._rig.stamps('fused/image') == self.sent

    def refused(self):
        """Return how many images were refused, by camera and cause, and how many whose partner was."""
        self._rig.refresh()
        found = {'partner': self._rig.count('output', 'dropped', 'refused')}
        for name in TOPICS:
            for part in self._rig.diagnostic('inputs', f'{name} refused').split(', '):
                cause, _, count = part.rpartition(' ')
                found[f'{name} {cause}'] = int(count)
        return found


def test_hostile_images_cost_neither_pairs_nor_memory(rig, start_node):
    hostile = list(hostile_images.all().values())
    node = start_node(PARAMETERS)
    mixture = Mixture(rig)
    for _ in range(10):
        mixture.send(b'no image')
    before = peak(node)
    for number in range(0, len(hostile), 4):
        mixture.send(*hostile[number : number + 4])
    assert mixture.came_out()
    assert peak(node) - before < MOST_MEMORY
    rig.wait(lambda: sum(mixture.refused().values()) == mixture.hostile)


def main(seconds, folder):
    """Go on for some time, and print what happened."""
    hostile = list(hostile_images.all().values()) + [path.read_bytes() for path in sorted(folder.iterdir())]
    rigs.process_environment(tempfile.mkdtemp(prefix='hostile_'))
    with contextlib.closing(rigs.Rig()) as rig, contextlib.closing(rigs.NodeProcess(PARAMETERS)) as node:
        node.wait_for_log('fused/image')
        mixture = Mixture(rig)
        for _ in range(10):
            mixture.send()
        before, end, images = peak(node), time.monotonic() + seconds, itertools.cycle(hostile)
        while time.monotonic() < end:
            mixture.send(*itertools.islice(images, 4))
        came = mixture.came_out()
        rig.wait(lambda: sum(mixture.refused().values()) >= mixture.hostile)
        print(f'{len(mixture.sent)} good pairs sent, all out and in order: {came}')
        print(f'{mixture.hostile} hostile messages of {len(hostile)} kinds; refused: {mixture.refused()}')
        print(f'memory at most {before:.0f} MB before, {peak(node):.0f} MB after')


if __name__ == '__main__':
    main(float(sys.argv[1]), Path(sys.argv[2]))

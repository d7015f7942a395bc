"""Bags as recorders of many kinds leave them."""

import struct
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from rosbags.typesys import Stores, get_typestore

from irvis_fusion_ros.errors import IncompleteBagError
from irvis_fusion_ros.io import bags

START = 1_700_000_000_000_000_000
STEP = 50_000_000
TOPICS = ('/front/thermal', '/front/visible')
STORE = get_typestore(Stores.ROS2_HUMBLE)
MAGIC = b'\x89MCAP0\r\n'


def record(path, storage='mcap', count=8, mode=CompressionMode.NONE, shape=(33, 47), first=0):
    """Write `count` images on each of two topics; returns the file."""
    writer = Writer(path, version=8, storage_plugin=bags.STORAGES[storage])
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = [writer.add_connection(topic, bags.IMAGE, typestore=STORE) for topic in TOPICS]
        for number in range(first, first + count):
            for connection in connections:
                writer.write(connection, START + number * STEP, message(number, shape))
    return next(file for file in Path(path).iterdir() if file.name != 'metadata.yaml')


def message(number, shape=(33, 47)):
    """Return a serialized image, another one for each number."""
    pixels = np.random.default_rng(number).integers(0, 255, shape, np.uint8)
    image = STORE.types[bags.IMAGE](
        header=bags.header(START + number * STEP, 'camera'),
        height=shape[0],
        width=shape[1],
        encoding='mono8',
        is_bigendian=0,
        step=shape[1],
        data=pixels.ravel(),
    )
    return bytes(STORE.serialize_cdr(image, bags.IMAGE))


def read(path, **options):
    """Return (topic, number of the image) of what is read, and why it is not all, or ''."""
    found, reason = [], ''
    with bags.BagReader(path) as bag:
        try:
            for each in bag.records(**options):
                number = (each.time - START) // STEP
                assert each.cdr == message(number)
                found.append((each.topic, number))
        except IncompleteBagError as error:
            reason = str(error)
    return found, reason


def everything(count=8):
    """Return what `read` gives of a whole bag."""
    return [(topic, number) for number in range(count) for topic in TOPICS]


def mcap(numbers, profile='', chunk=0, tail=True, encoding='cdr', kind=bags.IMAGE):
    """Return an mcap file without an index: messages in the order of `numbers`, `chunk` of them in one."""
    described = [_record(3, struct.pack('<H', 1) + _string(kind) + _string('ros2msg') + _string(''))]
    for identifier, topic in enumerate(TOPICS):
        text = struct.pack('<HH', identifier, 1) + _string(topic) + _string(encoding) + _string('')
        described.append(_record(4, text))
    messages = [
        _record(5, struct.pack('<HIQQ', identifier, 0, START + number * STEP, 0) + message(number))
        for number in numbers
        for identifier in range(len(TOPICS))
    ]
    data = described + messages
    if chunk:
        times = [START + number * STEP for number in numbers]
        parts = [b''.join(described + messages[:chunk])]
        parts += [b''.join(messages[at : at + chunk]) for at in range(chunk, len(messages), chunk)]
        head = struct.pack('<QQ', min(times), max(times))
        data = [
            _record(
                6,
                head + struct.pack('<QI', len(part), 0) + _string('') + struct.pack('<Q', len(part)) + part,
            )
            for part in parts
        ]
    begin = MAGIC + _record(1, _string(profile) + _string('a test'))
    end = _record(15, bytes(4)) + _record(2, bytes(20)) + MAGIC
    return begin + b''.join(data) + (end if tail else b'')


def _record(code, body):
    return struct.pack('<BQ', code, len(body)) + body


def _string(text):
    return struct.pack('<I', len(text.encode())) + text.encode()

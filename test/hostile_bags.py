"""Bags that attack whoever reads them; each is written into a folder, by name."""

import sqlite3
import struct
import sys

import numpy as np

from irvis_fusion_ros.io.bags import BagWriter
from irvis_fusion_ros.io.storage.mcap import MAGIC

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

THERMAL, VISIBLE = '/thermal/image_raw', '/visible/image_raw'
COUNT = 12


def good(path):
    """Write a bag of 12 images of each camera; returns its file."""
    with BagWriter(path) as bag:
        for number in range(COUNT):
            for topic in (THERMAL, VISIBLE):
                image = np.full((8, 10), number, np.uint8)
                bag.write_image(topic, image, 'mono8', 1_000_000_000 + number * 100_000_000, 'camera')
    return next(file for file in path.iterdir() if file.suffix in ('.mcap', '.db3'))


def record(code, body, length=None):
    return bytes([code]) + struct.pack('<Q', len(body) if length is None else length) + body


def text(value):
    return struct.pack('<I', len(value)) + value


def chunk(stored, size, compression=b'zstd', start=1, stop=2, checksum=0):
    head = struct.pack('<QQQI', start, stop, size, checksum) + text(compression)
    return record(0x06, head + struct.pack('<Q', len(stored)) + stored)


def mcap(*records):
    return MAGIC + record(0x01, text(b'ros2') + text(b'')) + b''.join(records) + MAGIC


def channel(number=1, schema=1, topic=THERMAL.encode(), encoding=b'cdr'):
    return record(
        0x04, struct.pack('<HH', number, schema) + text(topic) + text(encoding) + struct.pack('<I', 0)
    )


def schema(number=1, name=b'sensor_msgs/msg/Image'):
    return record(0x03, struct.pack('<H', number) + text(name) + text(b'ros2msg') + text(b''))


def message(number=1, time=1, data=b'\0\1\0\0'):
    return record(0x05, struct.pack('<HIQQ', number, 0, time, time) + data)


def mcaps():
    described = schema() + channel()
    bomb = zstd.compress(bytes(1 << 30))
    index = record(0x07, struct.pack('<HI', 1, 2**32 - 16), 6)
    yield from {
        'a bomb that is announced': mcap(described, chunk(bomb, 1 << 30)),
        'a bomb that is not': mcap(described, chunk(bomb, 100)),
        'a chunk of 2^63 bytes': mcap(described, chunk(b'', 1 << 63, b'')),
        'a chunk that is another compression': mcap(described, chunk(b'x', 1, b'brotli')),
        'chunk in a chunk': mcap(described, chunk(chunk(bomb, 1 << 30), 99, b'')),
        'a record of 2^64 bytes': mcap(described, record(0x05, b'', 2**64 - 1)),
        'a record that wraps': mcap(described, record(0x05, b'', 2**64 - 9)),
        'a message of no channel': mcap(described, message(7)),
        'a message without a head': mcap(described, record(0x05, b'\1\0')),
        'a topic of 4 GB': mcap(schema(), record(0x04, struct.pack('<HHI', 1, 1, 2**32 - 1))),
        'a schema of 4 GB': mcap(record(0x03, struct.pack('<HI', 1, 2**32 - 1)), message()),
        'an index of nothing': mcap(described, chunk(b'', 0, b''), index),
        'statistics of 2^64': mcap(
            described,
            message(),
            record(0x0B, struct.pack('<QHIIIIQQI', 2**64 - 1, 1, 1, 0, 0, 0, 0, 2**64 - 1, 2**32 - 1)),
        ),
        'times of 2^64': mcap(described, *(message(time=2**64 - each) for each in (1, 2, 3))),
        'only magic': MAGIC + MAGIC,
        'magic and noise': MAGIC + bytes(range(256)) * 40,
        'a message that is none': mcap(described, message(data=b'\0\1\0\0' + b'\xff' * 20)),
    }.items()


def databases(path):
    """Yield databases that compute without an end, or more than there is, as functions that write one."""
    forever = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT'
    topics = "(1, '/thermal/image_raw', 'sensor_msgs/msg/Image', 'cdr', '')"
    plain = (
        'CREATE TABLE topics(id INTEGER PRIMARY KEY, name, type, serialization_format, offered_qos_profiles)',
        f'INSERT INTO topics VALUES {topics}',
    )
    messages = 'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data)'
    scripts = {
        'topics without an end': (
            f"CREATE VIEW topics AS {forever} i AS id, 'a' AS name, 'b' AS type FROM n",
            messages,
        ),
        'messages without an end': (
            *plain,
            f"CREATE VIEW messages AS {forever} i AS id, 1 AS topic_id, i AS timestamp, x'00' AS data FROM n",
        ),
        'metadata without an end': (
            *plain,
            messages,
            f'CREATE VIEW metadata AS {forever} i AS metadata FROM n',
        ),
        'data that is computed': (
            *plain,
            'CREATE TABLE messages(topic_id, timestamp, data AS (zeroblob(900000000)))',
            'INSERT INTO messages(topic_id, timestamp) VALUES (1, 1)',
        ),
        'a topic of another type': (*plain, messages, "INSERT INTO messages VALUES (1, 'x', 'y', 'z')"),
        'times beyond numbers': (*plain, messages, "INSERT INTO messages VALUES (1, 1, 1e300, x'00010000')"),
        'a name of a million letters': (
            *plain[:1],
            "INSERT INTO topics VALUES (1, hex(zeroblob(500000)), 5, NULL, x'ff')",
            messages,
        ),
        'no tables': ('CREATE TABLE other(a)',),
        'another layout': ('CREATE TABLE topics(a)', 'INSERT INTO topics VALUES (1)', messages),
        'numbers of rows to 2^63': (
            *plain,
            messages,
            f"INSERT INTO messages VALUES ({2**63 - 1}, 1, {2**63 - 1}, x'00010000')",
        ),
        'data that is no blob': (*plain, messages, "INSERT INTO messages VALUES (1, 1, 1, 'text')"),
    }
    for name, script in scripts.items():
        path.unlink(missing_ok=True)
        database = sqlite3.connect(path)
        for statement in script:
            database.execute(statement)
        database.commit()
        database.close()
        yield name, path.read_bytes()


METADATA = {
    'aliases': 'a: &a [x, x]\nb: &b [*a, *a]\nrosbag2_bagfile_information: {version: 5, c: *b}\n',
    'deep': 'rosbag2_bagfile_information: ' + '[' * 5000,
    'tags': 'rosbag2_bagfile_information: !!python/object/apply:os.system [true]\n',
    'numbers': 'rosbag2_bagfile_information: {version: ' + '9' * 5000 + '}\n',
    'a list': '[1, 2, 3]',
    'a file above': 'rosbag2_bagfile_information: {relative_file_paths: [../../etc/passwd]}',
    'a file that is none': 'rosbag2_bagfile_information: {relative_file_paths: [null, 3, ""]}',
    'counts below 0': 'topics_with_message_count: [{message_count: -5, topic_metadata: {name: /a}}]',
    'counts that are none': 'rosbag2_bagfile_information: {topics_with_message_count: {a: b}, duration: x}',
    'zero bytes': 'a: \0',
}


def all(folder):
    """Write all of them into a folder; returns the paths by name."""
    folder.mkdir()
    found = {}

    def add(name, suffix, data):
        found[name] = folder / f'{len(found)}{suffix}'
        found[name].write_bytes(data)

    for name, data in mcaps():
        add(f'mcap: {name}', '.mcap', data)
    for name, data in list(databases(folder / 'made.db3')):
        add(f'db3: {name}', '.db3', data)
    (folder / 'made.db3').unlink()
    add('zstd: a bomb', '.mcap.zstd', zstd.compress(bytes(1 << 30)))
    add('zstd: cut short', '.mcap.zstd', zstd.compress(bytes(1 << 20))[:20])
    add('nothing', '.mcap', b'')
    add('noise', '.db3', bytes(range(256)) * 20)
    for name, content in METADATA.items():
        bag = folder / f'bag{len(found)}'
        good(bag)
        (bag / 'metadata.yaml').write_text(content)
        found[f'metadata: {name}'] = bag
    return found

"""
Reading and writing rosbag2 recordings of images: mcap and sqlite3, no ROS distribution needed.

A thin layer over the rosbags library. Stamps and times are integer nanoseconds; images are NumPy arrays.

    with BagWriter('flight') as bag:
        bag.write_image('/thermal/image_raw', image, 'mono16', stamp, 'thermal_optical_frame')
    with BagReader('flight') as bag:
        for recorded in bag.images('/thermal/image_raw'):
            print(recorded.stamp, recorded.image.shape)
"""

import difflib
import functools
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from irvis_fusion_ros.errors import BagError, IncompleteBagError
from irvis_fusion_ros.io.storage import files
from irvis_fusion_ros.io.storage.base import Storage, merged
from irvis_fusion_ros.io.storage.compression import ZSTD_MAGIC, decompressed
from irvis_fusion_ros.io.storage.metadata import Metadata, parsed
from irvis_fusion_ros.io.storage.writer import Writer

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_SUFFIXES = {'.mcap': 'mcap', '.db3': 'sqlite3'}
# The newest layout that Humble's rosbag2 opens as well; every later one reads it.
_METADATA_VERSION = 8
# The image, camera and diagnostic messages are the same, type hashes included, from Humble to Lyrical.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)
# The encapsulation header of CDR, which begins with a 0.
_SHORTEST = 4
_CAUSES_SHOWN = 3
# How the definition of a type begins that is in IDL.
_IDL = '=' * 80 + '\nIDL: '
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)


@dataclass(frozen=True)
class Topic:
    """What a bag holds of one topic. definition: of its type, as text; '' where the bag has none."""

    name: str
    type: str
    count: int
    latched: bool = False
    definition: str = ''


@dataclass(frozen=True)
class Record:
    """One recorded message: when it was recorded, and its CDR bytes, encapsulation header included."""

    topic: str
    type: str
    time: int
    cdr: bytes


@dataclass(frozen=True)
class RecordedImage:
    """One recorded image: H x W or H x W x C, in native byte order, without row padding (read-only)."""

    topic: str
    time: int
    stamp: int
    frame_id: str
    encoding: str
    image: np.ndarray


@dataclass(frozen=True)
class Intrinsics:
    """
    The calibration of one camera, as CameraInfo has it.

    size: (width, height) in pixels. k: 3x3. d: plumb_bob coefficients. r: 3x3 rectification. p: 3x4.
    """

    size: tuple[int, int]
    k: np.ndarray
    d: np.ndarray
    r: np.ndarray
    p: np.ndarray


class BagReader:
    """
    A bag opened for reading: a rosbag2 directory, or one .mcap or .db3 file of it, whole or damaged.

    topics: name to Topic. start, stop: time of the first message, and just after the last one. notes: what
    the user should know of the bag, one line each, nothing being lost by it.
    Raises BagError if nothing can be read of it.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._files = ExitStack()
        try:
            self._open()
        except BaseException:
            self._files.close()
            raise

    def __enter__(self) -> 'BagReader':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def contents(self) -> str:
        """Return a line for each topic: name, type and number of messages."""
        lines = [f'  {t.name}  {t.type}  {t.count} messages' for t in self.topics.values()]
        return '\n'.join(lines) or '  (nothing)'

    def topic(self, name: str, types: Iterable[str] = ()) -> Topic:
        """
        Find a topic by its name, with or without the leading slash.

        Raises BagError, which lists what is in the bag, if it is missing or is of none of `types`.
        """
        found = self.topics.get(name) or next(
            (t for t in self.topics.values() if t.name.strip('/') == name.strip('/')), None
        )
        if found is None:
            near = difflib.get_close_matches(name, self.topics, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ''
            raise BagError(f"bag '{self.path}' has no topic '{name}'.{hint} It holds:\n{self.contents()}")
        types = tuple(types)
        if types and found.type not in types:
            raise BagError(
                f"topic '{found.name}' of bag '{self.path}' is {found.type}; expected {' or '.join(types)}. "
                f'The bag holds:\n{self.contents()}'
            )
        return found

    def records(
        self, topics: Iterable[str] | None = None, start: int | None = None, stop: int | None = None
    ) -> Iterator[Record]:
        """
        Iterate the messages of `topics` (default: all) in recorded order, `start` <= time < `stop`.

        Raises IncompleteBagError at the end, when all that is whole has come, if that is not everything.
        """
        names = frozenset(self.topics if topics is None else (self.topic(name).name for name in topics))
        start = self.start if start is None else start
        stop = self.stop if stop is None else stop
        read: Counter = Counter()
        damaged = [f"'{name}' is missing" for name in self._missing] + [*self._unreadable]
        parts = [
            (max(storage.start, start), functools.partial(storage.messages, names, start, stop))
            for storage in self._storages
            if storage.start < stop and storage.stop > start
        ]
        for time, channel, data in merged(parts):
            if data.startswith(ZSTD_MAGIC):
                data, problem = decompressed(data, 'zstd')
                if problem:
                    damaged.append(f"a message of '{channel.topic}' at {time} ns is {problem}")
                    continue
            if len(data) < _SHORTEST or data[0]:
                damaged.append(f"a message of '{channel.topic}' at {time} ns is none of ROS 2")
                continue
            read[channel.topic] += 1
            yield Record(channel.topic, self.topics[channel.topic].type, time, data)
        damaged += [loss for storage in self._storages for loss in storage.losses]
        self._check(read, names, start <= self.start and stop >= self.stop, damaged)

    def decode(self, record: Record) -> Any:
        """Return the message of a record, with the fields of its ROS definition. Raises BagError."""
        if record.type not in _TYPES.fielddefs:
            raise BagError(f"topic '{record.topic}' of bag '{self.path}': unknown type {record.type}")
        try:
            return _TYPES.deserialize_cdr(record.cdr, record.type)
        except Exception as error:
            raise BagError(
                f"topic '{record.topic}' of bag '{self.path}', message at {record.time} ns: "
                f'not a valid {record.type} ({error})'
            ) from error

    def images(
        self, *topics: str, start: int | None = None, stop: int | None = None
    ) -> Iterator[RecordedImage]:
        """Iterate the images of raw or compressed image topics in recorded order. Raises BagError."""
        names = [self.topic(name, (IMAGE, COMPRESSED_IMAGE)).name for name in topics]
        for record in self.records(names, start, stop):
            message = self.decode(record)
            try:
                encoding, image = _compressed(message) if record.type == COMPRESSED_IMAGE else _raw(message)
            except ValueError as error:
                raise BagError(f"bag '{self.path}', topic '{record.topic}': {error}") from error
            stamp = to_nanoseconds(message.header.stamp)
            yield RecordedImage(record.topic, record.time, stamp, message.header.frame_id, encoding, image)

    def _open(self) -> None:
        found = files.contents(self.path)
        self.notes = list(found.notes)
        self._missing = found.missing
        self._unreadable: list[str] = []
        self._storages: list[Storage] = []
        for file in found.files:
            self._add(file)
        if not self._storages:
            raise BagError(self._unreadable[0])
        self.notes += [note for storage in self._storages for note in storage.notes]
        stated = found.metadata
        if not stated.counts:
            # rosbag2 stores the same in the files themselves
            stated = next((each for storage in self._storages if (each := _stored(storage)).counts), stated)
            # ... which says nothing of the others
            stated = stated if len(self._storages) == 1 else Metadata(types=stated.types)
        self._describe(stated)
        if stated.stop:
            for storage in self._storages:
                storage.confine(stated.start, stated.stop)
        held = [storage for storage in self._storages if storage.counts]
        self.start = min((storage.start for storage in held), default=0)
        self.stop = max((storage.stop for storage in held), default=0)
        self.count = sum(topic.count for topic in self.topics.values())

    def _add(self, file: Path) -> None:
        try:
            self._storages.append(files.opened(file, self._files))
        except BagError as error:
            self._unreadable.append(str(error))

    def _describe(self, stated: Metadata) -> None:
        """Bring what the files hold and what is stated of them together; what the files say is so."""
        stored: Counter = sum((storage.counts for storage in self._storages), Counter())
        self.topics: dict[str, Topic] = {}
        foreign = {}
        for channel in (channel for storage in self._storages for channel in storage.channels):
            if channel.encoding != 'cdr':
                foreign[channel.topic] = channel.encoding
                continue
            earlier = self.topics.get(channel.topic)
            kind = earlier.type if earlier else channel.type
            if kind not in _TYPES.fielddefs:
                kind = stated.types.get(channel.topic) or kind
            latched = channel.latched or bool(earlier and earlier.latched)
            definition = (earlier and earlier.definition) or channel.definition
            count = max(stored[channel.topic], stated.counts[channel.topic])
            self.topics[channel.topic] = Topic(channel.topic, kind, count, latched, definition)
        for topic, count in stated.counts.items():
            if topic not in self.topics:
                self.topics[topic] = Topic(topic, stated.types[topic], count, topic in stated.latched)
        for topic, encoding in foreign.items():
            text = f"topic '{topic}' is left out: its messages are '{encoding}', not 'cdr' as those of ROS 2"
            # the metadata of a bag knows only what ROS 2 has recorded
            (self._unreadable if topic in self.topics else self.notes).append(text)

    def _check(self, read: Counter, names: frozenset[str], complete: bool, damaged: list[str]) -> None:
        claimed = {name: self.topics[name].count for name in sorted(names)}
        short = {name: count for name, count in claimed.items() if complete and read[name] < count}
        if not short and not damaged:
            return
        causes = list(dict.fromkeys(damaged)) or ['the files hold no more']
        more = f' and {len(causes) - _CAUSES_SHOWN} more' if len(causes) > _CAUSES_SHOWN else ''
        numbers = ', '.join(f'{read[name]} of {count} of {name}' for name, count in short.items())
        why = '; '.join(causes[:_CAUSES_SHOWN]) + more
        text = f'{numbers} were read ({why})' if short else why
        raise IncompleteBagError(f"bag '{self.path}' is not complete: {text}", read, claimed)


class BagWriter:
    """
    A new bag: a directory at `path`, metadata that Humble and everything later reads.

    storage: 'mcap' or 'sqlite3'; by default the suffix of `path` (.mcap, .db3) decides, and mcap without one.
    Raises BagError if something is at `path` already.
    """

    def __init__(self, path: Path | str, storage: str | None = None):
        self.path = Path(path)
        storage = storage or _SUFFIXES.get(self.path.suffix, 'mcap')
        if storage not in STORAGES:
            raise BagError(f"unknown bag storage '{storage}'; valid: {', '.join(STORAGES)}")
        if self.path.exists():
            raise BagError(f"'{self.path}' exists already; remove it or choose another name")
        self._connections: dict[str, Any] = {}
        self._failed = False
        self._writer = Writer(self.path, version=_METADATA_VERSION, storage_plugin=STORAGES[storage])
        with self._telling():
            self._writer.open()

    def __enter__(self) -> 'BagWriter':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._failed:
            self.close()

    def close(self) -> None:
        """Write the index and the metadata. Raises BagError."""
        with self._telling():
            self._writer.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self._writer.abort()  # a second attempt to write the index would fail in the same way
            self._failed = True
            reason = getattr(error, 'strerror', None) or error
            raise BagError(f"cannot write the bag '{self.path}': {reason}") from error

    def note(self, key: str, value: str) -> None:
        """Keep a remark in the metadata of the bag (`custom_data`)."""
        self._writer.set_custom_data(key, value)

    def write(self, topic: str, type_name: str, cdr: bytes | memoryview, time: int) -> None:
        """Write a serialized message, as a raw subscription delivers it, at a recording time."""
        if topic not in self._connections:
            self.add(Topic(topic, type_name, 0))
        with self._telling():
            self._writer.write(self._connections[topic], time, cdr)

    def add(self, topic: Topic) -> None:
        """Say what a topic is before it is written: one of a type that is not common, or a latched one."""
        if topic.name in self._connections:
            return
        types = _TYPES
        if topic.type not in types.fielddefs:
            types = _defined(topic)
        profiles = [_LATCHED] if topic.latched else []
        with self._telling():
            self._connections[topic.name] = self._writer.add_connection(
                topic.name, topic.type, typestore=types, offered_qos_profiles=profiles
            )

    def write_message(self, topic: str, type_name: str, message: Any, time: int) -> None:
        """Write a message as `BagReader.decode` gives it."""
        self.write(topic, type_name, _TYPES.serialize_cdr(message, type_name), time)

    def write_image(
        self, topic: str, image: np.ndarray, encoding: str, stamp: int, frame_id: str, time: int | None = None
    ) -> None:
        """
        Write an image (H x W or H x W x C, of the dtype and channels its encoding names).

        stamp goes into the header; time is when it was recorded, by default the stamp.
        """
        dtype, channels = layout(encoding)
        if image.dtype != dtype or image.shape[2:] not in (((channels,),) if channels > 1 else ((), (1,))):
            raise ValueError(f'{topic}: a {encoding} image cannot be {image.dtype} of shape {image.shape}')
        height, width = image.shape[:2]
        little = np.ascontiguousarray(image, image.dtype.newbyteorder('<'))
        message = _TYPES.types[IMAGE](
            header=_header(stamp, frame_id),
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=0,
            step=width * channels * dtype.itemsize,
            data=little.reshape(-1).view(np.uint8),
        )
        self.write(topic, IMAGE, _TYPES.serialize_cdr(message, IMAGE), stamp if time is None else time)

    def write_camera_info(
        self, topic: str, camera: Intrinsics, stamp: int, frame_id: str, time: int | None = None
    ) -> None:
        """Write the calibration of a camera; stamp and time as for an image."""
        region = _TYPES.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
        message = _TYPES.types[CAMERA_INFO](
            header=_header(stamp, frame_id),
            width=camera.size[0],
            height=camera.size[1],
            distortion_model='plumb_bob',
            d=np.asarray(camera.d, np.float64).ravel(),
            k=np.asarray(camera.k, np.float64).ravel(),
            r=np.asarray(camera.r, np.float64).ravel(),
            p=np.asarray(camera.p, np.float64).ravel(),
            binning_x=0,
            binning_y=0,
            roi=region,
        )
        cdr = _TYPES.serialize_cdr(message, CAMERA_INFO)
        self.write(topic, CAMERA_INFO, cdr, stamp if time is None else time)


def layout(encoding: str) -> tuple[np.dtype, int]:
    """Return dtype and channels of an image encoding. Raises ValueError for one that is not known."""
    if encoding in _NAMED:
        return _NAMED[encoding]
    match = re.fullmatch(r'(8|16|32|64)([USF])C([1-9]\d*)', encoding)
    kind = match and {'U': 'uint', 'S': 'int', 'F': 'float'}[match[2]] + match[1]
    if kind not in _DTYPES:
        raise ValueError(f"unknown image encoding '{encoding}'")
    return np.dtype(kind), int(match[3])


def to_nanoseconds(stamp: Any) -> int:
    """Turn a `builtin_interfaces/Time` into nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


_NAMED = {
    'mono8': (np.dtype('uint8'), 1),
    'mono16': (np.dtype('uint16'), 1),
    'bgr8': (np.dtype('uint8'), 3),
    'rgb8': (np.dtype('uint8'), 3),
    'bgra8': (np.dtype('uint8'), 4),
    'rgba8': (np.dtype('uint8'), 4),
    'bgr16': (np.dtype('uint16'), 3),
    'rgb16': (np.dtype('uint16'), 3),
}
_DTYPES = ('uint8', 'int8', 'uint16', 'int16', 'int32', 'float16', 'float32', 'float64')


def _defined(topic: Topic) -> Typestore:
    """Return the types that are needed to write a topic of a type that is not common. Raises BagError."""
    if not topic.definition:
        raise BagError(f"topic '{topic.name}': no definition of {topic.type} to write into a bag")
    types = get_typestore(Stores.ROS2_HUMBLE)
    try:
        if topic.definition.startswith(_IDL):
            found = get_types_from_idl(topic.definition)
        else:
            found = get_types_from_msg(topic.definition, topic.type)
        types.register({name: fields for name, fields in found.items() if name not in types.fielddefs})
        types.hash_rihs01(topic.type)
    except Exception as error:  # the parser lets many kinds through
        reason = ' '.join(str(error).split())
        raise BagError(
            f"topic '{topic.name}': the definition of {topic.type} cannot be used ({reason})"
        ) from error
    return types


def _stored(storage: Storage) -> Metadata:
    try:
        return parsed(storage.metadata) if storage.metadata else Metadata()
    except ValueError:
        return Metadata()


def _header(stamp: int, frame_id: str) -> Any:
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    time = _TYPES.types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return _TYPES.types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)


def _raw(message: Any) -> tuple[str, np.ndarray]:
    dtype, channels = layout(message.encoding)
    stored = dtype.newbyteorder('>' if message.is_bigendian else '<')
    row = message.width * channels * dtype.itemsize
    if message.step < row or len(message.data) < message.step * message.height:
        raise ValueError(
            f'a {message.width}x{message.height} {message.encoding} image with step {message.step} '
            f'and {len(message.data)} bytes of data is cut short'
        )
    shape = (message.height, message.width, channels)
    strides = (message.step, channels * dtype.itemsize, dtype.itemsize)
    padded = np.ndarray(shape, stored, message.data, strides=strides)
    image = np.ascontiguousarray(padded, dtype)
    return message.encoding, image[..., 0] if channels == 1 else image


def _compressed(message: Any) -> tuple[str, np.ndarray]:
    image = cv2.imdecode(message.data, cv2.IMREAD_UNCHANGED) if len(message.data) else None
    if image is None:
        raise ValueError(f"cannot decode a compressed image of format '{message.format}'")
    colour = {2: 'mono', 3: 'bgr'}.get(image.ndim) if image.shape[2:] != (4,) else 'bgra'
    return f'{colour}{image.dtype.itemsize * 8}', image

"""
Reading and writing rosbag2 recordings of images: mcap and sqlite3, no ROS distribution needed.

Messages are converted and bags are written by rosbags; files are read by io/storage, because rosbags refuses
or shortens those that are not whole. Stamps and times are integer nanoseconds; images are NumPy arrays.

    with BagWriter('flight') as bag:
        bag.write_image('/thermal/image_raw', image, 'mono16', stamp, 'thermal_optical_frame')
    with BagReader('flight') as bag:
        for recorded in bag.images('/thermal/image_raw'):
            print(recorded.stamp, recorded.image.shape)
"""

import difflib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from irvis_fusion_ros.errors import BagError, ImageError
from irvis_fusion_ros.io import encodings, images
from irvis_fusion_ros.io.storage.base import Topic
from irvis_fusion_ros.io.storage.stored_bag import StoredBag
from irvis_fusion_ros.io.storage.writer import LATCHED, Writer, defined

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
COMPRESSED_VIDEO = 'foxglove_msgs/msg/CompressedVideo'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_SUFFIXES = {'.mcap': 'mcap', '.db3': 'sqlite3'}
# The newest layout that Humble's rosbag2 opens as well; every later one reads it.
_METADATA_VERSION = 8
# The image, camera and diagnostic messages are the same, type hashes included, from Humble to Lyrical.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)
_TYPES.register(
    get_types_from_msg(
        'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n', COMPRESSED_VIDEO
    )
)


@dataclass(frozen=True)
class Record:
    """One recorded message: when it was recorded, and its CDR bytes, encapsulation header included."""

    topic: str
    type: str
    time: int
    cdr: bytes


@dataclass(frozen=True)
class RecordedImage:
    """
    One recorded image, as it is stored: H x W or H x W x C, in native byte order, without row padding.

    `encodings.picture` makes pixels of what is YUV, Bayer or has alpha. Read-only.
    """

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
        self._files = StoredBag(self.path, _TYPES.fielddefs)
        self.topics = self._files.topics
        self.notes = self._files.notes
        self.start, self.stop = self._files.start, self._files.stop
        self.count = sum(topic.count for topic in self.topics.values())

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
        for time, channel, data in self._files.messages(names, start, stop):
            yield Record(channel.topic, self.topics[channel.topic].type, time, data)

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
            yield self.image(record)

    def image(self, record: Record) -> RecordedImage:
        """Return the image in a record of a raw or compressed image topic. Raises BagError."""
        message = self.decode(record)
        try:
            encoding, image = _compressed(message) if record.type == COMPRESSED_IMAGE else _raw(message)
        except ImageError as error:
            raise BagError(f"bag '{self.path}', topic '{record.topic}': {error}") from error
        stamp = to_nanoseconds(message.header.stamp)
        return RecordedImage(record.topic, record.time, stamp, message.header.frame_id, encoding, image)


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
            raise BagError(f"cannot write the bag at '{self.path}': {reason}") from error

    def note(self, key: str, value: str) -> None:
        """Keep a remark in the metadata of the bag (`custom_data`)."""
        self._writer.set_custom_data(key, value)

    def write(self, topic: str, type_name: str, cdr: bytes | memoryview, time: int) -> None:
        """Write a serialized message, as a raw subscription delivers it, at a time. Raises BagError."""
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
            types = defined(topic)
        profiles = [LATCHED] if topic.latched else []
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
        kind = encodings.find(encoding)
        dtype, channels = kind.dtype, kind.channels
        if image.dtype != dtype or image.shape[2:] not in (((channels,),) if channels > 1 else ((), (1,))):
            raise ValueError(f'{topic}: a {encoding} image cannot be {image.dtype} of shape {image.shape}')
        height, width = int(image.shape[0] / kind.rows), image.shape[1]
        little = np.ascontiguousarray(image, image.dtype.newbyteorder('<'))
        message = _TYPES.types[IMAGE](
            header=header(stamp, frame_id),
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
            header=header(stamp, frame_id),
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


def to_nanoseconds(stamp: Any) -> int:
    """Turn a `builtin_interfaces/Time` into nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def header(stamp: int, frame_id: str) -> Any:
    """Return a `std_msgs/Header` for a message that is to be written; stamp: nanoseconds."""
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    time = _TYPES.types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return _TYPES.types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)


def _raw(message: Any) -> tuple[str, np.ndarray]:
    encodings.check(message)
    return message.encoding, encodings.stored(message)


def _compressed(message: Any) -> tuple[str, np.ndarray]:
    image = images.decode(message.data)
    return encodings.name_of(image, encodings.stated(message.format)), image

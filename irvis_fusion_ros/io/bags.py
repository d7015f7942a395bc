"""
Reading and writing rosbag2 recordings of images: mcap and sqlite3, no ROS distribution needed.

A thin layer over the rosbags library. Stamps and times are integer nanoseconds; images are NumPy arrays.

    with BagWriter('flight') as bag:
        bag.write_image('/thermal/image_raw', image, 'mono16', stamp, 'thermal_optical_frame')
    with BagReader('flight') as bag:
        for recorded in bag.images('/thermal/image_raw'):
            print(recorded.stamp, recorded.image.shape)
"""

import contextlib
import difflib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from irvis_fusion_ros.errors import BagError, ImageError
from irvis_fusion_ros.io import encodings, images

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_SUFFIXES = {'.mcap': 'mcap', '.db3': 'sqlite3'}
# The newest layout that Humble's rosbag2 opens as well; every later one reads it.
_METADATA_VERSION = 8
# The image, camera and diagnostic messages are the same, type hashes included, from Humble to Lyrical.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


@dataclass(frozen=True)
class Topic:
    """What a bag holds of one topic."""

    name: str
    type: str
    count: int
    latched: bool = False


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
    A bag opened for reading: a rosbag2 directory, or one .mcap or .db3 file of it.

    topics: name to Topic. start, stop: time of the first message, and just after the last one.
    Raises BagError.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._reader = _open(self.path)
        self.topics = _summary(self._reader.connections)
        self.start = self._reader.start_time
        self.stop = max(self._reader.end_time, self.start)
        self.count = self._reader.message_count

    def __enter__(self) -> 'BagReader':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

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
        """Iterate the messages of `topics` (default: all) in recorded order, `start` <= time < `stop`."""
        names = self.topics if topics is None else {self.topic(name).name for name in topics}
        connections = [c for c in self._reader.connections if c.topic in names]
        if not connections:
            return
        try:
            for connection, time, cdr in self._reader.messages(connections, start, stop):
                yield Record(connection.topic, connection.msgtype, time, bytes(cdr))
        except Exception as error:
            # rosbags lets errors of sqlite, zstd, lz4 and struct through as they are
            raise BagError(f"bag '{self.path}' is damaged: {error}") from error

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
        self._writer = Writer(self.path, version=_METADATA_VERSION, storage_plugin=STORAGES[storage])
        try:
            self._writer.open()
        except OSError as error:
            raise BagError(f"cannot write a bag at '{self.path}': {error.strerror}") from error

    def __enter__(self) -> 'BagWriter':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the index and the metadata. Raises BagError."""
        with self._told():
            self._writer.close()

    def note(self, key: str, value: str) -> None:
        """Keep a remark in the metadata of the bag (`custom_data`)."""
        self._writer.set_custom_data(key, value)

    def write(self, topic: str, type_name: str, cdr: bytes | memoryview, time: int) -> None:
        """Write a serialized message, as a raw subscription delivers it, at a time. Raises BagError."""
        if topic not in self._connections:
            if type_name not in _TYPES.fielddefs:
                raise BagError(f"topic '{topic}': no definition of {type_name} to write into a bag")
            self._connections[topic] = self._writer.add_connection(topic, type_name, typestore=_TYPES)
        with self._told():
            self._writer.write(self._connections[topic], time, cdr)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:  # a full disk, say
            raise BagError(f"cannot write the bag at '{self.path}': {error}") from error

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


def to_nanoseconds(stamp: Any) -> int:
    """Turn a `builtin_interfaces/Time` into nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def _open(path: Path) -> Reader:
    storage = path
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        # a recorder that was killed wrote no metadata, but its file may be whole
        files = sorted(f for f in path.iterdir() if f.suffix in _SUFFIXES)
        if len(files) != 1:
            raise BagError(
                f"'{path}' is not a bag: it has no metadata.yaml"
                + (' (several files: try `ros2 bag reindex`)' if files else '')
            )
        storage = files[0]
    elif not path.exists():
        raise BagError(f"there is no bag at '{path}'")
    elif path.is_file() and path.suffix not in _SUFFIXES:
        raise BagError(f"'{path}' is not a bag: expected a rosbag2 directory, or a .mcap or .db3 file")
    try:
        reader = Reader(storage)
        reader.open()
    except Exception as error:
        # rosbags lets errors of sqlite, zstd, lz4 and struct through as they are
        raise BagError(f"cannot read the bag '{path}': {str(error) or type(error).__name__}") from error
    return reader


def _summary(connections: Iterable[Any]) -> dict[str, Topic]:
    # one topic has several connections where publishers with different QoS were recorded
    topics: dict[str, Topic] = {}
    for c in connections:
        latched = any(q.durability == QosDurability.TRANSIENT_LOCAL for q in c.ext.offered_qos_profiles)
        earlier = topics.get(c.topic, Topic(c.topic, c.msgtype, 0))
        topics[c.topic] = Topic(c.topic, c.msgtype, earlier.count + c.msgcount, earlier.latched or latched)
    return topics


def _header(stamp: int, frame_id: str) -> Any:
    seconds, nanoseconds = divmod(stamp, 1_000_000_000)
    time = _TYPES.types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return _TYPES.types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)


def _raw(message: Any) -> tuple[str, np.ndarray]:
    encodings.check(message)
    return message.encoding, encodings.stored(message)


def _compressed(message: Any) -> tuple[str, np.ndarray]:
    image = images.decode(message.data)
    if image is None:
        raise ImageError('corrupt', f"cannot decode a compressed image of format '{message.format}'")
    return encodings.name_of(image, encodings.stated(message.format)), image

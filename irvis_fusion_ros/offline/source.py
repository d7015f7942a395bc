"""The pairs of a bag, as the node in mode every_frame makes them, from the stamps alone."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from irvis_fusion_ros.errors import BagError, ImageError
from irvis_fusion_ros.io.bags import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    COMPRESSED_VIDEO,
    IMAGE,
    BagReader,
    Record,
    to_nanoseconds,
)
from irvis_fusion_ros.io.encodings import Picture
from irvis_fusion_ros.io.video_stream import VideoDecoder
from irvis_fusion_ros.pairing import STREAMS, NearestPairing, Pair
from irvis_fusion_ros.ros import conversions, reasons
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.topics import compressed_of, image_of, video_of

# What the pairing counts that is not lost.
_NO_DROPS = ('received', 'paired', 'alone')


@dataclass(frozen=True)
class Image:
    """
    A message with an image that was not refused.

    time: when it was recorded, in nanoseconds. frame: what a frame of video shows, BGR; else None.
    """

    message: Any
    time: int
    frame: np.ndarray | None = None

    @property
    def stamp(self) -> int:
        """The stamp in nanoseconds."""
        # CompressedVideo has the fields of a header instead of one
        message = self.message
        return to_nanoseconds(message.header.stamp if hasattr(message, 'header') else message.timestamp)

    @property
    def frame_id(self) -> str:
        """The name of the frame of the camera."""
        return getattr(self.message, 'header', self.message).frame_id

    @property
    def size(self) -> int:
        """How many bytes wait with it."""
        return len(self.message.data) if self.frame is None else self.frame.nbytes

    def picture(self) -> Picture:
        """Return its pixels. Raises ImageError."""
        if self.frame is not None:
            return Picture(self.frame, 'bgr8', 'bgr')
        return conversions.decode(self.message)


@dataclass(frozen=True)
class Topics:
    """The topics of one camera in a bag; info is None where there is none."""

    image: str
    info: str | None


class PairSource:
    """
    Reads a bag once and hands its pairs to on_pair, in order.

    topics: of both cameras, or of one where `on_missing` is pass_through. Images that the node refuses at the
    door are refused and counted: `refused`, by stream. `infos` holds the last CameraInfo of each.
    complain(key, text) is told what is wrong.
    on_image(stream, image) gets every image that is not refused, paired or not.
    """

    def __init__(
        self,
        bag: BagReader,
        topics: dict[str, Topics],
        config: NodeConfig,
        on_pair: Callable[[Pair], None],
        complain: Callable[[str, str], None],
        on_image: Callable[[str, Image], None] | None = None,
    ):
        self._bag = bag
        self._sync = config.sync
        self._on_image = on_image
        self._last_refusal = dict.fromkeys(STREAMS, '')
        self._streams = {each.image: name for name, each in topics.items()}
        self._info_streams = {each.info: name for name, each in topics.items() if each.info}
        self._limit = config.limits.max_pixels
        self._missing_after = config.missing_after if config.on_missing == 'pass_through' else math.inf
        self._complain = complain
        self.refused = {name: Counter() for name in STREAMS}
        self.infos: dict[str, Any] = dict.fromkeys(STREAMS)
        self._videos = {name: VideoDecoder() for name in STREAMS}
        self.pairing = NearestPairing(
            on_pair,
            tolerance=config.sync.tolerance,
            offset=config.sync.thermal_offset,
            # the time that passes here is none of the flight's: only the stamps decide
            eager=False,
            give_up=False,
            max_bytes=config.every_frame.max_queue_bytes,
        )

    @property
    def topics(self) -> list[str]:
        """What is read of the bag."""
        return [*self._streams, *self._info_streams]

    def take(self, record: Record) -> None:
        """Take a message of one of the topics."""
        if record.topic in self._info_streams:
            self.infos[self._info_streams[record.topic]] = self._decoded(record)
            return
        stream = self._streams[record.topic]
        message = self._decoded(record)
        if message is None:
            self.refused[stream]['corrupt'] += 1
            self._last_refusal[stream] = 'they are damaged'
            return
        try:
            image = self._checked(stream, message, record.time)
        except ImageError as error:
            self.refused[stream][error.cause] += 1
            self._last_refusal[stream] = str(error)
            self._complain(f'{stream} {error.cause}', f'{stream}: {error}; image refused')
            return
        if self._on_image is not None:
            self._on_image(stream, image)
        self.pairing.put(stream, image.stamp, image, record.time / 1e9, image.size)
        self._watch_for_missing(record.time)

    def received(self, stream: str) -> int:
        """Return how many images of a stream the bag had."""
        return self.pairing.counts[stream]['received'] + sum(self.refused[stream].values())

    def drops(self) -> Counter:
        """Return the images that were lost on the way to a pair, by cause."""
        found: Counter = sum(self.refused.values(), Counter())
        for name in STREAMS:
            counts = self.pairing.counts[name]
            found.update({cause: n for cause, n in counts.items() if cause not in _NO_DROPS})
            found['no_partner'] += self.pairing.waiting(name)
        return +found

    def no_pair(self) -> str:
        """Say why there was no pair at all, as the node says it."""
        topics = {stream: topic for topic, stream in self._streams.items()}
        empty = [topic for stream, topic in topics.items() if not self.received(stream)]
        if empty:
            return f'there is no message of {" and ".join(empty)}'
        return reasons.no_pair(
            [self._situation(stream, topic) for stream, topic in topics.items()],
            lag=self.pairing.lag(),
            miss=self.pairing.miss(),
            tolerance=self._sync.tolerance,
            offset=self._sync.thermal_offset,
            timeout=math.inf,  # no image is given up
        )

    def _situation(self, stream: str, topic: str) -> reasons.Situation:
        by_stamp = Counter({cause: self.pairing.counts[stream][cause] for cause in reasons.STAMP_CAUSES})
        refused = self.refused[stream] + by_stamp
        last = self._last_refusal[stream]
        return reasons.Situation(
            stream, topic, publishers=1, received=self.received(stream), refused=refused, last_refusal=last
        )

    def _watch_for_missing(self, time: int) -> None:
        """Let the images of one camera out alone while the other is silent, as the node does."""
        start, now = self._bag.start / 1e9, time / 1e9
        silent = [
            name for name in STREAMS if now - max(self.pairing.arrivals[name], start) > self._missing_after
        ]
        if len(silent) == 1 and self.pairing.absent != silent[0]:
            self.pairing.flush()  # nothing comes that could still change these pairs
            self.pairing.set_absent(silent[0])
            self._complain(f'{silent[0]} missing', f'{silent[0]} camera is missing: the other one passes')

    def _checked(self, stream: str, message: Any, time: int) -> Image:
        conversions.check(message, self._limit)
        codec = conversions.codec_of(message)
        if not codec:
            return Image(message, time)
        # here and not when it is fused, because each frame builds on the one before, paired or not
        frame = self._videos[stream].decode(message.data, codec, self._limit)
        conversions.check_size(frame.shape[1], frame.shape[0], self._limit)
        return Image(message, time, frame)

    def _decoded(self, record: Record) -> Any:
        try:
            return self._bag.decode(record)
        except BagError as error:
            self._complain(f'{record.topic} damaged', str(error))
            return None


def find_topics(bag: BagReader, config: NodeConfig, given: dict[str, str | None]) -> dict[str, Topics]:
    """
    Find the topics of both cameras: those given, or the node's names in the transport that is there.

    Raises BagError, listing what is in the bag; where the images of one camera pass alone it may be missing.
    """
    found = {name: _find(bag, name, getattr(config, name).transport, given.get(name)) for name in STREAMS}
    missing = [name for name in STREAMS if found[name] is None]
    if len(missing) > (1 if config.on_missing == 'pass_through' else 0):
        raise BagError(
            f"bag '{bag.path}' has no topic '{image_of(missing[0])}'; name it with --{missing[0]} TOPIC. "
            f'It holds:\n{bag.contents()}'
        )
    return {name: topics for name, topics in found.items() if topics is not None}


def _find(bag: BagReader, stream: str, transport: str, given: str | None) -> Topics | None:
    if given is not None:
        image = bag.topic(given, (IMAGE, COMPRESSED_IMAGE, COMPRESSED_VIDEO)).name
    else:
        names = {'raw': image_of(stream), 'compressed': compressed_of(stream), 'h264': video_of(stream)}
        there = {name.strip('/'): name for name in bag.topics}
        wanted = [names[transport], *names.values()]
        image = next((there[name] for name in wanted if name in there), None)
        if image is None:
            return None
    base = image.removesuffix('/compressed').removesuffix('/h264')
    info = f'{base.rpartition("/")[0]}/camera_info'
    known = bag.topics.get(info)
    return Topics(image, info if known and known.type == CAMERA_INFO else None)

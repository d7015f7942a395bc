"""The pairs of a bag, as the node in mode every_frame makes them, from the stamps alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from irvis_fusion_ros.errors import BagError, ImageError
from irvis_fusion_ros.io.bags import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, BagReader, Record, to_nanoseconds
from irvis_fusion_ros.pairing import STREAMS, NearestPairing, Pair
from irvis_fusion_ros.ros import conversions
from irvis_fusion_ros.ros.options import NodeConfig


@dataclass(frozen=True)
class Image:
    """A message with an image. time: when it was recorded, in nanoseconds."""

    message: Any
    time: int

    @property
    def stamp(self) -> int:
        """The stamp in nanoseconds."""
        return to_nanoseconds(self.message.header.stamp)


@dataclass(frozen=True)
class Topics:
    """The topics of one camera in a bag; info is None where there is none."""

    image: str
    info: str | None


class PairSource:
    """
    Reads a bag once and hands its pairs to on_pair, in order.

    topics: of both cameras. Images that the node refuses at the door are refused and counted: `refused`, by
    stream. `infos` holds the last CameraInfo of each. complain(key, text) is told what is wrong.
    """

    def __init__(
        self,
        bag: BagReader,
        topics: dict[str, Topics],
        config: NodeConfig,
        on_pair: Callable[[Pair], None],
        complain: Callable[[str, str], None],
    ):
        self._bag = bag
        self._streams = {each.image: name for name, each in topics.items()}
        self._info_streams = {each.info: name for name, each in topics.items() if each.info}
        self._limit = config.limits.max_pixels
        self._complain = complain
        self.refused = {name: Counter() for name in STREAMS}
        self.infos: dict[str, Any] = dict.fromkeys(STREAMS)
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
            return
        try:
            conversions.check(message, self._limit)
        except ImageError as error:
            self.refused[stream][error.cause] += 1
            self._complain(f'{stream} {error.cause}', f'{stream}: {error}; image refused')
            return
        image = Image(message, record.time)
        self.pairing.put(stream, image.stamp, image, record.time / 1e9, len(message.data))

    def received(self, stream: str) -> int:
        """Return how many images of a stream the bag had."""
        return self.pairing.counts[stream]['received'] + sum(self.refused[stream].values())

    def drops(self) -> Counter:
        """Return the images that were lost on the way to a pair, by cause."""
        found: Counter = sum(self.refused.values(), Counter())
        for name in STREAMS:
            counts = self.pairing.counts[name]
            found.update({cause: n for cause, n in counts.items() if cause not in ('received', 'paired')})
            found['no_partner'] += self.pairing.waiting(name)
        return +found

    def _decoded(self, record: Record) -> Any:
        try:
            return self._bag.decode(record)
        except BagError as error:
            self._complain(f'{record.topic} damaged', str(error))
            return None


def find_topics(bag: BagReader, config: NodeConfig, given: dict[str, str | None]) -> dict[str, Topics]:
    """
    Find the topics of both cameras: those given, or the node's names in the transport that is there.

    Raises BagError, listing what is in the bag.
    """
    return {name: _find(bag, name, getattr(config, name).transport, given.get(name)) for name in STREAMS}


def _find(bag: BagReader, stream: str, transport: str, given: str | None) -> Topics:
    if given is not None:
        image = bag.topic(given, (IMAGE, COMPRESSED_IMAGE)).name
    else:
        names = [f'{stream}/image_raw', f'{stream}/image_raw/compressed']
        there = {name.strip('/'): name for name in bag.topics}
        wanted = names if transport == 'raw' else names[::-1]
        image = next((there[name] for name in wanted if name in there), None)
        if image is None:
            raise BagError(
                f"bag '{bag.path}' has no topic '{names[0]}'; name it with --{stream} TOPIC. It holds:\n"
                + bag.contents()
            )
    info = f'{image.removesuffix("/compressed").rpartition("/")[0]}/camera_info'
    known = bag.topics.get(info)
    return Topics(image, info if known and known.type == CAMERA_INFO else None)

"""What both storages offer, and what they share."""

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class Channel:
    """
    A stream of messages in a file.

    encoding: of the messages, 'cdr' in ROS 2. latched: transient local. definition: of the type, as text; ''
    where the file has none.
    """

    topic: str
    type: str
    encoding: str = 'cdr'
    latched: bool = False
    definition: str = ''


@dataclass(frozen=True)
class Topic:
    """What a bag holds of one topic. definition: of its type, as text; '' where the bag has none."""

    name: str
    type: str
    count: int
    latched: bool = False
    definition: str = ''


class Message(NamedTuple):
    """A stored message. time: nanoseconds, of the recording."""

    time: int
    channel: Channel
    data: bytes


class Storage(Protocol):
    """
    One file of a bag.

    counts: messages by topic, as far as the file says or shows. start, stop: times of the first message and
    just after the last one; both 0 without any. notes: what the user should know, nothing being lost by it.
    losses: what could not be read, and why, one line each; it grows while messages are read.
    """

    channels: list[Channel]
    counts: Counter
    start: int
    stop: int
    notes: list[str]
    losses: list[str]

    def messages(self, topics: frozenset[str], start: int, stop: int) -> Iterator[Message]:
        """Iterate the messages of `topics` by time, `start` <= time < `stop`."""

    def confine(self, start: int, stop: int) -> None:
        """Leave out messages outside of the times that are stated for the recording, if they are few."""

    def close(self) -> None:
        """Close the file."""


def are_few(outliers: int, count: int) -> bool:
    """Say whether times outside of the stated ones are damage; if many are, the statement is wrong."""
    return 0 < outliers <= max(1, count // 10) and count > 2


def merged(parts: Iterable[tuple[int, Callable[[], Iterator[Message]]]]) -> Iterator[Message]:
    """
    Merge parts by time. Each is the earliest time in it, and what opens it; it is opened when that has come.

    Messages of one time come in the order of the parts.
    """
    waiting = sorted(enumerate(parts), key=lambda part: (part[1][0], part[0]), reverse=True)
    heap: list[tuple[int, int, Message, Iterator[Message]]] = []
    while waiting or heap:
        while waiting and (not heap or waiting[-1][1][0] <= heap[0][0]):
            number, (_, opened) = waiting.pop()
            messages = opened()
            first = next(messages, None)
            if first is not None:
                heapq.heappush(heap, (first.time, number, first, messages))
        if not heap:
            continue
        _, number, message, messages = heap[0]
        yield message
        following = next(messages, None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following.time, number, following, messages))


def is_latched(profiles: str) -> bool:
    """Say whether the QoS profiles of a topic, as YAML, include one with durability transient local."""
    return bool(re.search(r'durability["\']?:\s*(1|["\']?transient_local)\b', profiles))


def type_name(stored: str) -> str:
    """Return a message type as ROS 2 names it; converters leave names of ROS 1 (`sensor_msgs/Image`)."""
    package, _, name = stored.partition('/')
    return f'{package}/msg/{name}' if name and '/' not in name else stored

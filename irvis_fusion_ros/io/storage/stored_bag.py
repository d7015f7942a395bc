"""All files of a bag read as one, and what was read compared with what the bag claims."""

import functools
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import ExitStack
from pathlib import Path

from irvis_fusion_ros.errors import BagError, IncompleteBagError
from irvis_fusion_ros.io.storage import files
from irvis_fusion_ros.io.storage.base import Message, Storage, Topic, merged
from irvis_fusion_ros.io.storage.compression import ZSTD_MAGIC, decompressed
from irvis_fusion_ros.io.storage.metadata import Metadata, parsed

# The encapsulation header of CDR, which begins with a 0.
_SHORTEST = 4
_CAUSES_SHOWN = 3


class StoredBag:
    """
    The files of a bag: a rosbag2 directory, or one of its files.

    topics, notes, start, stop: see `bags.BagReader`. common: the message types that are known anyway; of
    another one, metadata.yaml may know better than a damaged file. Raises BagError.
    """

    def __init__(self, path: Path, common: Container[str] = frozenset()):
        self._path = path
        self._common = common
        self._stack = ExitStack()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def messages(
        self, names: frozenset[str], start: int | None = None, stop: int | None = None
    ) -> Iterator[Message]:
        """
        Iterate the messages of topics by time, `start` <= time < `stop`, their data decompressed.

        Raises IncompleteBagError at the end if that is not everything.
        """
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
            yield Message(time, channel, data)
        damaged += [loss for storage in self._storages for loss in storage.losses]
        self._check(read, names, start <= self.start and stop >= self.stop, damaged)

    def _open(self) -> None:
        found = files.contents(self._path)
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

    def _add(self, file: Path) -> None:
        try:
            self._storages.append(files.opened(file, self._stack))
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
            if kind not in self._common:
                kind = stated.types.get(channel.topic) or kind
            latched = channel.latched or bool(earlier and earlier.latched)
            definition = (earlier and earlier.definition) or channel.definition
            count = max(stored[channel.topic], stated.counts[channel.topic])
            self.topics[channel.topic] = Topic(channel.topic, kind, count, latched, definition)
        for topic, count in stated.counts.items():
            if topic not in self.topics:
                self.topics[topic] = Topic(topic, stated.types[topic], count, topic in stated.latched)
        for topic, encoding in foreign.items():
            text = f"topic '{topic[:200]}' is left out: its messages are '{encoding[:40]}', not 'cdr'"
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
        raise IncompleteBagError(f"bag '{self._path}' is not complete: {text}", read, claimed)


def _stored(storage: Storage) -> Metadata:
    try:
        return parsed(storage.metadata) if storage.metadata else Metadata()
    except ValueError:
        return Metadata()

"""
MCAP files, whole or not: what is in them is found without their index.

The records are walked from the front, by their lengths, so a file without an index, one that was cut, one
whose index is wrong and one with a damaged place are read in the same way. Only what is asked for is
decompressed.
"""

import io
import struct
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io.storage import mcap_records as records
from irvis_fusion_ros.io.storage.base import Channel, Message, are_few, is_latched, merged, type_name
from irvis_fusion_ros.io.storage.compression import LARGEST, decompressed
from irvis_fusion_ros.io.storage.mcap_records import ChunkHead, Gap, Record, Walk

MAGIC = b'\x89MCAP0\r\n'


@dataclass
class _Chunk:
    head: ChunkHead
    whole: bool
    # messages by channel, as the index behind the chunk has them
    counts: Counter = field(default_factory=Counter)


class McapFile:
    """An MCAP file as `base.Storage`. Raises BagError if nothing can be read of it."""

    def __init__(self, path: Path):
        self.path = path
        self.notes: list[str] = []
        self.losses: list[str] = []
        self.metadata = ''  # what rosbag2 stores of its metadata.yaml
        self._schemas: dict[int, tuple[str, str]] = {}  # type and definition
        self._channels: dict[int, Channel] = {}
        self._chunks: list[_Chunk] = []
        self._loose = [array('q'), array('Q')]  # time and position of the messages outside of chunks
        self._loose_counts: Counter = Counter()
        self._statistics: tuple[int, int, Counter] | None = None
        self._ended = False
        try:
            self._file = path.open('rb')
        except OSError as error:
            raise BagError(f"cannot read the bag file '{path}': {error.strerror}") from error
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def channels(self) -> list[Channel]:
        """The channels of the file."""
        return list(self._channels.values())

    def messages(self, topics: frozenset[str], start: int, stop: int) -> Iterator[Message]:
        """See `base.Storage`."""
        wanted = {number for number, channel in self._channels.items() if channel.topic in topics}
        start, stop = max(start, self.start), min(stop, self.stop)
        parts = [
            (max(chunk.head.start, start), lambda chunk=chunk: self._of_chunk(chunk, wanted, start, stop))
            for chunk in self._chunks
            if (chunk.head.start < stop and chunk.head.stop >= start) or not self._is_sane(chunk)
        ]
        if self._loose[0]:
            parts.append((max(min(self._loose[0]), start), lambda: self._of_loose(wanted, start, stop)))
        return merged(parts)

    def _look(self) -> None:
        size = self._file.seek(0, io.SEEK_END)
        if size < len(MAGIC) + records.HEAD:
            raise BagError(f"cannot read the bag file '{self.path}': it holds {size} bytes and no message")
        if self._read(0, len(MAGIC)) != MAGIC:
            self.losses.append(f"'{self.path.name}' does not begin as an mcap file does")
        if self._read(size - len(MAGIC), len(MAGIC)) == MAGIC:
            size -= len(MAGIC)
        self._walk = Walk(self._read, size, self._channels)
        for record in self._walk.records(len(MAGIC)):
            if isinstance(record, Gap):
                self._note_gap(record, size)
            else:
                self._take(record)
        if not self._ended:
            self.notes.append(
                f"'{self.path.name}' is cut short: its recorder was killed, or the copy is not complete; "
                'what is whole in it is read'
            )
        for chunk in self._chunks:
            if not chunk.counts or chunk.counts.keys() - self._channels.keys():
                self._count(chunk)
        if not self._channels and not self._ended:
            raise BagError(f"cannot read the bag file '{self.path}': there is no message in it")
        self._sum_up()

    def _note_gap(self, gap: Gap, size: int) -> None:
        if gap.stop < size or self._ended:
            skipped = gap.stop - gap.start
            text = f"'{self.path.name}' is damaged at byte {gap.start} ({skipped} bytes are skipped)"
            # behind the data is the index alone, which is not needed
            (self.notes if self._ended else self.losses).append(text)

    def _take(self, record: Record) -> None:
        if record.code == records.CHUNK:
            head = self._walk.chunk(record)
            if head is not None:
                self._chunks.append(_Chunk(head, record.whole))
        elif record.code == records.MESSAGE and record.whole:
            channel, _, time = struct.unpack('<HIQ', self._read(record.position, 14))
            self._loose[0].append(time if time < 1 << 63 else -1)
            self._loose[1].append(record.position - 8)
            self._loose_counts[channel] += 1
        elif record.code == records.MESSAGE_INDEX and record.length >= 6 and self._chunks:
            (channel,) = struct.unpack('<H', self._read(record.position, 2))
            self._chunks[-1].counts[channel] = (record.length - 6) // 16
        elif record.length == records.ENDS.get(record.code):
            self._ended = True
        elif record.whole and record.code in (
            records.SCHEMA, records.CHANNEL, records.STATISTICS, records.METADATA
        ):  # fmt: skip
            self._describe(record.code, self._read(record.position, record.length))

    def _describe(self, code: int, body: bytes) -> None:
        """Take in a record that says something about messages; one that cannot be read says nothing."""
        try:
            if code == records.SCHEMA:
                (number,) = struct.unpack_from('<H', body)
                name, place = _string(body, 2)
                encoding, place = _string(body, place)
                definition = _string(body, place)[0] if encoding in ('ros2msg', 'ros2idl') else ''
                self._schemas.setdefault(number, (name, definition))
            elif code == records.CHANNEL:
                number, schema = struct.unpack_from('<HH', body)
                topic, place = _string(body, 4)
                encoding, place = _string(body, place)
                kind, definition = self._schemas.get(schema, ('', ''))
                latched = is_latched(body[place:].decode('utf-8', 'replace'))
                channel = Channel(topic, type_name(kind), encoding, latched, definition)
                self._channels.setdefault(number, channel)
            elif code == records.STATISTICS:
                start, stop, length = struct.unpack_from('<QQI', body, 26)
                counts = struct.iter_unpack('<HQ', body[46 : 46 + length])
                self._statistics = (start, stop, Counter(dict(counts)))
            elif code == records.METADATA:
                name, place = _string(body, 0)
                if name == 'rosbag2':
                    _, place = _string(body, place + 4)
                    self.metadata = _string(body, place)[0]
        except (struct.error, IndexError):
            self.notes.append(f"'{self.path.name}': a description in it is damaged")

    def _sum_up(self) -> None:
        indexed = self._loose_counts + sum((chunk.counts for chunk in self._chunks), Counter())
        stated = self._statistics[2] if self._statistics else Counter()
        self.counts = Counter()
        for number in indexed | stated:
            if number in self._channels:
                self.counts[self._channels[number].topic] += max(indexed[number], stated[number])
            elif indexed[number]:
                self.losses.append(
                    f"'{self.path.name}': {indexed[number]} messages of a channel that is not described"
                )
        ranges = [(chunk.head.start, chunk.head.stop) for chunk in self._chunks if chunk.counts]
        ranges += [(time, time) for time in self._loose[0]]
        self._ranges = [(start, stop) for start, stop in ranges if 0 <= start <= stop < 1 << 63]
        self.start = min((start for start, _ in self._ranges), default=0)
        self.stop = max((stop + 1 for _, stop in self._ranges), default=0)
        if self._statistics:
            self.confine(self._statistics[0], self._statistics[1] + 1)

    def confine(self, start: int, stop: int) -> None:
        """See `base.Storage`."""
        outside = sum(first < start or last >= stop for first, last in self._ranges)
        if are_few(outside, len(self._ranges)):
            self.start, self.stop = max(self.start, start), min(self.stop, stop)

    def _is_sane(self, chunk: _Chunk) -> bool:
        return self.start <= chunk.head.start <= chunk.head.stop < self.stop

    def _count(self, chunk: _Chunk) -> None:
        """Count the messages of a chunk without an index, and learn its channels."""
        chunk.counts |= Counter(channel for channel, *_ in self._content(chunk))

    def _of_chunk(self, chunk: _Chunk, wanted: set[int], start: int, stop: int) -> Iterator[Message]:
        known = chunk.counts.keys() & self._channels.keys()
        if known and not known & wanted:
            return
        found, outside = [], 0
        for channel, time, data in self._content(chunk):
            if not self.start <= time < self.stop:
                outside += 1
            elif start <= time < stop and channel in wanted:
                found.append(Message(time, self._channels[channel], data))
        if outside:
            self.losses.append(f"'{self.path.name}': {outside} messages with a time outside of the recording")
        found.sort(key=lambda message: message.time)
        found.reverse()
        while found:  # given away one by one, so that what was used is not kept
            yield found.pop()

    def _content(self, chunk: _Chunk) -> Iterator[tuple[int, int, bytes]]:
        """Iterate channel, time and data of the messages of a chunk, as they are stored."""
        head, name = chunk.head, self.path.name
        if max(head.size, head.stored) > (LARGEST if head.compression else 4 * LARGEST):
            megabytes = max(head.size, head.stored) >> 20
            self.losses.append(f"'{name}': the chunk at byte {head.position} claims {megabytes} MB")
            return
        stored = self._read(head.position, head.stored)
        content, problem = decompressed(stored, head.compression, head.size)
        if chunk.whole and not problem and len(content) != head.size:
            problem = f'{len(content)} bytes instead of {head.size}'
        if chunk.whole and not problem and head.checksum and zlib.crc32(content) != head.checksum:
            # nobody knows which of its messages is the wrong one
            self.losses.append(f"'{name}': the chunk at byte {head.position} has a wrong checksum")
            return
        if problem and chunk.whole:
            self.losses.append(f"'{name}': the chunk at byte {head.position} has {problem}")
        walk = Walk(lambda place, count: content[place : place + count], len(content), self._channels)
        for record in walk.records():
            if isinstance(record, Gap):
                if chunk.whole and not problem:
                    self.losses.append(f"'{name}': the chunk at byte {head.position} is damaged")
            elif record.code == records.MESSAGE and record.whole:
                channel, _, time = struct.unpack_from('<HIQ', content, record.position)
                place = record.position + records.MESSAGE_HEAD
                yield channel, time, content[place : record.position + record.length]
            elif record.code in (records.SCHEMA, records.CHANNEL):
                self._describe(record.code, content[record.position : record.position + record.length])

    def _of_loose(self, wanted: set[int], start: int, stop: int) -> Iterator[Message]:
        times, positions = self._loose
        outside = 0
        for number in sorted(range(len(times)), key=times.__getitem__):
            if not self.start <= times[number] < self.stop:
                outside += 1
            elif start <= times[number] < stop:
                (length,) = struct.unpack('<Q', self._read(positions[number], 8))
                if length > LARGEST:
                    self.losses.append(f"'{self.path.name}': a message of {length >> 20} MB is left out")
                    continue
                body = self._read(positions[number] + 8, length)
                (channel,) = struct.unpack_from('<H', body)
                if channel in wanted:
                    yield Message(times[number], self._channels[channel], body[records.MESSAGE_HEAD :])
        if outside:
            self.losses.append(f"'{self.path.name}': {outside} messages with a time outside of the recording")

    def _read(self, position: int, count: int) -> bytes:
        try:
            self._file.seek(position)
            return self._file.read(count)
        except OSError as error:
            raise BagError(
                f"cannot read the bag file '{self.path}' at byte {position}: {error.strerror}"
            ) from error


def _string(body: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from('<I', body, place)
    end = place + 4 + length
    if end > len(body):
        raise IndexError
    return body[place + 4 : end].decode('utf-8', 'replace'), end

"""
The records of an MCAP file or chunk, in order, and where they go on behind a damaged place.

A record is an operation code, the length of its body and the body (the MCAP specification). Nothing is
believed that does not lead to another record.
"""

import re
import struct
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import NamedTuple

SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, STATISTICS = 0x03, 0x04, 0x05, 0x06, 0x07, 0x0B
METADATA, DATA_END, FOOTER = 0x0C, 0x0F, 0x02
# The records that end the data and the file, and the lengths that they have.
ENDS = {DATA_END: 4, FOOTER: 20}
HEAD = 9
MESSAGE_HEAD = 22
_LARGEST_OWN = 0x0F
_PRIVATE = 0x80
_BLOCK = 1 << 20
# A message or a chunk: lengths are below 4 GiB, so four of their bytes are 0.
_CANDIDATE = re.compile(rb'[\x05\x06](?=[\s\S]{4}\x00{4})')


class Record(NamedTuple):
    """A record. position, length: of its body. whole: False for the last one of a file that was cut."""

    code: int
    position: int
    length: int
    whole: bool = True


class Gap(NamedTuple):
    """A place where there are no records: from, to. to is the end where nothing follows."""

    start: int
    stop: int


class ChunkHead(NamedTuple):
    """What a chunk says of its content. position: of its data in the file, `stored` bytes of them."""

    start: int
    stop: int
    size: int
    checksum: int
    compression: str
    position: int
    stored: int


@dataclass(frozen=True)
class Walk:
    """
    Walks the records of a file or chunk of `size` bytes, of which read(position, count) returns some.

    channels: the identifiers known so far; a message behind a damaged place is believed if it is of one.
    """

    read: Callable[[int, int], bytes]
    size: int
    channels: Container[int]

    def records(self, position: int = 0) -> Iterator[Record | Gap]:
        """Iterate the records from a position on."""
        while position < self.size:
            record = self._at(position)
            if record is not None and self._leads_on(record):
                yield record
                position = record.position + record.length
                continue
            resumed = self._next(position + 1)
            end = None if record is None else record.position + record.length
            if record is not None and (resumed is None or resumed >= end):
                # it is what follows it that is damaged
                yield record
                position = end
                record = None
            stop = self.size if resumed is None else resumed
            if resumed is None and (cut := self._cut(position)):
                yield cut
            elif stop > position:
                yield Gap(position, stop)
            position = stop

    def chunk(self, record: Record) -> ChunkHead | None:
        """Return the head of a chunk, or None if it does not agree with the length of the record."""
        head = self.read(record.position, 64)
        if len(head) < 40 or record.length < 40:
            return None
        start, stop, size, checksum, name = struct.unpack_from('<QQQII', head)
        if name > 16 or len(head) < 40 + name:
            return None
        (stored,) = struct.unpack_from('<Q', head, 32 + name)
        if record.whole and 40 + name + stored != record.length:
            return None
        compression = head[32 : 32 + name].decode('ascii', 'replace')
        stored = min(stored, record.length - 40 - name)
        return ChunkHead(start, stop, size, checksum, compression, record.position + 40 + name, stored)

    def _at(self, position: int) -> Record | None:
        head = self.read(position, HEAD)
        if len(head) < HEAD:
            return None
        code, length = struct.unpack('<BQ', head)
        if not (1 <= code <= _LARGEST_OWN or code >= _PRIVATE) or position + HEAD + length > self.size:
            return None
        record = Record(code, position + HEAD, length)
        if (code == MESSAGE and length < MESSAGE_HEAD) or (code == CHUNK and self.chunk(record) is None):
            return None
        return record

    def _leads_on(self, record: Record) -> bool:
        end = record.position + record.length
        return end == self.size or self._at(end) is not None

    def _next(self, position: int) -> int | None:
        """Return where the next chunk or message begins that can be believed."""
        while position < self.size:
            block = self.read(position, _BLOCK + HEAD)
            for match in _CANDIDATE.finditer(block):
                record = self._at(position + match.start())
                if record is not None and self._is_known(record) and self._leads_on(record):
                    return position + match.start()
            position += _BLOCK
        return None

    def _is_known(self, record: Record) -> bool:
        if record.code == CHUNK:
            return True
        (channel,) = struct.unpack('<H', self.read(record.position, 2))
        return channel in self.channels

    def _cut(self, position: int) -> Record | None:
        """Return the record that the end of the file has cut, if it may be one."""
        head = self.read(position, HEAD)
        if len(head) < HEAD:
            return None
        code, length = struct.unpack('<BQ', head)
        left = self.size - position - HEAD
        if code not in (MESSAGE, CHUNK) or length <= left:
            return None
        return Record(code, position + HEAD, left, whole=False)

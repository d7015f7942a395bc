"""
TIFF and BigTIFF, by the directory of the first page, which is the one that is decoded (TIFF 6.0).

libtiff allocates a strip or tile and the lists of their places before it reads any. So each has to be of a
size that the image explains, every value and strip has to lie inside the file, and the pages have to end.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from irvis_fusion_ros.io.headers.base import Header, damaged, unsupported

_ORDERS = {b'II': '<', b'MM': '>'}
MAGICS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
# Sizes of the types of values, and the whole numbers among them.
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_WHOLE = {1: 'B', 3: 'H', 4: 'I', 13: 'I', 16: 'Q', 18: 'Q'}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, CHANNELS, ROWS = 256, 257, 258, 259, 262, 277, 278
STRIPS, STRIP_BYTES, TILES, TILE_BYTES = 273, 279, 324, 325
TILE_WIDTH, TILE_HEIGHT, PLANES = 322, 323, 284
# By number: how many bytes one byte can become, at most.
_RATIOS = {1: 1, 5: 2600, 8: 1032, 32946: 1032, 32773: 64}
_OTHERS = {
    2: 'fax',
    3: 'fax',
    4: 'fax',
    6: 'JPEG',
    7: 'JPEG',
    34925: 'LZMA',
    50000: 'Zstandard',
    50001: 'WebP',
}
_DEPTHS = (1, 4, 8, 10, 12, 14, 16, 32, 64)
_MOST_ENTRIES, _MOST_PAGES = 1000, 10_000
# A strip or tile may be larger than the image by this: tiles of 512 x 512 pixels, or a fixed number of rows.
_SPARE = 8 << 20
_ALL_ROWS = 0xFFFFFFFF


class _Value(NamedTuple):
    """An entry of a directory: its type, how many there are, and where they lie."""

    kind: int
    count: int
    place: int


def read(data: memoryview) -> Header:
    """Return the header of a TIFF. Raises ImageError."""
    try:
        return _Directories(data).header()
    except (struct.error, OverflowError) as error:
        raise damaged('TIFF', 'it points outside of the file') from error


class _Directories:
    def __init__(self, data: memoryview):
        self._data = data
        self._order = _ORDERS[bytes(data[:2])]
        self._big = b'+' in bytes(data[2:4])

    def header(self) -> Header:
        first = self._first()
        entries, place = self._entries(first)
        self._check_pages(first, place)
        width, height = self._number(entries, WIDTH, 0), self._number(entries, HEIGHT, 0)
        channels, bits = (
            self._number(entries, CHANNELS, 1),
            {int(number) for number in self._numbers(entries, BITS, 1)},
        )
        packing = self._number(entries, COMPRESSION, 1)
        if packing not in _RATIOS:
            raise unsupported('TIFF', f'with {_OTHERS.get(packing, "unknown")} compression ({packing})')
        if not width or not height or not 1 <= channels <= 4 or len(bits) != 1 or not bits <= set(_DEPTHS):
            raise damaged('TIFF', f'{width}x{height} pixels of {channels} x {sorted(bits)[:4]} bits')
        pixel_bits = channels * bits.pop()
        if entries.keys() & {TILES, TILE_BYTES, TILE_WIDTH, TILE_HEIGHT}:
            across, down = self._number(entries, TILE_WIDTH, 0), self._number(entries, TILE_HEIGHT, 0)
            places, lengths = TILES, TILE_BYTES
        else:
            across, down = width, self._number(entries, ROWS, _ALL_ROWS)
            down = height if down == _ALL_ROWS else down
            places, lengths = STRIPS, STRIP_BYTES
        if not across or not down or across * down * pixel_bits > (width * height * pixel_bits + 8 * _SPARE):
            raise damaged('TIFF', f'parts of {across}x{down} for {width}x{height} pixels')
        count = -(-width // across) * -(-height // down)
        if self._number(entries, PLANES, 1) == 2:
            count *= channels
        stored, largest = self._check_parts(entries, places, lengths, count)
        if (width * height * pixel_bits + 7) // 8 > stored * _RATIOS[packing]:
            raise damaged('TIFF', f'{stored} bytes cannot hold {width}x{height} pixels')
        # a palette gives colours
        decoded = (3 if self._number(entries, PHOTOMETRIC, 1) == 3 else channels) * -(
            -pixel_bits // channels // 8
        )
        memory = 2 * width * height * decoded + across * down * pixel_bits // 8 + largest
        return Header('TIFF', width, height, memory, self._data)

    def _first(self) -> int:
        if not self._big:
            return self._unpack('I', 4)
        if self._unpack('H', 4) != 8 or self._unpack('H', 6):
            raise damaged('TIFF', 'its header')
        return self._unpack('Q', 8)

    def _entries(self, place: int) -> tuple[dict[int, _Value], int]:
        """Return the entries of the directory at a place by tag, and the place of the next directory."""
        count, begin, length = self._count(place)
        entries: dict[int, _Value] = {}
        for at in range(begin, begin + count * length, length):
            tag, kind = self._unpack('H', at), self._unpack('H', at + 2)
            number = self._unpack('Q' if self._big else 'I', at + 4)
            inside = at + (12 if self._big else 8)
            size = _SIZES.get(kind, 1) * number
            if size > (8 if self._big else 4):
                inside = self._unpack('Q' if self._big else 'I', inside)
            if inside + size > len(self._data) or tag in entries:
                raise damaged('TIFF', f'tag {tag}')
            entries[tag] = _Value(kind, number, inside)
        return entries, self._unpack('Q' if self._big else 'I', begin + count * length)

    def _count(self, place: int) -> tuple[int, int, int]:
        """Return the number of entries of a directory, where they begin and the length of each."""
        count = self._unpack('Q' if self._big else 'H', place)
        if not 1 <= count <= _MOST_ENTRIES:
            raise damaged('TIFF', f'a directory of {count} entries')
        return (count, place + 8, 20) if self._big else (count, place + 2, 12)

    def _check_pages(self, first: int, place: int) -> None:
        seen = {first}
        while place:
            if place in seen or len(seen) > _MOST_PAGES:
                raise damaged('TIFF', 'its pages do not end')
            seen.add(place)
            count, begin, length = self._count(place)
            place = self._unpack('Q' if self._big else 'I', begin + count * length)

    def _check_parts(
        self, entries: dict[int, _Value], places: int, lengths: int, count: int
    ) -> tuple[int, int]:
        """Check that strips or tiles lie inside the file; returns their bytes and those of the largest."""
        begins, sizes = self._numbers(entries, places), self._numbers(entries, lengths)
        if len(begins) != count or len(sizes) != count:
            raise damaged('TIFF', f'{len(begins)} and {len(sizes)} parts of {count}')
        begins, sizes = np.asarray(begins, np.uint64), np.asarray(sizes, np.uint64)
        if max(begins.max(), sizes.max()) > len(self._data) or (begins + sizes).max() > len(self._data):
            raise damaged('TIFF', 'a part lies outside of the file')
        return int(sizes.sum()), int(sizes.max())

    def _number(self, entries: dict[int, _Value], tag: int, default: int) -> int:
        if tag not in entries:
            return default
        if entries[tag].count != 1:
            raise damaged('TIFF', f'tag {tag} has {entries[tag].count} values')
        return int(self._numbers(entries, tag)[0])

    def _numbers(self, entries: dict[int, _Value], tag: int, *default: int) -> Sequence[int]:
        if tag not in entries:
            return default
        kind, count, place = entries[tag]
        if kind not in _WHOLE:
            raise damaged('TIFF', f'tag {tag} is of type {kind}')
        return np.frombuffer(self._data, np.dtype(self._order + _WHOLE[kind]), count, place)

    def _unpack(self, code: str, place: int) -> int:
        return struct.unpack_from(self._order + code, self._data, place)[0]

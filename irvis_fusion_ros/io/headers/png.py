"""
PNG, chunk by chunk (PNG specification, third edition).

Decoders allocate what a chunk claims, unpack profiles and texts, and follow the frames of an animation. So
every chunk has to lie inside the file, animations are refused, and the decoder gets the chunks of the pixels
only.
"""

import struct

from irvis_fusion_ros.io.headers.base import Header, damaged, unsupported

MAGIC = b'\x89PNG\r\n\x1a\n'
# By colour type: its channels, one more where a palette or a colour key may bring alpha, and its bit depths.
_COLOURS = {
    0: (1, 2, (1, 2, 4, 8, 16)),
    2: (3, 4, (8, 16)),
    3: (1, 4, (1, 2, 4, 8)),
    4: (2, 4, (8, 16)),
    6: (4, 4, (8, 16)),
}
_PIXELS = (b'IHDR', b'PLTE', b'tRNS', b'eXIf', b'IDAT', b'IEND')
_ANIMATION = (b'acTL', b'fcTL', b'fdAT')
# A file of a large image has one chunk for each 8 KB.
_MOST_CHUNKS = 100_000
# Deflate packs at most this many bytes into one.
_LARGEST_RATIO = 1032


def read(data: memoryview) -> Header:
    """Return the header of a PNG. Raises ImageError."""
    place, kept, image_bytes, kinds = len(MAGIC), [data[: len(MAGIC)]], 0, []
    while not kinds or kinds[-1] != b'IEND':
        if place + 12 > len(data) or len(kinds) > _MOST_CHUNKS:
            raise damaged('PNG', 'it has no end')
        length, kind = struct.unpack_from('>I4s', data, place)
        end = place + 12 + length  # length, type and checksum around the content
        name = kind.decode('ascii', 'replace')
        if not (kind.isalpha() and end <= len(data)):
            raise damaged('PNG', f'chunk {name!r} claims {length} bytes')
        if kind in _ANIMATION:
            raise unsupported('PNG', 'with an animation')
        if kind not in _PIXELS and kind[:1].isupper():
            raise damaged('PNG', f'unknown chunk {name!r}')
        if (kind == b'IHDR') != (not kinds) or (kind == b'IHDR' and length != 13):
            raise damaged('PNG', 'it has not one header, in front')
        if kind == b'IDAT':
            if kind in kinds and kinds[-1] != kind:
                raise damaged('PNG', 'its pixels are in several places')
            image_bytes += length
        elif kind in (b'PLTE', b'tRNS', b'eXIf') and kind in kinds:
            raise damaged('PNG', f'several chunks {name!r}')
        if kind in _PIXELS:
            kept.append(data[place:end])
        if kind != b'IDAT' or kinds[-1] != kind:
            kinds.append(kind)
        place = end
    return _header(data, kept, image_bytes, kinds)


def _header(data: memoryview, kept: list[memoryview], image_bytes: int, kinds: list[bytes]) -> Header:
    width, height, depth, colour, packing, filtering, interlacing = struct.unpack_from('>IIBBBBB', data, 16)
    channels, decoded, depths = _COLOURS.get(colour, (0, 0, ()))
    if depth not in depths or packing or filtering or interlacing > 1:
        raise damaged('PNG', f'colour type {colour} with {depth} bits')
    if colour == 3 and b'PLTE' not in kinds:
        raise damaged('PNG', 'it has no palette')
    rows = height * (1 + (width * channels * depth + 7) // 8)
    if rows > (image_bytes + 1) * _LARGEST_RATIO:
        raise damaged('PNG', f'{image_bytes} bytes cannot hold {width}x{height} pixels')
    needed = sum(map(len, kept))
    pixels = data if needed == len(data) else memoryview(b''.join(kept))
    return Header('PNG', width, height, width * height * decoded * (4 if depth == 16 else 2), pixels)

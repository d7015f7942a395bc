"""WebP: lossy (VP8), lossless (VP8L) and both with alpha or metadata (VP8X), as RFC 9649 describes them."""

import struct

from irvis_fusion_ros.io.headers.base import Header, damaged, unsupported

MAGIC = b'RIFF'
_ANIMATION, _FRAME_KINDS = 0x02, (b'ANIM', b'ANMF')
_MOST_CHUNKS = 1000


def is_webp(data: memoryview) -> bool:
    """Say whether a RIFF file is a WebP."""
    return bytes(data[8:12]) == b'WEBP'


def read(data: memoryview) -> Header:
    """Return the header of a WebP. Raises ImageError."""
    (length,) = struct.unpack_from('<I', data, 4)
    if length < 12 or 8 + length > len(data):
        raise damaged('WebP', f'it claims {length} bytes')
    data = data[: 8 + length]
    canvas = size = None
    place, chunks = 12, 0
    while place + 8 <= len(data):
        kind, length = struct.unpack_from('<4sI', data, place)
        content = data[place + 8 : place + 8 + length]
        chunks += 1
        if len(content) < length or chunks > _MOST_CHUNKS:
            raise damaged('WebP', f'chunk {kind.decode("ascii", "replace")!r} claims {length} bytes')
        if kind == b'VP8X':
            if chunks > 1 or length < 10:
                raise damaged('WebP', 'its header is not in front')
            if content[0] & _ANIMATION:
                raise unsupported('WebP', 'with an animation')
            canvas = tuple(1 + int.from_bytes(content[at : at + 3], 'little') for at in (4, 7))
        elif kind in _FRAME_KINDS:
            raise unsupported('WebP', 'with an animation')
        elif kind in (b'VP8 ', b'VP8L'):
            if size is not None or (canvas is None and chunks > 1):
                raise damaged('WebP', 'it has several images')
            size = _lossy(content) if kind == b'VP8 ' else _lossless(content)
        place += 8 + length + length % 2
    if size is None or canvas not in (None, size):
        raise damaged('WebP', 'it has no image of the size that it states')
    return Header('WebP', *size, size[0] * size[1] * 8, data)


def _lossy(content: memoryview) -> tuple[int, int]:
    head = bytes(content[:10])
    if len(head) < 10 or head[0] & 1 or head[3:6] != b'\x9d\x01\x2a':
        raise damaged('WebP', 'its image does not begin as one')
    if int.from_bytes(head[:3], 'little') >> 5 > len(content):
        raise damaged('WebP', 'its first partition is not whole')
    width, height = struct.unpack_from('<HH', head, 6)
    return width & 0x3FFF, height & 0x3FFF


def _lossless(content: memoryview) -> tuple[int, int]:
    head = bytes(content[:5])
    if len(head) < 5 or head[0] != 0x2F:
        raise damaged('WebP', 'its image does not begin as one')
    bits = int.from_bytes(head[1:], 'little')
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)

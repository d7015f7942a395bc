"""Decompression that never makes more than was announced, and of a part gives what can be had of it."""

import sys

from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
# In bytes, more than any message of a camera: beyond it, what a few bytes expand to is an attack or damage.
LARGEST = 128 << 20
_DECOMPRESSORS = {'zstd': zstd.ZstdDecompressor, 'lz4': LZ4FrameDecompressor}

open_zstd = zstd.open


def decompressed(data: bytes, compression: str, limit: int = LARGEST) -> tuple[bytes, str]:
    """
    Return what `data` holds, at most `limit` bytes, and why it is not all, or ''.

    compression: '' (none), 'zstd' or 'lz4', of one frame or several.
    """
    if not compression:
        return data[:limit], '' if len(data) <= limit else 'more data than announced'
    if compression not in _DECOMPRESSORS:
        return b'', f"unknown compression '{compression}'"
    parts, length = [], 0
    while data:
        decompressor = _DECOMPRESSORS[compression]()
        try:
            parts.append(decompressor.decompress(data, limit - length + 1))
        except (RuntimeError, zstd.ZstdError) as error:
            return b''.join(parts), f'damaged {compression} data ({error})'
        length += len(parts[-1])
        if length > limit:
            return b''.join(parts)[:limit], 'more data than announced'
        if not decompressor.eof:
            return b''.join(parts), f'{compression} data that is cut short'
        data = decompressor.unused_data or b''
    return parts[0] if len(parts) == 1 else b''.join(parts), ''

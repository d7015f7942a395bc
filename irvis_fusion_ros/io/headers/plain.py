"""Formats without compression: BMP, and PBM, PGM and PPM. The file has to hold every pixel that it claims."""

import re
import struct

from irvis_fusion_ros.io.headers.base import Header, damaged, unsupported

BMP = b'BM'
PNM = tuple(b'P%d' % kind for kind in range(1, 7))
_BMP_BITS = (1, 4, 8, 16, 24, 32)
# Sizes of the header: of OS/2, and of Windows in its versions.
_BMP_HEADERS = (12, 40, 52, 56, 108, 124)
_PLAIN, _MASKED = 0, 3
_BLANK = rb'(?:[ \t\r\n]|#[^\r\n]{0,1000}[\r\n])+'
_BITMAP = re.compile(rb'P[14]' + _BLANK + rb'(\d{1,5})' + _BLANK + rb'(\d{1,5})\s')
_GREYMAP = re.compile(rb'P[2356]' + (_BLANK + rb'(\d{1,5})') * 3 + rb'\s')


def read_bmp(data: memoryview) -> Header:
    """Return the header of a BMP. Raises ImageError."""
    head = bytes(data[:54])
    if len(head) < 26:
        raise damaged('BMP', 'its header is not whole')
    begin, size = struct.unpack_from('<II', head, 10)
    if size not in _BMP_HEADERS or 14 + size > len(data):
        raise damaged('BMP', f'its header claims {size} bytes')
    if size == 12:
        width, height, planes, bits = struct.unpack_from('<HHHH', head, 18)
        packing = _PLAIN
    else:
        width, height, planes, bits, packing = struct.unpack_from('<iiHHI', head, 18)
    if packing not in (_PLAIN, _MASKED):
        raise unsupported('BMP', 'with compression')
    height = abs(height)  # it is negative where the rows go down
    row = (max(width, 0) * bits + 31) // 32 * 4
    if width < 1 or height < 1 or planes != 1 or bits not in _BMP_BITS or begin + row * height > len(data):
        raise damaged('BMP', f'{len(data)} bytes cannot hold {width}x{height} pixels of {bits} bits')
    return Header('BMP', width, height, width * height * 8, data)


def read_pnm(data: memoryview) -> Header:
    """Return the header of a PBM, PGM or PPM. Raises ImageError."""
    kind = data[1] - ord('0')
    found = (_BITMAP if kind in (1, 4) else _GREYMAP).match(data)
    if found is None:
        raise damaged('PNM', 'its header is not whole')
    width, height, *limit = (int(number) for number in found.groups())
    if width < 1 or height < 1 or (limit and not 1 <= limit[0] <= 65535):
        raise damaged('PNM', f'{width}x{height} pixels up to {limit[0] if limit else 1}')
    channels, depth = 3 if kind in (3, 6) else 1, 2 if limit and limit[0] > 255 else 1
    row = (width + 7) // 8 if kind == 4 else width * channels * depth
    if kind < 4:
        row = width * channels  # a digit and a blank for each number, but bits may come without
    if len(data) - found.end() < row * height:
        raise damaged('PNM', f'{len(data)} bytes cannot hold {width}x{height} pixels')
    return Header('PNM', width, height, width * height * channels * depth * 2, data)

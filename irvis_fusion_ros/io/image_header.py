"""
What an encoded image is and how large, before any decoder sees it.

The table has the formats that are read: the header of each is checked by a reader of our own, and a file in
doubt is refused. Everything else that a decoder may know is refused by its name.
"""

from typing import Any

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io.headers import jpeg, plain, png, tiff, webp
from irvis_fusion_ros.io.headers.base import Header, Reader

# By how a file begins.
READERS: dict[bytes, Reader] = {
    png.MAGIC: png.read,
    jpeg.MAGIC: jpeg.read,
    **dict.fromkeys(tiff.MAGICS, tiff.read),
    plain.BMP: plain.read_bmp,
    **dict.fromkeys(plain.PNM, plain.read_pnm),
    webp.MAGIC: webp.read,
}
NAMES = 'PNG, JPEG, TIFF, BMP, PBM, PGM, PPM, WebP'
_OTHERS = {
    b'GIF8': 'GIF',
    b'\0\0\0\x0cjP  ': 'JPEG 2000',
    b'\xff\x4f\xff\x51': 'JPEG 2000',
    b'\0\0\0\x0cJXL ': 'JPEG XL',
    b'\xff\x0a': 'JPEG XL',
    b'\x76\x2f\x31\x01': 'OpenEXR',
    b'#?': 'Radiance HDR',
    b'P7': 'PAM',
    b'PF': 'PFM',
    b'Pf': 'PFM',
    b'\x59\xa6\x6a\x95': 'Sun raster',
}
# What is read of files: more than a camera has, less than hurts. The node has a limit of its own.
MAX_PIXELS = 100_000_000
# Decoders take up to this many bytes for each pixel that is allowed: 16-bit colours, twice, and some.
PIXEL_BYTES = 16
_LEAST_MEMORY = 16 << 20
# What a file may hold beside its pixels: raw values and previews of thermal cameras.
_BESIDE = 64 << 20


def read(data: Any) -> Header:
    """
    Return the header of an encoded image, of which `data` are the bytes.

    Raises ImageError with cause 'corrupt', or 'unknown_encoding' for a format that is not read. The size may
    be any.
    """
    data = memoryview(data).cast('B')
    begin = bytes(data[:16])
    reader = next((reader for magic, reader in READERS.items() if begin.startswith(magic)), None)
    if reader is None or (reader is webp.read and not webp.is_webp(data)):
        name = next((name for magic, name in _OTHERS.items() if begin.startswith(magic)), '')
        if begin[4:8] == b'ftyp':
            name = 'AVIF or HEIF'
        if name:
            raise ImageError('unknown_encoding', f'a {name} image, which is not read ({NAMES} are)')
        raise ImageError('corrupt', f'not an image that can be read ({NAMES})')
    header = reader(data)
    size = f'{header.width}x{header.height}'
    if not header.width or not header.height:
        raise ImageError('corrupt', f'the {header.format} has no pixels ({size})')
    if len(header.data) > header.memory + _BESIDE:
        raise ImageError('corrupt', f'the {header.format} has {len(header.data) >> 20} MB for {size} pixels')
    return header


def check_size(header: Header, max_pixels: int = MAX_PIXELS) -> None:
    """
    Refuse an image that has more pixels than are read, or takes more memory for them.

    Raises ImageError with cause 'too_large'.
    """
    size = f'{header.width}x{header.height}'
    if header.width * header.height > max_pixels:
        raise ImageError('too_large', f'image is {size}; at most {max_pixels} pixels are read: resize it')
    if header.memory > max_pixels * PIXEL_BYTES + _LEAST_MEMORY:
        raise ImageError(
            'too_large',
            f'{header.format} of {size} takes {header.memory >> 20} MB: resize it, or store fewer bits',
        )

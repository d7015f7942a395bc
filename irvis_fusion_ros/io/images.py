"""Reads and writes image files of any depth without loss, and lists those of a folder by file stem."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from irvis_fusion_ros.errors import FileError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.pgm', '.ppm', '.webp')


def read(path: Path) -> np.ndarray:
    """
    Read an image file, as `decode` does.

    Raises FileError for a file that is missing, truncated or not an image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(f'{path}: cannot be read ({error.strerror})') from error
    if not data:
        raise FileError(f'{path}: the file is empty')
    if cut_short(data):
        raise FileError(f'{path}: the file is cut short; copy it again')
    image = decode(data)
    if image is None:
        raise FileError(f'{path}: not an image that can be read ({", ".join(SUFFIXES)})')
    return image


def decode(data: Any) -> np.ndarray | None:
    """
    Return the image in the bytes of a file, None if there is none or a part of it is missing.

    H x W or H x W x 3 (BGR): depth and sign are kept, alpha is dropped, EXIF orientation is applied.
    """
    if not len(data) or cut_short(data):
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error:
        return None


def write(path: Path, image: np.ndarray) -> None:
    """Write an image (H x W or H x W x 3 BGR). Raises FileError if it cannot be written."""
    encoded, data = cv2.imencode(path.suffix, image)
    if not encoded:
        raise FileError(f'{path}: {image.dtype} cannot be stored as {path.suffix}')
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise FileError(f'{path}: cannot be written ({error.strerror})') from error


def by_stem(folder: Path) -> dict[str, Path]:
    """
    Return the image files of a folder by file stem, in natural order (frame2 before frame10).

    Raises FileError if the folder is missing, holds no image, or holds two images of one stem.
    """
    folder = Path(folder)
    if folder.is_file():
        raise FileError(f'{folder}: a file, not a folder of images; take a video apart into images first')
    if not folder.is_dir():
        raise FileError(f'{folder}: no such folder')
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith('.') or not path.is_file():
            continue
        if path.stem in found:
            raise FileError(
                f'{folder}: {found[path.stem].name} and {path.name} have one stem; pairs are made by stem'
            )
        found[path.stem] = path
    if not found:
        raise FileError(f'{folder}: no image in it ({", ".join(SUFFIXES)})')
    return found


def natural_key(name: str) -> list:
    """Return a sort key under which numbers in a name count as numbers."""
    # text and digits alternate in the split, so numbers are only compared with numbers
    return [int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', name)]


def cut_short(data: Any) -> bool:
    """
    Return whether a JPEG or PNG file is truncated: decoders fill the rest with gray and report success.

    A PNG whose header claims more data than it has counts, too, because the decoder allocates the claimed
    size. Data after the image (a preview, the raw values of a thermal camera) does not matter.
    """
    head = bytes(data[:8])
    if head.startswith(_JPEG):
        return all(marker != _END_OF_IMAGE for marker, _ in _jpeg_markers(data))
    return head == _PNG and not _png_is_whole(data)


def encoded_size(data: Any) -> tuple[int, int] | None:
    """Return width and height from the header of a JPEG, PNG or TIFF file, to refuse huge images early."""
    head = bytes(data[:24])
    if head.startswith(_PNG) and len(head) == 24:
        return struct.unpack('>II', head[16:24])
    if head.startswith(_JPEG):
        return _jpeg_size(data)
    if head[:4] in _TIFF and len(head) > 8:
        return _tiff_size(data, _TIFF[head[:4]])
    return None


_JPEG, _PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
_TIFF = {b'II*\0': '<', b'MM\0*': '>'}
_END_OF_IMAGE = 0xD9
# A marker of a JPEG file. Markers without a length, or without a meaning here, are skipped as decoders skip
# them, and so are bytes of the compressed data.
_MARKER = re.compile(rb'\xff+([^\x00\x01\xd0-\xd7\xff])')
_NO_FRAME = (0xC4, 0xC8, 0xCC)


def _jpeg_markers(data: Any) -> Iterator[tuple[int, int]]:
    """Yield the markers of a JPEG file and the positions of their segments, up to the end of the image."""
    place = 2
    while found := _MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        yield marker, place
        if marker == _END_OF_IMAGE:
            return
        place += int.from_bytes(data[place : place + 2], 'big')


def _jpeg_size(data: Any) -> tuple[int, int] | None:
    for marker, place in _jpeg_markers(data):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            head = bytes(data[place + 3 : place + 7])
            return struct.unpack('>HH', head)[::-1] if len(head) == 4 else None
    return None


def _png_is_whole(data: Any) -> bool:
    place = len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack('>I4s', bytes(data[place : place + 8]))
        place += 12 + length  # length, type and checksum around the content
        if kind == b'IEND':
            return True
    return False


def _tiff_size(data: Any, order: str) -> tuple[int, int] | None:
    data = memoryview(data)
    try:
        (place,) = struct.unpack_from(order + 'I', data, 4)
        (count,) = struct.unpack_from(order + 'H', data, place)
        sides = {}
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + 'HH', data, entry)
            if tag in (256, 257) and kind in (3, 4):  # width and height, as short or long
                (sides[tag],) = struct.unpack_from(order + ('H' if kind == 3 else 'I'), data, entry + 8)
    except struct.error:
        return None
    return (sides[256], sides[257]) if len(sides) == 2 else None

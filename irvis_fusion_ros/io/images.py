"""Reads and writes image files of any depth without loss, and lists those of a folder by file stem."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from irvis_fusion_ros.errors import FileError, ImageError
from irvis_fusion_ros.io import bounded, image_header
from irvis_fusion_ros.io.image_header import MAX_PIXELS

# Of a file, in bytes.
LARGEST = 256 << 20
SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.pgm', '.ppm', '.webp')


def read(path: Path) -> np.ndarray:
    """
    Read an image file, as `decode` does.

    Raises FileError for a file that is missing, truncated or not an image.
    """
    data = bounded.read(path, 'the image', LARGEST)
    if not data:
        raise FileError(f'{path}: the file is empty')
    try:
        return decode(data)
    except ImageError as error:
        raise FileError(f'{path}: {error}') from error


def decode(data: Any, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """
    Return the image in the bytes of a file.

    H x W or H x W x 3 (BGR): depth and sign are kept, alpha is dropped, EXIF orientation is applied. It
    takes no more memory than `max_pixels` allow (image_header.py). Raises ImageError with cause 'corrupt',
    'unknown_encoding' or 'too_large'.
    """
    header = image_header.read(data)
    image_header.check_size(header, max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(header.data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error:
        image = None
    if image is None or {*image.shape[:2]} != {header.width, header.height}:
        raise ImageError('corrupt', f'the {header.format} is cut short or damaged; send or copy it again')
    return image


def write(path: Path, image: np.ndarray) -> None:
    """Write an image (H x W or H x W x 3 BGR). Raises FileError if it cannot be written."""
    encoded, data = cv2.imencode(path.suffix, image)
    if not encoded:
        raise FileError(f'{path}: {image.dtype} cannot be stored as {path.suffix}')
    _store(path, data.tobytes())


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as NumPy's .npy. Raises FileError if it cannot be written."""
    data = io.BytesIO()
    np.save(data, array)
    _store(path, data.getvalue())


def _store(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # a part of an image only misleads
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

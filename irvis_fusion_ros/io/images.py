"""Image files: any depth in, nothing lost; and the pairing of two folders by file stem."""

import re
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.errors import FileError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.pgm', '.ppm', '.webp')


def read(path: Path) -> np.ndarray:
    """
    Read an image: H x W or H x W x 3 (BGR), depth kept, alpha dropped, EXIF orientation applied.

    Raises FileError for a file that is missing, cut short or no image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(f'{path}: cannot be read ({error.strerror})') from error
    if not data:
        raise FileError(f'{path}: the file is empty')
    if cut_short(data):
        raise FileError(f'{path}: the file is cut short; copy it again')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error:
        image = None
    if image is None:
        raise FileError(f'{path}: not an image that can be read ({", ".join(SUFFIXES)})')
    return image


def write(path: Path, image: np.ndarray) -> None:
    """Write an image (H x W or H x W x 3 BGR); raises FileError if it cannot be written."""
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
    """Sort key under which numbers in a name count as numbers."""
    # text and digits alternate in the split, so numbers are only ever compared with numbers
    return [int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', name)]


def cut_short(data: bytes) -> bool:
    """Say whether the end of a JPEG or PNG file is missing: decoders fill in gray and report success."""
    if data.startswith(b'\xff\xd8'):
        return data.rfind(b'\xff\xd9') < data.rfind(b'\xff\xda')
    if data.startswith(b'\x89PNG'):
        return b'IEND' not in data
    return False

"""
Archives of arrays (.npz) and of checkpoints, of which every byte that is promised is there.

What writes them here does not compress. So a compressed entry is refused, which could become thousands of
times its size, and what is read is never more than the file.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from irvis_fusion_ros.io import bounded

_MOST_ENTRIES = 100_000
# Flags of entries that are encrypted or patches.
_HIDDEN = 0x1 | 0x20 | 0x40
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextmanager
def opened(path: Path, what: str, limit: int) -> Iterator[tuple[BinaryIO, zipfile.ZipFile]]:
    """
    Open an archive of at most `limit` bytes, as a file and as an archive.

    Raises FileError for a file that cannot be read, and ValueError for one that is no plain archive; reading
    from it raises anything.
    """
    with bounded.opened(path, what, limit) as file:
        size = file.seek(0, 2)
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # it lets many kinds through
            raise ValueError(f'no archive, or not all of it ({error})') from error
        with archive:
            entries = archive.infolist()
            plain = all(
                entry.compress_type == zipfile.ZIP_STORED
                and entry.file_size == entry.compress_size
                and not entry.flag_bits & _HIDDEN
                for entry in entries
            )
            if not plain:
                raise ValueError('its entries are compressed or encrypted; store them as they are')
            if sum(entry.file_size for entry in entries) > size or len(entries) > _MOST_ENTRIES:
                raise ValueError('it promises more than it holds')
            file.seek(0)
            yield file, archive


def array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return an array of an .npz. Raises ValueError, or KeyError if it has none of the name."""
    with array_file(archive, name) as (file, dtype, shape, fortran):
        flat = np.frombuffer(file.read(), dtype)
    return flat.reshape(shape, order='F' if fortran else 'C')


@contextmanager
def array_file(
    archive: zipfile.ZipFile, name: str
) -> Iterator[tuple[BinaryIO, np.dtype, tuple[int, ...], bool]]:
    """Open an array of an .npz: the file, whose position is that of the values, and what they are."""
    entry = archive.getinfo(f'{name}.npy')
    with archive.open(entry) as file:
        try:
            read = _HEADERS[np.lib.format.read_magic(file)]
            shape, fortran, dtype = read(file)
        except Exception as error:  # it is parsed as Python
            raise ValueError(f"array '{name}' has no header that can be read") from error
        if dtype.hasobject:
            raise ValueError(f"array '{name}' holds objects; nothing pickled is loaded")
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count * dtype.itemsize != entry.file_size - file.tell():
            raise ValueError(f"array '{name}' claims {shape} of {dtype}, which is not its size")
        yield file, dtype, shape, fortran

"""Reads files up to a limit, and nothing but files: a device has no end, and a pipe may never begin."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from irvis_fusion_ros.errors import FileError


@contextmanager
def opened(path: Path, what: str, limit: int) -> Iterator[BinaryIO]:
    """
    Open a file of at most `limit` bytes; `what` names it for the user.

    Raises FileError, whose cause is the OSError if there is one, and so for what fails while it is open.
    """
    try:
        # O_NONBLOCK: opening a pipe without a writer would wait for one
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileError(f'{path}: {what} cannot be read ({error.strerror})') from error
    except ValueError as error:  # a path with a zero byte
        raise FileError(f'{str(path)!r}: {what} cannot be read ({error})') from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileError(f'{path}: {what} has to be a file, not a folder, device or pipe; name another one')
    with open(descriptor, 'rb') as file:
        size = os.fstat(descriptor).st_size
        if size > limit:
            sizes = f'has {size / 1e6:.4g} MB, at most {limit / 1e6:.4g} are read'
            raise FileError(f'{path}: {what} {sizes}; name another one')
        try:
            yield file
        except OSError as error:
            raise FileError(f'{path}: {what} cannot be read ({error.strerror or error})') from error


def read(path: Path, what: str, limit: int) -> bytes:
    """Return the bytes of a file, as `opened` does."""
    with opened(path, what, limit) as file:
        # files of /proc say that they are empty
        return file.read(os.fstat(file.fileno()).st_size or min(limit, 1 << 16))


def text(path: Path, what: str, limit: int) -> str:
    """Return the text of a file, UTF-8, as `read` does."""
    try:
        return read(path, what, limit).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise FileError(f'{path}: {what} is not text ({error.reason} at byte {error.start})') from error

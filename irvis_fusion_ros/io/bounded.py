"""Reads files up to a limit, and nothing but files: a device has no end, and a pipe may never begin."""

import os
import stat
from pathlib import Path

from irvis_fusion_ros.errors import FileError


def read(path: Path, what: str, limit: int) -> bytes:
    """
    Return the bytes of a file of at most `limit` bytes; `what` names it for the user.

    Raises FileError, whose cause is the OSError if there is one.
    """
    try:
        # O_NONBLOCK: opening a pipe without a writer would wait for one
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), 'rb') as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                problem = f'{what} has to be a file, not a folder, device or pipe'
            elif status.st_size > limit:
                problem = f'{what} has {status.st_size / 1e6:.4g} MB, at most {limit / 1e6:.4g} are read'
            else:
                # files of /proc say that they are empty
                return file.read(status.st_size or 1 << 16)
    except OSError as error:
        raise FileError(f'{path}: {what} cannot be read ({error.strerror})') from error
    except ValueError as error:  # a path with a zero byte
        raise FileError(f'{str(path)!r}: {what} cannot be read ({error})') from error
    raise FileError(f'{path}: {problem}; name another one')


def text(path: Path, what: str, limit: int) -> str:
    """Return the text of a file, UTF-8, as `read` does."""
    try:
        return read(path, what, limit).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise FileError(f'{path}: {what} is not text ({error.reason} at byte {error.start})') from error

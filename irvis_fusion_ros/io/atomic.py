"""
Atomic writing of files and folders: one is replaced completely or not at all.

A file has no name until it is whole (O_TMPFILE of Linux), so a process that is killed leaves nothing behind.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from irvis_fusion_ros.errors import FileError


def write(path: Path, data: bytes) -> None:
    """
    Replace the content of a file by `data`, atomically.

    The data is synced to disk before it gets the name. After a crash the file is either the old or the new
    one. Raises FileError, with the old file intact, if it cannot be written (no space left, no permission).
    """
    path = Path(path)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                # the mode is the one that the process gives to every file
                descriptor = os.open('.', os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=folder)
            except OSError:
                _write_beside(path, data)  # some network file systems have no files without a name
            else:
                with open(descriptor, 'wb') as file:
                    _fill(file, data)
                    _give_name(descriptor, path.name, folder)
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        kept = '; the file that was there is intact' if path.exists() else ''
        raise FileError(
            f'{path}: {len(data) / 1e6:.1f} MB cannot be written ({error.strerror}){kept}; '
            'make room or choose another folder'
        ) from error


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """
    Replace a folder by one that fill(folder) has written, at once.

    Raises FileError if it cannot be written; what `fill` raises passes. The old one stays then.
    """
    made, old = (path.with_name(f'.{path.name}.{state}') for state in ('new', 'old'))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(made, old)  # of a process that was killed
        made.mkdir()
        fill(made)
        if path.exists():
            path.rename(old)
        made.rename(path)
    except OSError as error:
        raise FileError(
            f'{path}: cannot be written ({error.strerror}); make room or choose another folder'
        ) from error
    finally:
        _remove(made, old)


def _fill(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _give_name(descriptor: int, name: str, folder: int) -> None:
    # a link cannot replace a file, so it gets another name for a moment, one writer after the other
    beside = f'.{name}.new'
    with contextlib.suppress(OSError):  # some network file systems have no locks
        fcntl.flock(folder, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=folder)  # of a process that was killed just then
    os.link(f'/proc/self/fd/{descriptor}', beside, dst_dir_fd=folder, follow_symlinks=True)
    os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)


def _write_beside(path: Path, data: bytes) -> None:
    beside = path.with_name(f'.{path.name}.new')
    try:
        with open(beside, 'wb') as file:
            _fill(file, data)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)

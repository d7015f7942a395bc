"""Atomic writing of files: a file is replaced completely or not at all."""

import os
import tempfile
from pathlib import Path

from irvis_fusion_ros.errors import FileError


def write(path: Path, data: bytes) -> None:
    """
    Replace the content of a file by `data`, atomically.

    The data is written to a temporary file beside it, synced to disk, and renamed. After a crash the file is
    either the old or the new one. Raises FileError, with the old file intact, if it cannot be written (no
    space left, no permission).
    """
    path = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f'.{path.name}.', delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # temporary files are readable by their owner only
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        kept = '; the file that was there is intact' if path.exists() else ''
        raise FileError(
            f'{path}: {len(data) / 1e6:.1f} MB cannot be written ({error.strerror}){kept}; '
            'make room or choose another folder'
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""
A bag that is written file by file, so that what is finished survives the end of the process.

A file takes its place in the folder when it is whole, and metadata.yaml is replaced at once: the folder is a
bag at any time. What the files hold is kept by the caller, who hands it in again to go on.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from irvis_fusion_ros.errors import BagError, FileError
from irvis_fusion_ros.io import atomic
from irvis_fusion_ros.io.bags import BagWriter
from irvis_fusion_ros.io.storage.files import METADATA, SUFFIXES

_PART = '.part'
_ROOT = 'rosbag2_bagfile_information'


class SplitBag:
    """
    A bag in several files at `path`, which exists.

    parts: the metadata of the files that are there already; all others are removed. Raises BagError.
    """

    def __init__(self, path: Path, storage: str, parts: list[dict[str, Any]]):
        self.path = path
        self.parts = parts
        self.size = 0  # bytes in the file that is being written
        self._storage = storage
        self._writer: BagWriter | None = None
        kept = {part['relative_file_paths'][0] for part in parts}
        missing = sorted(name for name in kept if not (path / name).is_file())
        if missing:
            raise BagError(f"'{path}' cannot be gone on with: its file '{missing[0]}' is missing")
        shutil.rmtree(path / _PART, ignore_errors=True)
        for file in path.iterdir():
            if file.suffix in SUFFIXES and file.name not in kept:
                file.unlink()

    def write(self, size: int, put: Callable[[BagWriter], None]) -> None:
        """Let `put` write about `size` bytes into the file that is being written."""
        if self._writer is None:
            name = f'{self.path.absolute().name}_{len(self.parts)}'
            self._writer = BagWriter(self.path / _PART / name, self._storage)
        put(self._writer)
        self.size += size

    def finish_part(self) -> None:
        """Close the file that is being written, if any, and put it into its place."""
        if self._writer is None:
            return
        self._writer.close()
        folder, self._writer, self.size = self._writer.path, None, 0
        part = yaml.safe_load((folder / METADATA).read_text('utf-8'))[_ROOT]
        name = part['relative_file_paths'][0]
        try:
            (folder / name).replace(self.path / name)
        except OSError as error:
            raise BagError(f"cannot write '{self.path / name}': {error.strerror}") from error
        shutil.rmtree(self.path / _PART)
        self.parts.append(part)

    def write_metadata(self) -> None:
        """State what the files hold."""
        if not self.parts:
            return
        try:
            text = yaml.safe_dump({_ROOT: _joined(self.parts)}, sort_keys=False, allow_unicode=True)
            atomic.write(self.path / METADATA, text.encode())
        except FileError as error:
            raise BagError(str(error)) from error


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    topics: dict[str, dict[str, Any]] = {}
    for part in parts:
        for topic in part['topics_with_message_count']:
            name = topic['topic_metadata']['name']
            count = topics.get(name, {'message_count': 0})['message_count'] + topic['message_count']
            topics[name] = {'topic_metadata': topic['topic_metadata'], 'message_count': count}
    start = min(part['starting_time']['nanoseconds_since_epoch'] for part in parts)
    stop = max(
        part['starting_time']['nanoseconds_since_epoch'] + part['duration']['nanoseconds'] for part in parts
    )
    return {
        **parts[0],
        'relative_file_paths': [part['relative_file_paths'][0] for part in parts],
        'duration': {'nanoseconds': stop - start},
        'starting_time': {'nanoseconds_since_epoch': start},
        'message_count': sum(part['message_count'] for part in parts),
        'topics_with_message_count': list(topics.values()),
        'files': [file for part in parts for file in part['files']],
    }

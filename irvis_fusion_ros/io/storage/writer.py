"""The writer of rosbags, for paths of any name."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rosbags import rosbag2
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer


class _Sqlite3Writer(Sqlite3Writer):
    """Opens its file by path: rosbags makes an address of it, in which `#`, `?` and `%` mean something."""

    def __init__(self, path: Path, compression: Any):
        self.path = path / f'{path.name}.db3'
        self.conn = sqlite3.connect(self.path)
        self.conn.executescript(self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()


class Writer(rosbag2.Writer):
    """Writes a new bag, as its base class does."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, Any] = {
        **rosbag2.Writer.STORAGE_PLUGINS,
        StoragePlugin.SQLITE3: _Sqlite3Writer,
    }

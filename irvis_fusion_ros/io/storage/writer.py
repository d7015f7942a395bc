"""The writer of rosbags, for paths of any name and types of any package."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rosbags import rosbag2
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io.storage.base import Topic

# How the definition of a type begins that is in IDL.
_IDL = '=' * 80 + '\nIDL: '
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)


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


def defined(topic: Topic) -> Typestore:
    """Return the types that are needed to write a topic of a type that is not common. Raises BagError."""
    if not topic.definition:
        raise BagError(f"topic '{topic.name}': no definition of {topic.type} to write into a bag")
    types = get_typestore(Stores.ROS2_HUMBLE)
    try:
        if topic.definition.startswith(_IDL):
            found = get_types_from_idl(topic.definition)
        else:
            found = get_types_from_msg(topic.definition, topic.type)
        types.register({name: fields for name, fields in found.items() if name not in types.fielddefs})
        types.hash_rihs01(topic.type)
    except Exception as error:  # the parser lets many kinds through
        reason = ' '.join(str(error).split())
        raise BagError(
            f"topic '{topic.name}': the definition of {topic.type} cannot be used ({reason})"
        ) from error
    return types

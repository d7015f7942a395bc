"""What metadata.yaml says of a bag; it may be missing, wrong, or of any version."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from irvis_fusion_ros.io import yaml_file
from irvis_fusion_ros.io.storage.base import is_latched, type_name

# In bytes and values: a recording of a year has a file for each minute.
LARGEST = 16 << 20
_MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class Metadata:
    """
    What is stated of a bag. files: names, in order. counts, types and latched: by topic.

    start, stop: of the recording, in nanoseconds; both 0 if they are not stated.
    """

    files: tuple[str, ...] = ()
    counts: Counter = field(default_factory=Counter)
    types: Mapping[str, str] = field(default_factory=dict)
    latched: frozenset[str] = frozenset()
    start: int = 0
    stop: int = 0


def parsed(text: str) -> Metadata:
    """Return what the text says. Raises ValueError, saying why, for one that says nothing of a bag."""
    content = yaml_file.parsed(text, _MOST_VALUES)
    if isinstance(content, dict):
        content = content.get('rosbag2_bagfile_information', content)
    if not isinstance(content, dict):
        raise ValueError('it is empty' if content is None else 'it is not the metadata of a bag')
    counts: Counter = Counter()
    types: dict[str, str] = {}
    latched = set()
    for entry in _list(content.get('topics_with_message_count')):
        topic = entry.get('topic_metadata') if isinstance(entry, dict) else None
        if not isinstance(topic, dict) or not isinstance(topic.get('name'), str):
            continue
        counts[topic['name']] += _number(entry.get('message_count'))
        types[topic['name']] = type_name(str(topic.get('type', '')))
        if is_latched(str(topic.get('offered_qos_profiles', ''))):
            latched.add(topic['name'])
    start = _nanoseconds(content.get('starting_time'), 'nanoseconds_since_epoch')
    duration = _nanoseconds(content.get('duration'), 'nanoseconds')
    files = tuple(
        PurePosixPath(name).name
        for name in _list(content.get('relative_file_paths'))
        if isinstance(name, str)
    )
    return Metadata(files, counts, types, frozenset(latched), start, start + duration + 1 if start else 0)


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 63 else 0


def _nanoseconds(value: Any, key: str) -> int:
    return _number(value.get(key)) if isinstance(value, dict) else 0

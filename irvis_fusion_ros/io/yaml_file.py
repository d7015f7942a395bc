"""
Reads the YAML of users and bags: calibrations, parameters, configurations, metadata.

A few lines of YAML can stand for gigabytes (aliases) or exceed every stack (nesting). Both are refused while
the text is parsed, before anything is built of it, and so are keys that are there twice.
"""

from pathlib import Path
from typing import Any

import yaml

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import bounded

# In bytes, of a file that somebody wrote; and what is in it.
LARGEST = 1 << 20
_MOST_VALUES = 50_000
_DEEPEST = 32
_LONGEST = 1 << 16
_Base = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc, valid-type]
    """Builds values of plain YAML, each key once."""

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict:
        """Return a dictionary. Raises YAMLError for a key that is there twice."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise yaml.YAMLError(f"key '{key.value[:60]}' is there twice")
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    def construct_integer(self, node: yaml.Node) -> int:
        """Return a whole number. Raises YAMLError for one that no number of NumPy or ROS can be."""
        number = self.construct_yaml_int(node)
        if abs(number) >= 1 << 63:
            raise yaml.YAMLError(f'a number of {len(node.value)} digits')
        return number


_Loader.add_constructor('tag:yaml.org,2002:int', _Loader.construct_integer)


def read(path: Path, what: str) -> Any:
    """Return the content of a YAML file; `what` names it for the user. Raises FileError."""
    text = bounded.text(path, what, LARGEST)
    try:
        return parsed(text)
    except ValueError as error:
        raise FileError(f'{path}: not YAML: {error}') from error


def parsed(text: str, most_values: int = _MOST_VALUES) -> Any:
    """Return the content of YAML. Raises ValueError, with the place, for any that is not plain."""
    try:
        _check(text, most_values)
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # a date that there is none of, a number of thousands of digits
        raise ValueError(' '.join(str(error).split())[:300]) from error


def _check(text: str, most_values: int) -> None:
    depth = values = 0
    for event in yaml.parse(text, _Base):
        place = f'in line {event.start_mark.line + 1}'
        if isinstance(event, yaml.AliasEvent) or getattr(event, 'anchor', None):
            raise ValueError(f'aliases and anchors (&, *) are not read; write the values out {place}')
        if isinstance(event, yaml.CollectionStartEvent):
            depth, values = depth + 1, values + 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if len(event.value) > _LONGEST:
                raise ValueError(f'a value of {len(event.value)} characters {place}')
        if getattr(event, 'tag', None) not in (None, '!'):
            raise ValueError(f'tags ({event.tag}) are not read; write plain values {place}')
        if depth > _DEEPEST:
            raise ValueError(f'more than {_DEEPEST} levels {place}')
        if values > most_values:
            raise ValueError(f'more than {most_values} values {place}')

"""Options of a flight as a user lists them: `key=value` with commas between, or a YAML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from irvis_fusion_ros.config import unknown, walk
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.io import yaml_file


def read(text: str, names: Sequence[str], what: str, prefix: str = '') -> dict[str, Any]:
    """
    Return options of FlightConfig by name, with values of their type.

    text: `key=value,key=value`, or the path of a YAML file with such keys. names: those that may be given,
    each without the prefix. what: names the list for the user. Raises ValueError (FileError for a file).
    """
    if '=' in text:
        where = what
        pairs = [part.partition('=')[::2] for part in text.split(',') if part.strip()]
        given = {key.strip(): value.strip() for key, value in pairs}
    else:
        where = f'{what} {text}'
        given = yaml_file.read(Path(text), what)
        if not isinstance(given, Mapping):
            raise FileError(f"{where}: expected keys and values, such as 'baseline: 0.2'")
    defaults = {name: value for name, _, value in walk(FlightConfig())}
    values = {}
    for key, value in given.items():
        if f'{prefix}{key}' not in names:
            raise FileError(f'{where}: {unknown("key", key, [name.removeprefix(prefix) for name in names])}')
        kind = type(defaults[f'{prefix}{key}'])
        try:
            values[f'{prefix}{key}'] = kind(value)
        except (TypeError, ValueError):
            raise FileError(f"{where}: '{key}' is {value!r}: must be a number") from None
    return values

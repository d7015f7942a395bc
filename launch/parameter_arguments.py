"""
Every parameter of the node is a launch argument; those that are given are written into the parameter file.

Imports nothing of the package: `ros2 launch` may run under a Python that does not have it.
"""

import copy
import json
import textwrap
from pathlib import Path
from typing import Any

import yaml

# The default of every parameter argument: the file decides.
FROM_FILE = 'as in params_file'
_TYPES = {'boolean': 'true or false', 'integer': 'a whole number', 'number': 'a number', 'string': 'a text'}


def declared(schema: Path) -> dict[str, dict[str, Any]]:
    """Return the parameters that config/fusion.schema.json describes, by dotted name."""
    document = json.loads(Path(schema).read_text(encoding='utf-8'))
    return dict(_flat(document['definitions']['fusion_node']['properties'], ''))


def describe(parameter: dict[str, Any]) -> str:
    """Say in words what an argument does, which values it takes and what the default is."""
    text = parameter['description']
    if 'enum' in parameter:
        text += f' One of: {", ".join(parameter["enum"])}.'
    elif 'minimum' in parameter and 'maximum' in parameter:
        text += f' From {parameter["minimum"]:,} to {parameter["maximum"]:,}.'
    return f'{text} In fusion.yaml: {json.dumps(parameter["default"])}.'


def wrap(text: str) -> str:
    """Break a description the way `ros2 launch --show-args` indents it."""
    return textwrap.fill(text, 100, subsequent_indent=' ' * 8)


def parse(name: str, text: str, parameter: dict[str, Any]) -> Any:
    """
    Return the value of an argument in the type of its parameter; whether the node takes it is its own matter.

    Raises ValueError, which names the argument, for a text of another type.
    """
    kind = parameter['type']
    try:
        if kind == 'boolean':
            return {'true': True, 'false': False}[text.strip().lower()]
        return {'integer': int, 'number': float, 'string': str}[kind](text)
    except (KeyError, ValueError):
        raise ValueError(f"{name}:='{text}': expected {_TYPES[kind]}") from None


def with_arguments(document: Any, given: dict[str, Any]) -> dict[str, Any]:
    """
    Return the content of a parameter file in which the given parameters, by dotted name, win.

    They are taken out of every section, because a section for one node wins over the one for all of them.
    Raises ValueError for content that is no parameter file.
    """
    sections = copy.deepcopy(document) or {}
    for name, section in sections.items() if isinstance(sections, dict) else [('', None)]:
        if not isinstance(section, dict) or not isinstance(section.get('ros__parameters', {}), dict):
            raise ValueError(f"expected 'NODE: ros__parameters: ...', with NODE as '/**'; found '{name}'")
        for parameter in given:
            _remove(section.get('ros__parameters', {}), parameter)
    parameters = sections.setdefault('/**', {}).setdefault('ros__parameters', {})
    parameters.update(given)
    return sections


def write(source: Path, given: dict[str, Any], target: Path) -> None:
    """Write a parameter file with the given parameters in it. Raises ValueError, which names `source`."""
    try:
        document = yaml.safe_load(Path(source).read_text(encoding='utf-8'))
        merged = with_arguments(document, given)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"params_file '{source}' cannot be used: {error}") from error
    Path(target).write_text(yaml.safe_dump(merged, sort_keys=False), encoding='utf-8')


def _flat(properties: dict[str, Any], prefix: str):
    for name, entry in properties.items():
        if 'properties' in entry:
            yield from _flat(entry['properties'], f'{prefix}{name}.')
        elif entry['type'] in _TYPES:
            yield prefix + name, entry


def _remove(parameters: dict[str, Any], name: str) -> None:
    # sync.tolerance may be written as it is, or as tolerance below sync
    parameters.pop(name, None)
    head, _, rest = name.partition('.')
    if rest and isinstance(parameters.get(head), dict):
        _remove(parameters[head], rest)

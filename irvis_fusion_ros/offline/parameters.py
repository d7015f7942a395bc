"""The parameters of the node from a YAML file of ROS 2, read without ROS."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from irvis_fusion_ros.config import problem_of, walk, with_values
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import yaml_file
from irvis_fusion_ros.ros.options import NodeConfig, conflict

_NODES = ('/**', '/*', 'fusion_node', '/fusion_node', '/**/fusion_node')
# Parameters of every node of ROS 2, without a meaning here.
_FOREIGN = ('use_sim_time', 'start_type_description_service', 'qos_overrides')


def load(path: Path) -> tuple[NodeConfig, list[str]]:
    """
    Return the parameters in a file, and what is to be told of it: parameters that the node does not have.

    Raises FileError, naming the parameter, its value and the limit.
    """
    content = yaml_file.read(path, 'parameter file')
    if not isinstance(content, dict):
        raise FileError(f'{path}: not a parameter file of ROS 2 (a node, and below it ros__parameters)')
    options = {name: (spec, default) for name, spec, default in walk(NodeConfig())}
    values: dict[str, Any] = {}
    notes = []
    for node, below in content.items():
        given = below.get('ros__parameters') if isinstance(below, dict) else None
        if not isinstance(given, dict):
            raise FileError(f"{path}: '{node}' has no ros__parameters")
        for name, value in _flat(given) if node in _NODES else ():
            if name.startswith(_FOREIGN):
                continue
            if name not in options:
                near = difflib.get_close_matches(name, options, 1, 0.5)
                hint = f"; did you mean '{near[0]}'?" if near else ''
                notes.append(f"{path}: unknown parameter '{name}' is ignored{hint}")
                continue
            spec, default = options[name]
            if isinstance(default, float) and type(value) is int:
                value = float(value)
            problem = problem_of(name, spec, default, value)
            if problem:
                raise FileError(f'{path}: {problem}')
            values[name] = value
    return with_values(NodeConfig(), values), notes


def chosen(
    path: Path | None, preset: str | None, device: str | None, say: Callable[[str], None]
) -> NodeConfig:
    """
    Return the parameters in a file, if one is given, with another preset and device, if they are.

    say(text) is told of parameters that the node does not have. Raises FileError for what does not go
    together, or cannot be had on this machine.
    """
    config, notes = load(path) if path else (NodeConfig(), [])
    for note in notes:
        say(note)
    given = {'preset': preset, 'device': device}
    config = replace(config, **{name: value for name, value in given.items() if value is not None})
    problem = conflict(config)
    if problem:
        raise FileError(problem)
    return config


def _flat(given: dict, prefix: str = '') -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value

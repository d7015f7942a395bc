"""
Options: frozen dataclasses whose fields carry their own description and bounds.

Everything that lists options (ROS parameter descriptors, the default YAML, the parameter table in
the documentation, command-line help) is derived from these fields, so they cannot drift apart.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any


@dataclass(frozen=True)
class OptionSpec:
    """
    What a field of a configuration class promises.

    `live` says that the value may be changed while the node is running; other options need the node
    to be cleaned up and configured again. `None` bounds are open. `kind` is what a choice is called where
    it is refused, if everyone who offers it refuses it in the words of `unknown`.
    """

    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    kind: str = ''
    unit: str = ''
    live: bool = False


def option(default: Any, description: str, **limits: Any) -> Any:
    """Declare a configuration field with its default, its description and its limits."""
    return field(default=default, metadata={'spec': OptionSpec(description, **limits)})


def group(config_class: type) -> Any:
    """Nest one configuration class in another, as a field of it."""
    return field(default_factory=config_class)


def walk(config: Any, prefix: str = '') -> Iterator[tuple[str, OptionSpec, Any]]:
    """Yield `(dotted name, spec, value)` of every option of `config`, in the order of declaration."""
    for entry in fields(config):
        value = getattr(config, entry.name)
        if is_dataclass(value):
            yield from walk(value, f'{prefix}{entry.name}.')
        else:
            yield prefix + entry.name, entry.metadata['spec'], value


def check(config: Any, prefix: str = '') -> None:
    """Raise ValueError, naming the option, if any value of `config` breaks its own limits."""
    for name, spec, value in walk(config, prefix):
        reason = violation(spec, value)
        if reason:
            raise ValueError(f"'{name}' is {value!r}: {reason}")


def violation(spec: OptionSpec, value: Any) -> str | None:
    """Say what is wrong with `value`, or None if it keeps to `spec`."""
    if spec.choices is not None and value not in spec.choices:
        if spec.kind:
            return unknown(spec.kind, value, spec.choices)
        return f'must be one of {", ".join(map(repr, spec.choices))}'
    unit = f' {spec.unit}' if spec.unit else ''
    if spec.minimum is not None and not value >= spec.minimum:
        return f'must be at least {spec.minimum:g}{unit}'
    if spec.maximum is not None and not value <= spec.maximum:
        return f'must be at most {spec.maximum:g}{unit}'
    if isinstance(value, float) and not math.isfinite(value):
        return 'must be a finite number'
    return None


def problem_of(name: str, spec: OptionSpec, default: Any, value: Any) -> str | None:
    """Say what is wrong with a value of an option, or None; its type is that of the default."""
    if type(value) is not type(default):
        wanted = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}[
            type(default)
        ]
        return f"'{name}' is {value!r}: must be {wanted}"
    reason = violation(spec, value)
    return f"'{name}' is {value!r}: {reason}" if reason else None


def with_values(config: Any, values: Mapping[str, Any]) -> Any:
    """Return a configuration with some options replaced, given by dotted name."""
    changes = {}
    for entry in fields(config):
        value = getattr(config, entry.name)
        if is_dataclass(value):
            prefix = entry.name + '.'
            inner = {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}
            changes[entry.name] = with_values(value, inner)
        elif entry.name in values:
            changes[entry.name] = values[entry.name]
    return replace(config, **changes)


def unknown(kind: str, name: str, valid: Iterable[str]) -> str:
    """Say that `name` is none of the valid ones, in the words that all tables of names share."""
    return f"unknown {kind} '{name}'; valid: {', '.join(valid)}"

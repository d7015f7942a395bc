"""
What a stream has left in a predictor, so that another process can go on with it.

It is what `reset` forgets: the attributes that the method sets, of the object and of those parts of it that
can be reset themselves.

    kept = memory.of(predictor)
    memory.put(another_predictor, kept)
"""

import copy
from types import SimpleNamespace
from typing import Any


def of(thing: Any) -> dict[str, Any]:
    """Return what `thing` keeps of its stream, by name of attribute; parts are dictionaries of their own."""
    parts = _parts(thing)
    kept = {name: getattr(thing, name) for name in _forgotten(thing, parts)}
    return {**kept, **{name: of(part) for name, part in parts.items()}}


def put(thing: Any, kept: dict[str, Any]) -> None:
    """Let `thing` go on from what `of` returned of one that was made in the same way."""
    parts = _parts(thing)
    for name, value in kept.items():
        if name in parts:
            put(parts[name], value)
        else:
            setattr(thing, name, value)


def _parts(thing: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(thing).items()
        if callable(getattr(value, 'reset', None)) and not isinstance(value, type)
    }


def _forgotten(thing: Any, parts: dict[str, Any]) -> list[str]:
    """Return the attributes that `reset` sets, found by letting it reset a copy."""
    names: dict[str, None] = {}

    class Watched(type(thing)):
        def __setattr__(self, name: str, value: Any) -> None:
            names[name] = None
            object.__setattr__(self, name, value)

    watched = copy.copy(thing)
    for name in parts:
        setattr(watched, name, SimpleNamespace(reset=lambda: None))
    watched.__class__ = Watched
    watched.reset()
    return list(names)

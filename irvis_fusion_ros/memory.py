"""
What a stream has left in a predictor, so that another process can go on with it.

What keeps something of a stream names it in `STREAM`: attributes that hold values, and parts that name what
they keep in the same way. `reset` forgets all of these.

    kept = memory.of(predictor)
    memory.put(another_predictor, kept)
"""

from typing import Any


def of(thing: Any) -> dict[str, Any]:
    """Return what `thing` keeps of its stream, by name of attribute; parts are dictionaries of their own."""
    kept = {name: getattr(thing, name) for name in thing.STREAM}
    return {name: of(value) if hasattr(value, 'STREAM') else value for name, value in kept.items()}


def put(thing: Any, kept: dict[str, Any]) -> None:
    """Let `thing` go on from what `of` returned of one that was made in the same way."""
    for name, value in kept.items():
        part = getattr(thing, name)
        if hasattr(part, 'STREAM'):
            put(part, value)
        else:
            setattr(thing, name, value)

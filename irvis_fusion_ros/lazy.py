"""What tables name as 'module:name' is imported when it is asked for: a list of names needs no torch."""

from importlib import import_module
from typing import Any


def load(entry: Any) -> Any:
    """Return what 'module:name' names; anything but a text is returned as it is."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(':')
    return getattr(import_module(module), name)

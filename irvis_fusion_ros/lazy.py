"""Imports what tables name as 'module:name' on first use, so that listing names needs no torch."""

from importlib import import_module
from typing import Any


def load(entry: Any) -> Any:
    """Return the object that 'module:name' names; return anything but a string unchanged."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(':')
    return getattr(import_module(module), name)

"""Reads the JSON of users: lists of pairs, and of targets."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import bounded

# In bytes, of a list of 100,000 pairs; and objects and lists in it.
LARGEST = 24 << 20
_MOST_PARTS = 1_000_000
_LONGEST_NUMBER = 40


def read(path: Path, what: str) -> Any:
    """Return the content of a JSON file; `what` names it for the user. Raises FileError."""
    try:
        return parsed(bounded.text(path, what, LARGEST))
    except FileError:
        raise
    except ValueError as error:
        raise FileError(f'{path}: {what} is not JSON ({error})') from error


def parsed(text: str) -> Any:
    """
    Return the content of JSON, each key once, all numbers finite.

    Raises ValueError, with the place where there is one.
    """
    if text.count('[') + text.count('{') > _MOST_PARTS:
        raise ValueError(f'more than {_MOST_PARTS} objects and lists')
    try:
        return json.loads(
            text, parse_int=_integer, parse_float=_real, parse_constant=_real, object_pairs_hook=_unique
        )
    except RecursionError as error:
        raise ValueError('objects and lists in more levels than can be read') from error


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f'a number of {len(text)} digits')
    return int(text)


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f'{text[:_LONGEST_NUMBER]} is not finite')
    return number


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        twice, _ = Counter(name for name, _ in items).most_common(1)[0]
        raise ValueError(f"key '{twice[:60]}' is there twice")
    return found

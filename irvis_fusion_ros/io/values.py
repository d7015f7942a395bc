"""
Values of Python in a file: numbers, texts, tuples, dictionaries, arrays, tensors and our own dataclasses.

For what is written by one run and read by the next. Unlike a pickle, a file from somebody else can do no
harm: arrays are plain, and of classes only the dataclasses of this package are made.
"""

import importlib
import io
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import atomic, zip_file

_PACKAGE = __name__.partition('.')[0]
_LARGEST = 256 << 20


def write(path: Path, value: Any) -> None:
    """Write a value, whole or not at all. Raises FileError, and TypeError for what cannot be stored."""
    arrays: dict[str, np.ndarray] = {}
    tree = _packed(value, arrays)
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(json.dumps(tree).encode(), np.uint8), **arrays)
    atomic.write(path, buffer.getvalue())


def read(path: Path) -> Any:
    """Return the value in a file. Raises FileError."""
    try:
        with zip_file.opened(path, 'the state', _LARGEST) as (_, archive):
            tree = json.loads(zip_file.array(archive, 'tree').tobytes())
            return _unpacked(tree, lambda name: zip_file.array(archive, name).copy())
    except FileError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as it has parts
        raise FileError(f'{path}: damaged ({error}); remove it') from error


def _packed(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.dtype):
        return {'dtype': value.str}
    if isinstance(value, (np.ndarray, np.generic)):
        name = f'a{len(arrays)}'
        arrays[name] = np.asarray(value)
        return {'array' if isinstance(value, np.ndarray) else 'scalar': name}
    if type(value).__module__.partition('.')[0] == 'torch':
        return {'tensor': _packed(value.detach().cpu().numpy(), arrays), 'device': str(value.device)}
    if isinstance(value, dict):
        return {'dict': [[_packed(each, arrays) for each in item] for item in value.items()]}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [_packed(each, arrays) for each in value]}
    if is_dataclass(value) and type(value).__module__.startswith(f'{_PACKAGE}.'):
        content = {each.name: _packed(getattr(value, each.name), arrays) for each in fields(value)}
        return {'class': [type(value).__module__, type(value).__qualname__], 'fields': content}
    raise TypeError(f'{type(value).__name__} cannot be stored')


def _unpacked(tree: Any, arrays: Callable[[str], np.ndarray]) -> Any:
    if not isinstance(tree, dict):
        return tree
    kind, content = next(iter(tree.items()))
    if kind == 'dtype':
        return np.dtype(content)
    if kind in ('array', 'scalar'):
        return arrays(content) if kind == 'array' else arrays(content)[()]
    if kind == 'tensor':
        import torch

        return torch.from_numpy(_unpacked(content, arrays)).to(tree['device'])
    if kind == 'dict':
        return {_unpacked(key, arrays): _unpacked(value, arrays) for key, value in content}
    if kind in ('tuple', 'list'):
        values = [_unpacked(each, arrays) for each in content]
        return tuple(values) if kind == 'tuple' else values
    return _class(*content)(**{name: _unpacked(each, arrays) for name, each in tree['fields'].items()})


def _class(module: str, name: str) -> type:
    found = getattr(importlib.import_module(module), name) if module.startswith(f'{_PACKAGE}.') else None
    if not is_dataclass(found):
        raise ValueError(f'{module}.{name} is no dataclass of this package')
    return found

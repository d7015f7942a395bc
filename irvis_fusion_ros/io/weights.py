"""
Trained weights: `NAME.safetensors` and its card `NAME.md` in the folder models/ (or IRVIS_MODELS).

The metadata of a file state its system and the options of the network. The card states the hash of the file,
in a line with `sha256` and the 64 digits.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import Tensor, nn

from irvis_fusion_ros import share
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import atomic, bounded, json_file

Network = TypeVar('Network', bound=nn.Module)

VARIABLE = 'IRVIS_MODELS'
SUFFIX = '.safetensors'
# In bytes; the largest network here has a sixth of it.
LARGEST = 64 << 20
_LARGEST_HEADER = 1 << 20
# The only key of the metadata: their order is not preserved, and equal weights must give equal bytes.
ABOUT = 'irvis_fusion_ros'


@dataclass(frozen=True)
class Weights:
    """state: for `nn.Module.load_state_dict`, float32. config: options of the network, as saved."""

    state: dict[str, Tensor]
    config: dict


def folder() -> Path:
    """Return the folder of the weights: IRVIS_MODELS, or models/ of the package."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else share.folder() / 'models'


def file_of(name: str) -> Path:
    """Return the path of the weights `name`, which need not exist."""
    return folder() / f'{name}{SUFFIX}'


def load(name: str, system: str, or_shipped: bool = False) -> Weights:
    """
    Return the weights `name`, for a system.

    or_shipped: take those of the package where IRVIS_MODELS names a folder without them; a folder with the
    weights of one system that was adapted should not take away what every system uses.

    Raises FileError, with the remedy, if they are missing, do not match the hash on their card, or belong to
    another system.
    """
    path = file_of(name)
    if or_shipped and not path.exists():
        path = share.folder() / 'models' / path.name
    if not path.exists():
        raise FileError(
            f"{path}: '{name}' has no weights there: it is not trained yet, or the package is installed "
            f'without its models; let {VARIABLE} name the folder that holds them, or make them with '
            f"'irvis train {system} --config config/train_{system}.yaml --data PACK.npz' and put them there "
            'with their card (docs/training.md), or choose another preset'
        )
    data = bounded.read(path, 'the weights', LARGEST)
    expected, found = _stated_hash(path.with_suffix('.md')), hashlib.sha256(data).hexdigest()
    if found != expected:
        raise FileError(
            f'{path}: sha256 is {found}, but the card says {expected}: the file is damaged or another one; '
            'copy it again together with its card'
        )
    return _parse(path, data, system)


def read(path: Path, system: str) -> Weights:
    """Return the weights in a file without a card, for a system. Raises FileError as `load` does."""
    return _parse(path, bounded.read(path, 'the weights', LARGEST), system)


def into(network: Network, name: str, system: str, or_shipped: bool = False) -> Network:
    """Load the weights `name` into the network of a system, as `built` does; returns it."""
    return built(lambda config: network, name, system, or_shipped)


def built(build: Callable[[dict], Network], name: str, system: str, or_shipped: bool = False) -> Network:
    """
    Return the network that `build` makes from the options saved with the weights `name`, with these weights.

    or_shipped: see `load`. Raises FileError as `load` does, and for options or weights that do not fit the
    network.
    """
    saved = load(name, system, or_shipped)
    try:
        network = build(saved.config)
        network.load_state_dict(saved.state)
    except (RuntimeError, KeyError, TypeError) as error:
        raise FileError(
            f'{file_of(name)}: weights of another version of this network '
            f'({" ".join(str(error).split())[:200]}); take the ones that came with the package'
        ) from error
    return network


def save(path: Path, system: str, config: dict, state: dict[str, Tensor], half: bool = False) -> str:
    """
    Write weights and return their sha256, for the card.

    half: store floating point as float16, for networks that perform equally with it. Raises FileError if the
    file cannot be written; an existing file then stays intact.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if half:
        stored = {
            name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in stored.items()
        }
    data = bytes_of(stored, {ABOUT: json.dumps({'system': system, 'config': config})})
    atomic.write(path, data)
    return hashlib.sha256(data).hexdigest()


def _stated_hash(card: Path) -> str:
    text = bounded.text(card, 'the card of the weights', 1 << 20)
    stated = re.search(r'sha256\W+([0-9a-f]{64})\b', text, re.IGNORECASE)
    if stated is None:
        raise FileError(f"{card}: no 'sha256' with its 64 digits in the card; state what the weights hash to")
    return stated[1].lower()


def _parse(path: Path, data: bytes, system: str) -> Weights:
    try:
        # the header: its length in 8 bytes, then JSON
        length = int.from_bytes(data[:8], 'little')
        if length > _LARGEST_HEADER:
            raise ValueError(f'its header claims {length} bytes')
        header = json_file.parsed(data[8 : 8 + length].decode())
        about = json_file.parsed(header.get('__metadata__', {}).get(ABOUT, '{}'))
        stated, config = about.get('system'), about.get('config', {})
        state = tensors_of(data)
    except (SafetensorError, ValueError, AttributeError, TypeError) as error:
        raise FileError(f'{path}: not a file of weights ({str(error)[:300]})') from error
    if stated != system:
        raise FileError(f"{path}: weights of system '{stated}', wanted are those of '{system}'")
    floating = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }
    for name, tensor in floating.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise FileError(f"{path}: weights '{name}' are not finite numbers; take others")
    return Weights(floating, config)

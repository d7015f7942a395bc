"""
Frozen fusion networks by name, and networks of the user's own from a file: what registration is grafted on.

Each is a `base.Backbone`; this file imports none before it is asked for, so that names are listed without
torch.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irvis_fusion_ros.backbones.base import Backbone

# Name: the module of this package and the function in it that builds the backbone.
BACKBONES = {
    'average': ('handmade', 'average'),
    'max': ('handmade', 'maximum'),
    'laplacian': ('handmade', 'laplacian'),
    'gaf': ('trained', 'gaf'),
    'cnn': ('trained', 'cnn'),
}
# A name that ends so is the path of the description of a network of the user's own (own.py).
DESCRIPTIONS = ('.yaml', '.yml')
NETWORKS = ('.onnx', '.pt2')


def check(name: str) -> None:
    """
    Raise ValueError, saying what is valid, unless `name` is a backbone or the path of a YAML file.

    Loads nothing: a file is looked into by `build`.
    """
    path = Path(name)
    if name in BACKBONES or path.suffix in DESCRIPTIONS:
        return
    if path.suffix in NETWORKS:
        raise ValueError(
            f"backbone '{name}': name the YAML file beside it that describes it, {path.stem}.yaml "
            '(docs/backbones.md)'
        )
    raise ValueError(
        f"unknown backbone '{name}'; valid: {', '.join(BACKBONES)}, or the path of the YAML file beside a "
        'network of your own'
    )


def build(name: str, device: str = 'cpu') -> Backbone:
    """
    Return a backbone, ready on a device ('cpu', 'cuda:0').

    Raises ValueError for an unknown name, and FileError, with the remedy, for weights or a file of the user's
    that cannot be used.
    """
    check(name)
    if name not in BACKBONES:
        from irvis_fusion_ros.backbones import custom

        return custom.load(Path(name), device)
    module, function = BACKBONES[name]
    return getattr(import_module(f'{__name__}.{module}'), function)().to(device)

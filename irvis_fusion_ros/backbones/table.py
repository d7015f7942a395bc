"""
Table of the frozen fusion networks by name, and of networks of the user's own by file.

Each is a `base.Backbone`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from irvis_fusion_ros import config, lazy

if TYPE_CHECKING:
    from irvis_fusion_ros.backbones.base import Backbone

_HERE = 'irvis_fusion_ros.backbones'
# Name: the function that builds the backbone, imported on use (lazy.load).
BACKBONES = {
    'average': f'{_HERE}.handmade:average',
    'max': f'{_HERE}.handmade:maximum',
    'laplacian': f'{_HERE}.handmade:laplacian',
    'gaf': f'{_HERE}.trained:gaf',
    'cnn': f'{_HERE}.trained:cnn',
}
# A name with this suffix is the path of the description of a network of the user's own (custom.py).
DESCRIPTIONS = ('.yaml', '.yml')
NETWORKS = ('.onnx', '.pt2')


def check(name: str) -> None:
    """
    Raise ValueError, with the valid names, unless `name` is a backbone or the path of a YAML file.

    It loads nothing; `build` reads the file.
    """
    path = Path(name)
    if name in BACKBONES or path.suffix in DESCRIPTIONS:
        return
    if path.suffix in NETWORKS:
        raise ValueError(
            f"backbone '{name}': name the YAML file beside it that describes it, {path.stem}.yaml "
            '(docs/backbones.md)'
        )
    own = 'or the path of the YAML file beside a network of your own'
    raise ValueError(config.unknown('backbone', name, (*BACKBONES, own)))


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
    return lazy.load(BACKBONES[name])().to(device)

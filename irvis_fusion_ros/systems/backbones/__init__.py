"""
Frozen fusion networks by name, and networks of the user's own from a file: what registration is grafted on.

Each is a `base.Backbone`; this file imports none before it is asked for, so that names are listed without
torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irvis_fusion_ros.systems.backbones.base import Backbone


def _average() -> Backbone:
    from irvis_fusion_ros.systems.backbones import plain

    return plain.backbone('average')


def _max() -> Backbone:
    from irvis_fusion_ros.systems.backbones import plain

    return plain.backbone('max')


BACKBONES: dict[str, Callable[[], Backbone]] = {
    'average': _average,
    'max': _max,
}


def check(name: str) -> None:
    """Raise ValueError, saying what is valid, unless `name` is the name of a backbone; loads nothing."""
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone '{name}'; valid: {', '.join(BACKBONES)}")


def build(name: str, device: str = 'cpu') -> Backbone:
    """
    Return a backbone, ready on a device ('cpu', 'cuda:0').

    Raises ValueError for an unknown name, and FileError, with the remedy, for weights or a file of the user's
    that cannot be used.
    """
    check(name)
    return BACKBONES[name]().to(device)

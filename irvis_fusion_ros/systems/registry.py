"""Preset names, the devices each can run on, and their factories."""

from collections.abc import Callable
from dataclasses import dataclass

from irvis_fusion_ros.systems.base import System


@dataclass(frozen=True)
class Preset:
    """devices: kinds of device ('cuda', 'cpu'), preferred first. build(device, temporal) makes the system."""

    devices: tuple[str, ...]
    build: Callable[[str, bool], System]


def _classical(device: str, temporal: bool) -> System:
    from irvis_fusion_ros.systems.classical import Classical

    return Classical(temporal=temporal)


PRESETS = {
    'classical': Preset(devices=('cpu',), build=_classical),
}


def find(name: str) -> Preset:
    """Return a preset; raises ValueError, listing the valid names, for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset '{name}'; valid: {', '.join(PRESETS)}")
    return PRESETS[name]

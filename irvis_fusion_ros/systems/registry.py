"""Preset names, the devices each can run on, and their factories."""

from collections.abc import Callable
from dataclasses import dataclass

from irvis_fusion_ros.systems.base import System


@dataclass(frozen=True)
class Preset:
    """
    devices: kinds of device ('cuda', 'cpu'), preferred first. build(device, temporal) makes the system.

    `build` raises ValueError, with the remedy, if weights are missing or damaged.
    """

    devices: tuple[str, ...]
    build: Callable[[str, bool], System]


def _classical(device: str, temporal: bool) -> System:
    from irvis_fusion_ros.systems.classical import Classical

    return Classical(temporal=temporal)


def _busref(device: str, temporal: bool) -> System:
    from irvis_fusion_ros import weights
    from irvis_fusion_ros.systems.busref import BusReF
    from irvis_fusion_ros.systems.learned import Learned

    return Learned(weights.into(BusReF(), 'busref', 'busref'), device, temporal)


PRESETS = {
    'classical': Preset(devices=('cpu',), build=_classical),
    'busref': Preset(devices=('cuda', 'cpu'), build=_busref),
}


def find(name: str) -> Preset:
    """Return a preset; raises ValueError, listing the valid names, for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset '{name}'; valid: {', '.join(PRESETS)}")
    return PRESETS[name]

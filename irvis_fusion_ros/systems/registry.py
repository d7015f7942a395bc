"""Preset names, the devices and backbones each can run on, and their factories."""

from collections.abc import Callable
from dataclasses import dataclass

from irvis_fusion_ros.systems import backbones
from irvis_fusion_ros.systems.base import System


@dataclass(frozen=True)
class Preset:
    """
    devices: kinds of device ('cuda', 'cpu'), preferred first. backbone: the fusion network it runs unless
    another is asked for (systems/backbones), or None where there is none to choose. build(device, temporal),
    or with a backbone build(device, temporal, backbone), makes the system.

    `build` raises ValueError, with the remedy, if weights are missing or damaged.
    """

    devices: tuple[str, ...]
    build: Callable[..., System]
    backbone: str | None = None


def _classical(device: str, temporal: bool) -> System:
    from irvis_fusion_ros.systems.classical import Classical

    return Classical(temporal=temporal)


def _busref(device: str, temporal: bool) -> System:
    from irvis_fusion_ros import weights
    from irvis_fusion_ros.systems.busref import BusReF
    from irvis_fusion_ros.systems.learned import Learned

    return Learned(weights.into(BusReF(), 'busref', 'busref'), device, temporal)


def _unregistered(device: str, temporal: bool, backbone: str) -> System:
    from irvis_fusion_ros.systems.unregistered import Unregistered

    return Unregistered(backbones.build(backbone, device), device)


def _fusion_register(device: str, temporal: bool, backbone: str) -> System:
    from irvis_fusion_ros import weights
    from irvis_fusion_ros.imaging.files import FileError
    from irvis_fusion_ros.systems.fusion_register import FusionRegister, NetworkConfig
    from irvis_fusion_ros.systems.post_registration import PostRegistered

    def network_of(config: dict) -> FusionRegister:
        return FusionRegister(NetworkConfig(**config['network']))

    file = weights.file_of('fusion_register')
    if not file.exists():
        raise FileError(
            f"{file}: preset 'fusion_register' is not trained yet: its weights are not shipped; "
            "make them with 'irvis train fusion_register --config config/train_fusion_register.yaml "
            "--data PACK.npz' and put them there with their card (docs/training.md), or choose another preset"
        )
    network = weights.built(network_of, 'fusion_register', 'fusion_register')
    return PostRegistered(network, backbones.build(backbone, device), device)


PRESETS = {
    'classical': Preset(devices=('cpu',), build=_classical),
    'busref': Preset(devices=('cuda', 'cpu'), build=_busref),
    'unregistered': Preset(devices=('cuda', 'cpu'), build=_unregistered, backbone='average'),
    'fusion_register': Preset(devices=('cuda', 'cpu'), build=_fusion_register, backbone='average'),
}
# What may register the thermal image for a preset that does not do so itself.
FIRST = ('none', 'classical', 'busref')


def find(name: str) -> Preset:
    """Return a preset; raises ValueError, listing the valid names, for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset '{name}'; valid: {', '.join(PRESETS)}")
    return PRESETS[name]


def backbone_of(preset: str, asked: str) -> str | None:
    """
    Return the backbone that a preset runs when `asked` is asked for ('' is its own); None if it has none.

    Raises ValueError, saying what is valid, for one that the preset cannot run.
    """
    own = find(preset).backbone
    if not asked:
        return own
    if own is None:
        raise ValueError(f"preset '{preset}' has no backbone to choose")
    backbones.check(asked)
    return asked


def first_of(preset: str, asked: str) -> str | None:
    """
    Return the preset that registers the thermal image before this one fuses it, None for `asked` 'none'.

    Raises ValueError, saying what is valid, for one that does not register, or a preset that does so itself.
    """
    if asked not in FIRST:
        raise ValueError(f"unknown registration '{asked}'; valid: {', '.join(FIRST)}")
    if asked == 'none':
        return None
    if find(preset).backbone is None:
        raise ValueError(f"preset '{preset}' registers by itself; leave it none")
    return asked


def build(preset: str, device: str, temporal: bool, backbone: str | None) -> System:
    """Return the system of a preset on a device, with a backbone as `backbone_of` returns it."""
    entry = find(preset)
    return entry.build(device, temporal) if backbone is None else entry.build(device, temporal, backbone)

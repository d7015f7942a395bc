"""Preset names, the devices and backbones each can run on, and their factories."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irvis_fusion_ros import backbones
from irvis_fusion_ros.systems.base import System

if TYPE_CHECKING:
    from irvis_fusion_ros.backends.swift_export import ExportedSwift
    from irvis_fusion_ros.networks.swift import Swift


@dataclass(frozen=True)
class Preset:
    """
    devices: kinds of device ('cuda', 'cpu'), preferred first. backbone: the fusion network it runs unless
    another is asked for (backbones), or None where there is none to choose. build(device, temporal),
    or with a backbone build(device, temporal, backbone), makes the system. backends: what can run its
    networks, preferred first; with more than one, build takes `backend`, too.

    `build` raises FileError, with the remedy, if weights are missing or damaged.
    """

    devices: tuple[str, ...]
    build: Callable[..., System]
    backbone: str | None = None
    backends: tuple[str, ...] = ('torch',)


def _classical(device: str, temporal: bool) -> System:
    from irvis_fusion_ros.systems.classical import Classical

    return Classical(temporal=temporal)


def _busref(device: str, temporal: bool) -> System:
    from irvis_fusion_ros.io import weights
    from irvis_fusion_ros.networks.busref import BusReF
    from irvis_fusion_ros.systems.matcher import Learned
    from irvis_fusion_ros.systems.weighted_fusion import WeightedFusion

    network = weights.into(BusReF(), 'busref', 'busref')
    return Learned(network, WeightedFusion(network, device), device, temporal)


def _bsr(device: str, temporal: bool) -> System:
    from irvis_fusion_ros.backbones.base import Backbone
    from irvis_fusion_ros.io import weights
    from irvis_fusion_ros.networks.bsr import MULTIPLE, Bsr, BsrConfig
    from irvis_fusion_ros.systems.flow import Direct
    from irvis_fusion_ros.systems.unregistered import Unregistered

    network = weights.built(lambda config: Bsr(BsrConfig(**config['network'])), 'bsr', 'bsr')
    fusion = Unregistered(Backbone('bsr', network.fusion, MULTIPLE).to(device), device)
    return Direct(network, fusion.fuse, device, temporal)


def _umf_cmgr(device: str, temporal: bool) -> System:
    from irvis_fusion_ros.backbones.base import Backbone
    from irvis_fusion_ros.io import weights
    from irvis_fusion_ros.networks.umf_cmgr import FOLD, NetworkConfig, UmfCmgr
    from irvis_fusion_ros.systems.flow import Direct
    from irvis_fusion_ros.systems.unregistered import Unregistered

    def network_of(config: dict) -> UmfCmgr:
        return UmfCmgr(NetworkConfig(**config['network']))

    network = weights.built(network_of, 'umf_cmgr', 'umf_cmgr')
    fusion = Unregistered(Backbone('difn', network.difn, FOLD).to(device), device)
    return Direct(network, fusion.fuse, device, temporal)


def swift_network(name: str) -> 'Swift':
    """Return the network of `swift` or `swift_lite` to propose with; raises FileError for wrong weights."""
    from irvis_fusion_ros.io import weights
    from irvis_fusion_ros.networks.swift import Swift, SwiftConfig

    return weights.built(lambda config: Swift(SwiftConfig(**config['network'])), name, 'swift').proposing()


def _swift(name: str) -> Callable[..., System]:
    def build(device: str, temporal: bool, backend: str) -> System:
        from irvis_fusion_ros.classical.fusion import fuse
        from irvis_fusion_ros.systems.hybrid import Proposed
        from irvis_fusion_ros.systems.matcher import Learned

        network = swift_network(name)
        if backend != 'torch':
            network, device = _exported(network, name, device, backend), 'cpu'
        proposing = Learned(network, fuse, device, temporal=False, least_confidence=0)
        return Proposed(proposing, temporal)

    return build


def _exported(network: 'Swift', name: str, device: str, backend: str) -> 'ExportedSwift':
    from irvis_fusion_ros.backends import onnx, tensorrt
    from irvis_fusion_ros.backends.swift_export import ExportedSwift

    session = tensorrt if backend == 'tensorrt' else onnx
    return ExportedSwift(network, name, functools.partial(session.runner, device=device))


def _unregistered(device: str, temporal: bool, backbone: str) -> System:
    from irvis_fusion_ros.systems.unregistered import Unregistered

    return Unregistered(backbones.build(backbone, device), device)


def fusion_register(device: str, temporal: bool, backbone: str, alone: bool = False) -> System:
    """Return FusionRegister; alone: its evidence withheld. Raises FileError for wrong weights."""
    from irvis_fusion_ros.io import weights
    from irvis_fusion_ros.networks.fusion_register import FusionRegister, NetworkConfig
    from irvis_fusion_ros.systems.post_fusion import PostRegistered

    def network_of(config: dict) -> FusionRegister:
        return FusionRegister(NetworkConfig(**config['network']))

    network = weights.built(network_of, 'fusion_register', 'fusion_register')
    return PostRegistered(network, backbones.build(backbone, device), device, temporal, alone=alone)


# What can run networks; auto is what a preset prefers.
BACKENDS = ('auto', 'torch', 'onnx', 'tensorrt')
PRESETS = {
    'classical': Preset(devices=('cpu',), build=_classical),
    'busref': Preset(devices=('cuda', 'cpu'), build=_busref),
    'swift': Preset(devices=('cuda', 'cpu'), build=_swift('swift'), backends=BACKENDS[1:]),
    'swift_lite': Preset(devices=('cpu', 'cuda'), build=_swift('swift_lite'), backends=BACKENDS[1:]),
    'unregistered': Preset(devices=('cuda', 'cpu'), build=_unregistered, backbone='average'),
    'fusion_register': Preset(devices=('cuda', 'cpu'), build=fusion_register, backbone='average'),
    'umf_cmgr': Preset(devices=('cuda', 'cpu'), build=_umf_cmgr),
    'bsr': Preset(devices=('cuda', 'cpu'), build=_bsr),
}
# What may register the thermal image for a preset that does not do so itself.
FIRST = ('none', 'classical', 'busref', 'swift_lite', 'swift')


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


def backend_of(preset: str, asked: str, device: str) -> str:
    """
    Return what runs the networks of a preset on a device that engine.resolve_device returned.

    Raises ValueError, saying what is valid, for what cannot.
    """
    own = find(preset).backends
    if asked not in BACKENDS:
        raise ValueError(f"unknown backend '{asked}'; valid: {', '.join(BACKENDS)}")
    if asked != 'auto' and asked not in own:
        raise ValueError(f"preset '{preset}' does not run by {asked}; valid: {', '.join(('auto', *own))}")
    if asked == 'tensorrt' and not device.startswith('cuda'):
        raise ValueError(f"tensorrt needs a GPU, but the device is '{device}': ask for cuda, or for torch")
    return own[0] if asked == 'auto' else asked


def build(preset: str, device: str, temporal: bool, backbone: str | None, backend: str = 'torch') -> System:
    """
    Return the system of a preset on a device, with what `backbone_of` and `backend_of` return.

    Raises FileError, with the remedy, where the weights are missing or damaged.
    """
    entry = find(preset)
    choices = () if backbone is None else (backbone,)
    if len(entry.backends) > 1:
        choices = (*choices, backend)
    return entry.build(device, temporal, *choices)

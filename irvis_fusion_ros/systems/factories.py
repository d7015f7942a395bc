"""Builds every system that runs a network, from the `SystemConfig` that chose it (registry.PRESETS)."""

import functools

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.backends import onnx, tensorrt
from irvis_fusion_ros.backends.swift_export import ExportedSwift
from irvis_fusion_ros.classical.fusion import fuse
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks.bsr import MULTIPLE, Bsr, BsrConfig
from irvis_fusion_ros.networks.busref import BusReF
from irvis_fusion_ros.networks.fusion_register import FusionRegister
from irvis_fusion_ros.networks.fusion_register import NetworkConfig as FusionRegisterConfig
from irvis_fusion_ros.networks.swift import Swift, SwiftConfig
from irvis_fusion_ros.networks.umf_cmgr import FOLD, UmfCmgr
from irvis_fusion_ros.networks.umf_cmgr import NetworkConfig as UmfCmgrConfig
from irvis_fusion_ros.systems.flow import Flow, FlowNetwork
from irvis_fusion_ros.systems.hybrid import Hybrid
from irvis_fusion_ros.systems.matcher import Matcher
from irvis_fusion_ros.systems.post_fusion import PostFusion
from irvis_fusion_ros.systems.registry import SystemConfig
from irvis_fusion_ros.systems.unregistered import Unregistered
from irvis_fusion_ros.systems.weighted_fusion import WeightedFusion


def busref(config: SystemConfig, temporal: bool) -> Matcher:
    """Return BusReF, whose network registers and fuses."""
    network = weights.into(BusReF(), 'busref', 'busref')
    return Matcher(network, WeightedFusion(network, config.device), config.device, temporal)


def swift(config: SystemConfig, temporal: bool) -> Hybrid:
    """Return `swift` or `swift_lite`, run by the backend of the config."""
    network, device = swift_network(config.preset), config.device
    if config.backend != 'torch':
        session = tensorrt if config.backend == 'tensorrt' else onnx
        runner = functools.partial(session.runner, device=device)
        precision = 'float16' if session is tensorrt else 'float32'
        network, device = ExportedSwift(network, config.preset, runner, precision), 'cpu'
    first = Matcher(network, fuse, device, temporal=False, proposes=True, small=config.backend == 'torch')
    return Hybrid(first, temporal, second_network(config))


def swift_network(name: str) -> Swift:
    """Return the network of `swift` or `swift_lite` for proposals; raises FileError for wrong weights."""
    return weights.built(lambda saved: Swift(SwiftConfig(**saved['network'])), name, 'swift').proposing()


def second_network(config: SystemConfig) -> Matcher:
    """Return what `swift` and `swift_lite` ask where the evidence for their own proposals is weak."""
    # a folder of adapted weights should not take it away
    network = weights.into(BusReF(), 'busref', 'busref', or_shipped=True)
    return Matcher(network, fuse, config.device, temporal=False, proposes=True)


def bsr(config: SystemConfig, temporal: bool) -> Flow:
    """Return B-SR as a flow system, with its own fusion."""
    network = weights.built(lambda saved: Bsr(BsrConfig(**saved['network'])), 'bsr', 'bsr')
    return _flow(network, Backbone('bsr', network.fusion, MULTIPLE), config, temporal)


def umf_cmgr(config: SystemConfig, temporal: bool) -> Flow:
    """Return UMF-CMGR as a flow system, with its own fusion."""
    name = 'umf_cmgr'
    network = weights.built(lambda saved: UmfCmgr(UmfCmgrConfig(**saved['network'])), name, name)
    return _flow(network, Backbone('difn', network.difn, FOLD), config, temporal)


def unregistered(config: SystemConfig, temporal: bool) -> Unregistered:
    """Return a backbone without registration."""
    return Unregistered(backbones.build(config.backbone, config.device), config.device)


def fusion_register(config: SystemConfig, temporal: bool, alone: bool = False) -> PostFusion:
    """Return FusionRegister, which corrects the output of a backbone; alone: run it without its evidence."""
    name = 'fusion_register'
    network = weights.built(
        lambda saved: FusionRegister(FusionRegisterConfig(**saved['network'])), name, name
    )
    backbone = backbones.build(config.backbone, config.device)
    return PostFusion(network, backbone, config.device, temporal, alone=alone)


def fusion_register_alone(config: SystemConfig, temporal: bool) -> PostFusion:
    """Return FusionRegister without its evidence; evaluation compares it with the complete one."""
    return fusion_register(config, temporal, alone=True)


def _flow(network: FlowNetwork, fusion: Backbone, config: SystemConfig, temporal: bool) -> Flow:
    aligned = Unregistered(fusion.to(config.device), config.device)
    return Flow(network, aligned.fuse, config.device, temporal)

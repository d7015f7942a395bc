"""`swift_lite` with one ingredient less, as presets of evaluation: what each of them brings."""

from dataclasses import replace

import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.classical.fusion import fuse
from irvis_fusion_ros.classical.registration import Frame, State
from irvis_fusion_ros.systems import factories
from irvis_fusion_ros.systems.hybrid import Hybrid
from irvis_fusion_ros.systems.matcher import Matcher
from irvis_fusion_ros.systems.registry import SystemConfig

_NAME = 'swift_lite'


class Refined(Hybrid):
    """What the maps make of the proposal of the first network; nothing else searches."""

    def _search(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        return self._searches[0](frame, thermal, visible)


class Rigid(Hybrid):
    """The homography alone, without the field that bends it."""

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        return replace(super().register(thermal, visible), residual=None)


def network(config: SystemConfig, temporal: bool) -> Matcher:
    """Return the first network alone, without maps and judged as every preset is."""
    return Matcher(factories.swift_network(_NAME), fuse, config.device, temporal)


def refined(config: SystemConfig, temporal: bool) -> Refined:
    """Return the first network with the maps that refine, and without another search."""
    return Refined(_first(config), temporal)


def two(config: SystemConfig, temporal: bool) -> Hybrid:
    """Return the preset without the second network: the first one and the maps search."""
    return Hybrid(_first(config), temporal)


def rigid(config: SystemConfig, temporal: bool) -> Rigid:
    """Return the preset without bending."""
    return Rigid(_first(config), temporal, factories.second_network(config))


def _first(config: SystemConfig) -> Matcher:
    proposing = factories.swift_network(_NAME)
    return Matcher(proposing, fuse, config.device, temporal=False, proposes=True)

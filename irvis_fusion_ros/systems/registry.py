"""Preset names, the devices and backends each supports, and the `SystemConfig` that chooses a system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from irvis_fusion_ros import config as options
from irvis_fusion_ros import lazy
from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.backends.device import resolve_device
from irvis_fusion_ros.errors import ChoiceError
from irvis_fusion_ros.systems.base import System


@dataclass(frozen=True)
class Preset:
    """
    devices: kinds of device ('cuda', 'cpu'), preferred first. build(config, temporal) makes the system; it is
    a function or the place to import it from (lazy.load). backbone: the default fusion network
    (backbones.table), or None where none can be chosen. backends: the backends that can run its networks,
    preferred first. targets: whether targets are shown in what it fuses (systems/targets.py); False for a
    preset whose fusion is its own. alone: registration_first auto resolves to none, because the preset is to
    be measured by itself.

    `build` raises FileError, with the remedy, if weights are missing or damaged.
    """

    devices: tuple[str, ...]
    build: str | Callable[[SystemConfig, bool], System]
    backbone: str | None = None
    backends: tuple[str, ...] = ('torch',)
    targets: bool = False
    alone: bool = False


# Backends of networks; auto stands for the preferred one of the preset.
BACKENDS = ('auto', 'torch', 'onnx', 'tensorrt')
AUTO = 'auto'
# Which targets are shown, and how they are made conspicuous.
TARGETS = ('warm', 'cold', 'both', 'off')
HIGHLIGHTS = ('none', 'tint')
# The presets that register best, preferred first. swift_lite is as exact as classical, loses fewer pairs and
# finds one in half the time (README.md); where its evidence is weak it asks the network of busref as well,
# whose own fields differ by .3 to 1 px between two displacements of one scene. The choice is the same on a
# GPU: accuracy was not measured on one yet, and FusionRegister after it gains nothing
# (models/fusion_register.md). The last one needs no weights.
BEST = ('swift_lite', 'classical')

_HERE = 'irvis_fusion_ros.systems'
PRESETS = {
    'classical': Preset(('cpu',), f'{_HERE}.classical:build', targets=True),
    'busref': Preset(('cuda', 'cpu'), f'{_HERE}.factories:busref'),
    'swift': Preset(('cuda', 'cpu'), f'{_HERE}.factories:swift', backends=BACKENDS[1:], targets=True),
    'swift_lite': Preset(('cpu', 'cuda'), f'{_HERE}.factories:swift', backends=BACKENDS[1:], targets=True),
    'unregistered': Preset(('cuda', 'cpu'), f'{_HERE}.factories:unregistered', backbone='average'),
    'fusion_register': Preset(('cuda', 'cpu'), f'{_HERE}.factories:fusion_register', backbone='average'),
    'umf_cmgr': Preset(('cuda', 'cpu'), f'{_HERE}.factories:umf_cmgr'),
    'bsr': Preset(('cuda', 'cpu'), f'{_HERE}.factories:bsr'),
}
# Names that a user can choose as preset.
NAMES = (*PRESETS, AUTO)
# Names that a user can choose to register the thermal image for a preset without registration of its own.
FIRST = ('none', *(name for name, preset in PRESETS.items() if preset.backbone is None), AUTO)


@dataclass(frozen=True)
class SystemConfig:
    """
    The choice of a system. Options are given as the user asks for them and are resolved for this machine.

    preset: a name of `presets`; 'auto' is resolved to the one that registers best (`best`). device: 'auto',
    'cpu', 'cuda' or 'cuda:N'; resolved to 'cpu' or 'cuda:N'. backbone: the fusion network of a preset that
    lets one choose it, a name or the path of a YAML file (backbones.table); '' is resolved to the preset's
    default, None where none can be chosen. registration_first: the preset that registers the thermal image
    for one without registration of its own (FIRST), or 'none'; 'auto' is resolved to the one that registers
    best, or to 'none' for a preset that registers by itself. backend: the backend of the networks (BACKENDS);
    'auto' is resolved to the preferred one of the preset. presets: the table that names are looked up in;
    evaluation has its own.

    Raises ChoiceError, with the valid values, for a name that is unknown or does not go with the others.
    """

    preset: str = 'classical'
    device: str = 'auto'
    backbone: str | None = ''
    registration_first: str = AUTO
    backend: str = 'auto'
    presets: Mapping[str, Preset] = field(default_factory=lambda: PRESETS, repr=False, compare=False)

    def __post_init__(self):
        self._resolve('preset', self._resolved_preset)
        # the order matters: each check uses the options resolved before it
        self._resolve('backbone', self._resolved_backbone)
        self._resolve('registration_first', self._resolved_first)
        self._resolve('device', self._resolved_device)
        self._resolve('backend', self._resolved_backend)

    @property
    def entry(self) -> Preset:
        """The table entry of the preset."""
        return self.presets[self.preset]

    @property
    def first(self) -> SystemConfig | None:
        """The system that registers the thermal image before this one fuses it, or None."""
        if self.registration_first == 'none':
            return None
        # `device` may name a GPU; this falls back to the CPU for a preset that only runs there
        return SystemConfig(self.registration_first, self.device, presets=self.presets)

    def misses_gpu(self, asked: str) -> bool:
        """Return whether the preset prefers a GPU but none was found; asked: the requested device."""
        return asked == 'auto' and self.device == 'cpu' and self.entry.devices[0] == 'cuda'

    def on_cpu(self) -> SystemConfig:
        """Return the same choice without a GPU; a backend that needs one gives way to the preferred one."""
        return replace(self, device='cpu', backend='auto' if self.backend == 'tensorrt' else self.backend)

    def _resolve(self, option: str, resolved: Callable[[], str | None]) -> None:
        try:
            object.__setattr__(self, option, resolved())
        except ValueError as error:
            raise ChoiceError(option, str(error)) from error

    def _resolved_preset(self) -> str:
        if self.preset == AUTO:
            return best()
        if self.preset not in self.presets:
            raise ValueError(options.unknown('preset', self.preset, (*self.presets, AUTO)))
        return self.preset

    def _resolved_backbone(self) -> str | None:
        if not self.backbone:
            return self.entry.backbone
        if self.entry.backbone is None:
            raise ValueError(f"preset '{self.preset}' has no backbone to choose")
        backbones.check(self.backbone)
        return self.backbone

    def _resolved_first(self) -> str:
        asked = self.registration_first
        if asked not in FIRST:
            raise ValueError(options.unknown('registration', asked, FIRST))
        if asked == AUTO:
            return 'none' if self.entry.backbone is None or self.entry.alone else best()
        if asked != 'none' and self.entry.backbone is None:
            raise ValueError(f"preset '{self.preset}' registers by itself; leave it none")
        return asked

    def _resolved_device(self) -> str:
        return resolve_device(self.device, self.entry.devices)

    def _resolved_backend(self) -> str:
        asked, own = self.backend, self.entry.backends
        if asked not in BACKENDS:
            raise ValueError(options.unknown('backend', asked, BACKENDS))
        if asked == 'auto':
            return own[0]
        if asked not in own:
            valid = ', '.join(('auto', *own))
            raise ValueError(f"preset '{self.preset}' does not run by {asked}; valid: {valid}")
        if asked == 'tensorrt' and not self.device.startswith('cuda'):
            raise ValueError(
                f"tensorrt needs a GPU, but the device is '{self.device}': ask for cuda, or for torch"
            )
        return asked


def best() -> str:
    """Return the best preset for registration whose weights are installed."""
    from irvis_fusion_ros.io import weights  # imported here, because it needs torch

    return next((name for name in BEST[:-1] if weights.file_of(name).exists()), BEST[-1])


def build(config: SystemConfig, temporal: bool) -> System:
    """
    Return the system that a config chooses; temporal: whether it keeps state over a stream.

    Raises FileError, with the remedy, where the weights are missing or damaged.
    """
    return lazy.load(config.entry.build)(config, temporal)

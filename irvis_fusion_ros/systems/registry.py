"""Preset names, what each can run on, and the `SystemConfig` that chooses a system of them."""

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
    devices: kinds of device ('cuda', 'cpu'), preferred first. build(config, temporal) makes the system, or
    where that is imported from (lazy.load). backbone: the fusion network it runs unless another is asked for
    (backbones.table), or None where there is none to choose. backends: what can run its networks, preferred
    first. alone: with registration_first auto nothing registers for it, because it is to be seen by itself.

    `build` raises FileError, with the remedy, if weights are missing or damaged.
    """

    devices: tuple[str, ...]
    build: str | Callable[[SystemConfig, bool], System]
    backbone: str | None = None
    backends: tuple[str, ...] = ('torch',)
    alone: bool = False


# What can run networks; auto is what a preset prefers.
BACKENDS = ('auto', 'torch', 'onnx', 'tensorrt')
AUTO = 'auto'
# What registers best, preferred first. Of pairs as cameras record them swift_lite loses fewest, and it finds
# a pair in half the time of the others (README.md); busref is better at large displacements, but its fields
# differ three times as much between two displacements of one scene. A GPU gets no other: nothing was measured
# on one yet, and FusionRegister after it gains nothing (models/fusion_register.md). The last one needs no
# weights.
BEST = ('swift_lite', 'classical')

_HERE = 'irvis_fusion_ros.systems'
PRESETS = {
    'classical': Preset(('cpu',), f'{_HERE}.classical:build'),
    'busref': Preset(('cuda', 'cpu'), f'{_HERE}.factories:busref'),
    'swift': Preset(('cuda', 'cpu'), f'{_HERE}.factories:swift', backends=BACKENDS[1:]),
    'swift_lite': Preset(('cpu', 'cuda'), f'{_HERE}.factories:swift', backends=BACKENDS[1:]),
    'unregistered': Preset(('cuda', 'cpu'), f'{_HERE}.factories:unregistered', backbone='average'),
    'fusion_register': Preset(('cuda', 'cpu'), f'{_HERE}.factories:fusion_register', backbone='average'),
    'umf_cmgr': Preset(('cuda', 'cpu'), f'{_HERE}.factories:umf_cmgr'),
    'bsr': Preset(('cuda', 'cpu'), f'{_HERE}.factories:bsr'),
}
# What may be asked for as preset.
NAMES = (*PRESETS, AUTO)
# What may register the thermal image for a preset that does not do so itself.
FIRST = ('none', *(name for name, preset in PRESETS.items() if preset.backbone is None), AUTO)


@dataclass(frozen=True)
class SystemConfig:
    """
    What chooses a system. It is made of what is asked for, and holds what that comes to on this machine.

    preset: a name of `presets`; 'auto' becomes what registers best (`best`). device: asked for as 'auto',
    'cpu', 'cuda' or 'cuda:N'; becomes 'cpu' or 'cuda:N'. backbone: the fusion network of a preset that lets
    one choose it, a name or the path of a YAML file (backbones.table); '' becomes the preset's own, None
    where there is none to choose. registration_first: the preset that registers the thermal image for one
    that does not do so itself (FIRST), or 'none'; 'auto' becomes what registers best, or 'none' where the
    preset does so itself. backend: what runs the networks (BACKENDS); 'auto' becomes what the preset
    prefers.
    presets: the table that names are looked up in; evaluation has its own.

    Raises ChoiceError, saying what is valid, for a name that is unknown or does not go with the others.
    """

    preset: str = 'classical'
    device: str = 'auto'
    backbone: str | None = ''
    registration_first: str = AUTO
    backend: str = 'auto'
    presets: Mapping[str, Preset] = field(default_factory=lambda: PRESETS, repr=False, compare=False)

    def __post_init__(self):
        self._resolve('preset', self._resolved_preset)
        # each looks at what was resolved before it
        self._resolve('backbone', self._resolved_backbone)
        self._resolve('registration_first', self._resolved_first)
        self._resolve('device', self._resolved_device)
        self._resolve('backend', self._resolved_backend)

    @property
    def entry(self) -> Preset:
        """The preset, as the table has it."""
        return self.presets[self.preset]

    @property
    def first(self) -> SystemConfig | None:
        """The system that registers the thermal image before this one fuses it, or None."""
        if self.registration_first == 'none':
            return None
        # on the CPU where it has no path to the device
        return SystemConfig(self.registration_first, self.device, presets=self.presets)

    def misses_gpu(self, asked: str) -> bool:
        """Say whether the preset prefers a GPU, of which there is none; asked: the device asked for."""
        return asked == 'auto' and self.device == 'cpu' and self.entry.devices[0] == 'cuda'

    def on_cpu(self) -> SystemConfig:
        """Return the same without a GPU: what only runs there gives way to what the preset prefers."""
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
    """Return the preset that registers best of those that have what they need."""
    from irvis_fusion_ros.io import weights  # here, because it brings torch

    return next((name for name in BEST[:-1] if weights.file_of(name).exists()), BEST[-1])


def build(config: SystemConfig, temporal: bool) -> System:
    """
    Return the system that a config chooses; temporal: whether it keeps the state of a stream.

    Raises FileError, with the remedy, where the weights are missing or damaged.
    """
    return lazy.load(config.entry.build)(config, temporal)

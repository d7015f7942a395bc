"""
The configuration file of a training run, YAML: the options of `TrainConfig` and of the system's recipe.

    data: [pack.npz]        # packs, data sets, or folders of data sets
    batch: 8
    mixture: {large: 0.4}   # keys that are not given keep their defaults
    recipe: {affine_steps: 4000}
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from irvis_fusion_ros.config import check, group, option
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import yaml_file
from irvis_fusion_ros.training.data import warps
from irvis_fusion_ros.training.data.augmentation import AugmentationConfig
from irvis_fusion_ros.training.data.batches import JointConfig
from irvis_fusion_ros.training.recipes.base import Recipe

RECIPE = 'recipe'


@dataclass(frozen=True)
class MixtureConfig:
    """Shares of the protocols that known warps are drawn from."""

    zero: float = option(0.1, 'Share of pairs that are not moved.', minimum=0)
    fr: float = option(0.15, 'Share of protocol fr.', minimum=0)
    elastic_light: float = option(0.15, 'Share of protocol elastic_light.', minimum=0)
    elastic_mid: float = option(0.25, 'Share of protocol elastic_mid.', minimum=0)
    elastic_heavy: float = option(0.15, 'Share of protocol elastic_heavy.', minimum=0)
    large: float = option(0.2, 'Share of protocol large.', minimum=0)
    shift5: float = option(0.0, 'Share of protocol shift5, either way.', minimum=0)
    shift: float = option(0.0, 'Share of protocol shift.', minimum=0)
    dilate: float = option(0.0, 'Share of dilations up to that of protocol dilate50.', minimum=0)


@dataclass(frozen=True)
class TrainConfig:
    """All options of a run except those of the system."""

    data: tuple[str, ...] = option((), 'Packs, data sets or folders of data sets.')
    accept: tuple[str, ...] = option((), 'Data sets to learn from although they are refused by default.')
    seed: int = option(0, 'Seed of network, batches and everything else that is drawn.', minimum=0)
    batch: int = option(8, 'Pairs in a batch.', minimum=1)
    height: int = option(192, 'Height of a crop.', minimum=32, unit='pixels')
    width: int = option(192, 'Width of a crop.', minimum=32, unit='pixels')
    precision: str = option(
        'auto',
        'single, half (bfloat16), or auto: half on a GPU.',
        choices=('auto', 'single', 'half'),
    )
    weight_decay: float = option(1e-4, 'Weight decay of AdamW.', minimum=0)
    clip: float = option(1.0, 'Largest norm of the gradient; above it is scaled down.', minimum=1e-6)
    ema: float = option(0.999, 'Share of the averaged weights kept at each step.', minimum=0, maximum=0.99999)
    log_every: int = option(50, 'Steps averaged to one point of a curve.', minimum=1)
    save_every: int = option(500, 'Steps from checkpoint to checkpoint.', minimum=1)
    validate_every: int = option(500, 'Steps from validation to validation.', minimum=1)
    validation_batches: int = option(4, 'Batches of each validation, always the same ones.', minimum=0)
    mixture: MixtureConfig = group(MixtureConfig)
    joint: JointConfig = group(JointConfig)
    sensors: AugmentationConfig = group(AugmentationConfig)


def load(path: Path, recipe: type[Recipe]) -> tuple[TrainConfig, Any]:
    """
    Return the options of a run and those of its system.

    Raises FileError, with the file, the key and the valid values, for a file that cannot be used.
    """
    content = read(path)
    try:
        return parsed(content, recipe)
    except ValueError as error:
        raise FileError(f'{path}: {error}') from error


def read(path: Path) -> dict:
    """Return the keys of a configuration file with their values. Raises FileError."""
    content = yaml_file.read(path, 'the configuration')
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise FileError(f'{path}: a configuration is keys with values')
    return content


def parsed(content: Mapping[str, Any], recipe: type[Recipe]) -> tuple[TrainConfig, Any]:
    """Return the options of a run and those of its system. Raises ValueError, with the key."""
    run = dict(content)
    own = run.pop(RECIPE, {})
    config = filled(TrainConfig, run)
    warps.check_mixture(plain(config.mixture))
    return config, _converted(recipe.Config(), own, RECIPE)


def filled(config_class: type, values: Mapping[str, Any], prefix: str = '') -> Any:
    """
    Return a configuration with these values; all other options keep their defaults.

    Raises ValueError, with the key, for an unknown key, a value of another type or one beyond its limits.
    """
    defaults = config_class()
    known = {entry.name for entry in fields(config_class)}
    taken = {}
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"unknown key '{prefix}{key}'; valid: {', '.join(sorted(known))}")
        taken[key] = _converted(getattr(defaults, key), value, f'{prefix}{key}')
    config = config_class(**taken)
    check(config, prefix)
    return config


def plain(config: Any) -> dict:
    """Return a configuration as dictionaries and lists, for YAML and for comparison."""
    out = {}
    for entry in fields(config):
        value = getattr(config, entry.name)
        if is_dataclass(value):
            value = plain(value)
        out[entry.name] = list(value) if isinstance(value, tuple) else value
    return out


def _converted(default: Any, value: Any, name: str) -> Any:
    if is_dataclass(default):
        if not isinstance(value, dict):
            raise ValueError(f"'{name}' is {value!r}; it has to be keys with values")
        return filled(type(default), value, f'{name}.')
    if isinstance(default, tuple):
        kind = type(default[0]) if default else str
        if not isinstance(value, list) or not all(type(entry) is kind for entry in value):
            wanted = 'names' if kind is str else f'type {kind.__name__}'
            raise ValueError(f"'{name}' is {value!r}; it has to be a list of {wanted}")
        return tuple(value)
    if isinstance(default, bool) or not isinstance(default, int | float):
        fits = isinstance(value, type(default))
    else:
        whole = isinstance(value, int) and not isinstance(value, bool)
        fits = whole or (isinstance(default, float) and isinstance(value, float))
    if not fits:
        raise ValueError(f"'{name}' is {value!r}; it has to be of type {type(default).__name__}")
    return float(value) if isinstance(default, float) else value

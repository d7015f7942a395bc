"""
Trains variants of one system by the same small budget, and tells what each of them leaves.

    python -m irvis_fusion_ros.training.ablation SYSTEM --config F --data PACK --out FOLDER [--seeds 0 1 2]

The file F is a configuration of `train` with two more keys:

    columns: [endpoint_error, mncc]              # series of the validation curve, without val/
    variants:
      whole: {}
      without smoothness: {recipe: {smooth: 0}}  # what differs

All variants of a seed begin with the same network and see the same batches. The table holds the last value
of each series, from seed to seed. FOLDER/VARIANT/SEED (- for a space) is the folder of a run, as of `train`,
with a card: IRVIS_MODELS=FOLDER/VARIANT/SEED lets `evaluate` measure the preset with these weights. Given
again, the command goes on where it was stopped.
"""

import argparse
import csv
import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from irvis_fusion_ros import cli
from irvis_fusion_ros.backends.device import resolve_device
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.training import card, config
from irvis_fusion_ros.training.config import TrainConfig
from irvis_fusion_ros.training.data import sets
from irvis_fusion_ros.training.recipes import table
from irvis_fusion_ros.training.recipes.base import Recipe
from irvis_fusion_ros.training.trainer import Trainer

Variant = tuple[TrainConfig, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(argv)
    return cli.guarded('ablation', lambda: _run(options))


def load(path: Path, recipe: type[Recipe]) -> tuple[tuple[str, ...], dict[str, Variant]]:
    """
    Return the columns, and by the name of each variant the options of its run and those of its system.

    Raises FileError, with the file and the variant or key, for a file that cannot be used.
    """
    content = config.read(path)
    columns, variants = content.pop('columns', None), content.pop('variants', None)
    if not isinstance(columns, list) or not columns or not all(isinstance(each, str) for each in columns):
        raise FileError(f"{path}: 'columns' has to be a list of series of the validation curve")
    if not isinstance(variants, dict) or not variants:
        raise FileError(f"{path}: 'variants' has to be names, each with the keys that differ")
    found = {}
    for name, changes in variants.items():
        if not isinstance(name, str) or Path(name).name != name or not isinstance(changes, dict):
            raise FileError(f'{path}: variant {name!r} has to be a name without /, with keys and values')
        try:
            found[name] = config.parsed(_merged(content, changes), recipe)
        except ValueError as error:
            raise FileError(f"{path}: variant '{name}': {error}") from error
    return tuple(columns), found


def last_values(curve: Path) -> dict[str, float]:
    """Return the last value of every validation series of a curve, by its name without val/."""
    with curve.open(newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['series'].startswith('val/')]
    return {row['series'].removeprefix('val/'): float(row['value']) for row in rows}


def markdown(columns: Sequence[str], values: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Return the table: a row for each variant, and in each column its values by seed."""
    rows = ['| | ' + ' | '.join(columns) + ' |', '|---' * (len(columns) + 1) + '|']
    for name, seeds in values.items():
        cells = [' / '.join(f'{seed.get(column, math.nan):.4g}' for seed in seeds) for column in columns]
        rows.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(rows)


def _run(options: argparse.Namespace) -> int:
    recipe = table.find(options.system)
    columns, variants = load(options.config, recipe)
    items = sets.items(options.data, frozenset(options.accept), recipe.aligned)
    values: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    # seed by seed, so that a comparison is complete early
    for seed in options.seeds:
        for name, (run, own) in variants.items():
            run = dataclasses.replace(run, seed=seed)
            folder = options.out / name.replace(' ', '-') / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            trainer = Trainer(
                options.system,
                recipe(own),
                run,
                sets.sources(items, run, options.device),
                folder,
                options.device,
                data=sets.fingerprint(items),
            )
            trainer.run(lambda: False)
            card.write(folder, options.system, f"variant '{name}' of {options.config.name}, seed {seed}")
            values[name].append(last_values(folder / 'curve.csv'))
    print(markdown(columns, values))
    return 0


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested keys and values, those that differ in place of those they replace."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='ablation', description='Train variants of one system by the same budget, and compare them.'
    )
    parser.add_argument('system', metavar='SYSTEM', help=f'one of {", ".join(table.RECIPES)}')
    parser.add_argument('--config', type=Path, required=True, metavar='F', help='run and variants, YAML')
    parser.add_argument('--data', nargs='+', required=True, metavar='PATH', help='packs or data sets')
    parser.add_argument('--accept', nargs='+', default=[], metavar='NAME', help='as of train')
    parser.add_argument('--out', type=Path, required=True, metavar='FOLDER', help='where the runs are kept')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], metavar='N', help='default: 0')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default auto)')
    options = parser.parse_args(argv)
    try:
        table.find(options.system)
        options.device = resolve_device(options.device, ('cuda', 'cpu'))
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == '__main__':
    sys.exit(main())

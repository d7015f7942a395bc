"""
`train SYSTEM --config F` trains one system, and resumes where an earlier run of the same command ended.

The folder --out receives checkpoint.pt (all that the next step needs), curve.csv, curve.png, and the averaged
weights SYSTEM.safetensors. Ctrl-C and SIGTERM finish the current step, save and stop; so does --minutes.

`train --pack OUT.npz --data FOLDER...` packs training sets into one file. `train SYSTEM --bag BAG` continues
the training of a system that needs no aligned pairs on a recording of the user's own rig.
"""

import argparse
import dataclasses
import fcntl
import math
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from irvis_fusion_ros import cli, share
from irvis_fusion_ros.backends.device import resolve_device
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.training import card, config
from irvis_fusion_ros.training.data import pack, recording, sets, targets
from irvis_fusion_ros.training.data.cleaning import Cleaner
from irvis_fusion_ros.training.data.pack import Item
from irvis_fusion_ros.training.data.target_batches import TargetSource
from irvis_fusion_ros.training.data.targets import TargetItem
from irvis_fusion_ros.training.recipes import table
from irvis_fusion_ros.training.recipes.base import Recipe
from irvis_fusion_ros.training.trainer import Trainer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 128 + signal after an interrupted run."""
    options = _parse(argv)
    return cli.guarded('train', lambda: _pack(options) if options.pack else _train(options))


class Interruption:
    """Records SIGINT and SIGTERM for the training loop; a second signal ends the process at once."""

    def __init__(self, minutes: float = math.inf):
        self.signal: int | None = None
        self._end = time.monotonic() + 60 * minutes
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> 'Interruption':
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Return whether to stop: after a signal, or when the time is over."""
        return self.signal is not None or time.monotonic() > self._end

    def _note(self, number: int, _: object) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL)


def _train(options: argparse.Namespace) -> int:
    recipe_class = table.find(options.system)
    run, own = config.load(options.config, recipe_class)
    if options.data:
        run = dataclasses.replace(run, data=tuple(options.data))
    accepted = frozenset(run.accept) | frozenset(options.accept)
    if bool(options.targets) != recipe_class.boxed:
        wanted = 'boxes: name them by --targets' if recipe_class.boxed else 'pairs, without --targets'
        raise FileError(f'{options.system} learns from {wanted}')
    if options.bag:
        items = _recorded(options, recipe_class)
    elif recipe_class.boxed:
        items = _boxed(run.data, options.targets, own.ground, accepted)
        if not own.held_out:
            items = [dataclasses.replace(item, part='train') for item in items]
    else:
        items = sets.items(run.data, accepted, recipe_class.aligned)
    start = _start(options)
    if start is not None and hasattr(own, 'network'):
        own = _with_network_of(own, start)
    device = resolve_device(options.device, ('cuda', 'cpu'))
    folder = options.out or Path('runs') / (options.bag or options.config).stem
    folder.mkdir(parents=True, exist_ok=True)
    train, val = (_target_sources if recipe_class.boxed else sets.sources)(items, run, device)
    with _locked(folder):
        trainer = Trainer(
            options.system,
            recipe_class(own),
            run,
            (train, val),
            folder,
            device,
            data=sets.fingerprint(items),
            changed=options.changed,
            start=None if start is None else start.state,
        )
        validation = f'{len(val)} to watch' if val is not None else 'none to watch: no scene is left for that'
        print(
            f'{options.system}: {trainer.parameters / 1e6:.2f} M parameters on {device}; '
            f'{len(train)} {"images" if recipe_class.boxed else "pairs"} to learn from, {validation}; '
            f'step {trainer.step} of {trainer.steps}; writing to {folder}'
        )
        with Interruption(options.minutes) as stop:
            done = trainer.run(stop)
            trainer.draw()
    if done:
        print(f'done: {folder / options.system}.safetensors')
        if options.bag:
            card.write(folder, options.system, f'the recording {options.bag}')
            _tell_use(folder, options.system)
    else:
        print(f'stopped and saved at step {trainer.step} of {trainer.steps}; the same command goes on')
    return 128 + stop.signal if stop.signal is not None and not done else 0


def _recorded(options: argparse.Namespace, recipe: type[Recipe]) -> list[Item]:
    if recipe.aligned:
        raise FileError(
            f'{options.system} learns from aligned pairs, and those of a recording are not; valid: '
            + ', '.join(name for name in table.RECIPES if not table.find(name).aligned)
        )
    return recording.collect(options.bag, options.topics, options.pairs, options.thermal_offset)


def _start(options: argparse.Namespace) -> weights.Weights | None:
    """Return the initial weights: the named ones, or for a recording those of the package."""
    if options.start is not None:
        return weights.read(options.start, options.system)
    return weights.load(options.system, options.system) if options.bag else None


def _with_network_of(own: Any, start: weights.Weights) -> Any:
    """
    Return the options of a system, with those of its network taken from the initial weights.

    Options that these weights do not contain keep the values of the run.
    """
    known = {**config.plain(own.network), **start.config.get('network', {})}
    try:
        network = config.filled(type(own.network), known)
    except ValueError as error:
        raise FileError(f'--start: weights of another version of this network ({error})') from error
    return dataclasses.replace(own, network=network)


def _tell_use(folder: Path, system: str) -> None:
    """Print how to use the weights of a run."""
    models = f'{weights.VARIABLE}={folder.resolve()}'
    print(
        f'use it: {models} irvis fusion_node --ros-args -p preset:={system}\n'
        f'    or: {models} irvis fuse_images THERMAL_DIR VISIBLE_DIR OUT --preset {system}'
    )


def _locked(folder: Path) -> TextIO:
    """Lock a folder against a second run for as long as the file is open."""
    lock = (folder / '.lock').open('w')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise FileError(f'{folder}: another run is writing there; choose another --out') from error
    return lock


def _pack(options: argparse.Namespace) -> int:
    folders = [Path(path) for path in options.data]
    cleaner = Cleaner() if options.clean else None
    items, remarks = pack.collect(folders, options.accept, options.frames, not options.unaligned, cleaner)
    for remark in remarks:
        print(remark)
    size = pack.save(options.pack, items)
    parts = ', '.join(f'{sum(item.part == part for item in items)} {part}' for part in ('train', 'val'))
    print(f'wrote {options.pack}: {len(items)} pairs ({parts}), {size / 1e6:.1f} MB')
    return 0


def _target_sources(
    items: Sequence[TargetItem], run: config.TrainConfig, device: str
) -> tuple[TargetSource, TargetSource | None]:
    train = TargetSource(items, 'train', run.seed, device)
    watched = any(item.part == 'val' and item.targets.any() for item in items)
    return train, TargetSource(items, 'val', run.seed, device) if watched else None


def _boxed(
    data: Sequence[str], files: Sequence[Path], ground: Sequence[str], accepted: frozenset[str]
) -> list[TargetItem]:
    if not data:
        raise FileError("no training data: give --data, or 'data' in the configuration")
    items, remarks = targets.collect([Path(entry) for entry in data], files, ground, accepted)
    print(*remarks, sep='\n', end='\n' if remarks else '')
    return items


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='train',
        description='Train one system, or resume its training; or pack a training set.',
        epilog=f'systems: {", ".join(table.RECIPES) or "none"}. '
        'train --pack OUT.npz --data FOLDER... makes a pack. Ctrl-C saves and stops.',
    )
    parser.add_argument('system', nargs='?', metavar='SYSTEM', help='what to train')
    parser.add_argument('--config', type=Path, metavar='FILE', help='options of the run, YAML')
    parser.add_argument(
        '--out', type=Path, metavar='FOLDER', help='where the run is kept (default runs/NAME of the config)'
    )
    parser.add_argument(
        '--data', nargs='+', default=[], metavar='PATH', help='packs, data sets or folders of data sets'
    )
    parser.add_argument(
        '--targets',
        nargs='+',
        type=Path,
        default=[],
        metavar='SET.json',
        help='boxes of the data sets of these names, for a system that learns from them',
    )
    parser.add_argument(
        '--accept',
        nargs='+',
        default=[],
        metavar='NAME',
        help='learn from this data set although its terms or its alignment speak against it',
    )
    parser.add_argument(
        '--bag', type=Path, metavar='BAG', help='learn from this recording (rosbag2), without any reference'
    )
    parser.add_argument(
        '--topics',
        nargs=2,
        metavar=('THERMAL', 'VISIBLE'),
        help='its topics, unless they are those of the node',
    )
    parser.add_argument(
        '--pairs', type=cli.positive, default=recording.PAIRS, help='pairs that are used of it, evenly spread'
    )
    parser.add_argument(
        '--thermal-offset',
        type=float,
        default=0.0,
        metavar='S',
        help="seconds to add to its thermal stamps, as the node's sync.thermal_offset",
    )
    parser.add_argument(
        '--start', type=Path, metavar='FILE', help='weights to begin with (for --bag those of the package)'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default auto)')
    parser.add_argument(
        '--minutes', type=cli.above_zero, default=math.inf, metavar='M', help='save and stop after so long'
    )
    parser.add_argument(
        '--changed', action='store_true', help='resume although configuration or data are others now'
    )
    parser.add_argument('--pack', type=cli.new_file, metavar='OUT.npz', help='pack --data into this file')
    parser.add_argument(
        '--frames', type=cli.positive, default=pack.FRAMES, help='frames of each video in a pack'
    )
    parser.add_argument(
        '--unaligned', action='store_true', help='pack pairs as they were recorded, aligned or not'
    )
    parser.add_argument(
        '--clean', action='store_true', help='align pairs not known to be aligned, by two presets that agree'
    )
    options = parser.parse_args(argv)
    if options.clean and (options.unaligned or not options.pack):
        parser.error('--clean goes with --pack, without --unaligned')
    options.accept = frozenset(options.accept)
    if options.pack:
        if options.system or options.config or not options.data:
            parser.error('--pack goes with --data alone')
        return options
    if options.bag and options.data:
        parser.error('--bag goes without --data')
    if options.bag and options.system and options.config is None:
        options.config = share.folder() / 'config' / f'adapt_{options.system}.yaml'
    if options.system is None or options.config is None:
        parser.error('give SYSTEM and --config, or --pack')
    try:
        table.find(options.system)
        resolve_device(options.device, ('cuda', 'cpu'))
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == '__main__':
    sys.exit(main())

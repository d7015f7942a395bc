"""
`train SYSTEM --config F`: teaches one system, and goes on where an earlier run of the same command ended.

In the folder --out: checkpoint.pt (all that the next step needs), curve.csv and curve.png, and the averaged
weights SYSTEM.safetensors. Ctrl-C and SIGTERM finish the step, save and stop; so does --minutes.

`train --pack OUT.npz --data FOLDER...` puts training sets into one file instead.
"""

import argparse
import dataclasses
import fcntl
import math
import signal
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from irvis_fusion_ros import cli, engine
from irvis_fusion_ros.imaging.files import FileError
from irvis_fusion_ros.training import config, pack, recipes
from irvis_fusion_ros.training.data import PairSource
from irvis_fusion_ros.training.loop import Trainer
from irvis_fusion_ros.training.pack import Item


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 128 + signal after an interrupted run."""
    options = _parse(argv)
    return cli.guarded('train', lambda: _pack(options) if options.pack else _train(options))


class Interruption:
    """Notes SIGINT and SIGTERM, for the loop to ask; a second one ends the process at once."""

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
        """Say whether to stop: a signal came, or the time is over."""
        return self.signal is not None or time.monotonic() > self._end

    def _note(self, number: int, _: object) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL)


def _train(options: argparse.Namespace) -> int:
    recipe_class = recipes.find(options.system)
    run, own = config.load(options.config, recipe_class)
    if options.data:
        run = dataclasses.replace(run, data=tuple(options.data))
    items = _items(run.data, frozenset(run.accept) | frozenset(options.accept))
    device = engine.resolve_device(options.device, ('cuda', 'cpu'))
    folder = options.out or Path('runs') / options.config.stem
    folder.mkdir(parents=True, exist_ok=True)
    train, val = _sources(items, run, device)
    with _locked(folder):
        trainer = Trainer(
            options.system,
            recipe_class(own),
            run,
            (train, val),
            folder,
            device,
            data=_fingerprint(items),
            changed=options.changed,
        )
        watched = f'{len(val)} to watch' if val is not None else 'none to watch: no scene is left for that'
        print(
            f'{options.system}: {trainer.parameters / 1e6:.2f} M parameters on {device}; '
            f'{len(train)} pairs to learn from, {watched}; '
            f'step {trainer.step} of {trainer.steps}; writing to {folder}'
        )
        with Interruption(options.minutes) as stop:
            done = trainer.run(stop)
            trainer.draw()
    if done:
        print(f'done: {folder / options.system}.safetensors')
    else:
        print(f'stopped and saved at step {trainer.step} of {trainer.steps}; the same command goes on')
    return 128 + stop.signal if stop.signal is not None and not done else 0


def _locked(folder: Path) -> TextIO:
    """Keep a second run out of a folder for as long as the file is open."""
    lock = (folder / '.lock').open('w')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise FileError(f'{folder}: another run is writing there; choose another --out') from error
    return lock


def _pack(options: argparse.Namespace) -> int:
    items, remarks = pack.collect([Path(path) for path in options.data], options.accept, options.frames)
    for remark in remarks:
        print(remark)
    size = pack.save(options.pack, items)
    parts = ', '.join(f'{sum(item.part == part for item in items)} {part}' for part in ('train', 'val'))
    print(f'wrote {options.pack}: {len(items)} pairs ({parts}), {size / 1e6:.1f} MB')
    return 0


def _sources(
    items: Sequence[Item], run: config.TrainConfig, device: str
) -> tuple[PairSource, PairSource | None]:
    train = PairSource(items, 'train', run.seed, device, run.joint, run.sensors)
    if not any(item.part == 'val' for item in items):
        return train, None
    return train, PairSource(items, 'val', run.seed, device, run.joint, run.sensors)


def _items(data: Sequence[str], accepted: frozenset[str]) -> list[Item]:
    paths = [Path(entry) for entry in data]
    if not paths:
        raise FileError("no training data: give --data, or 'data' in the configuration")
    items = [item for path in paths if path.is_file() for item in pack.load(path)]
    folders = [path for path in paths if not path.is_file()]
    if folders:
        found, remarks = pack.collect(folders, accepted)
        print(*remarks, sep='\n', end='\n' if remarks else '')
        items += found
    return items


def _fingerprint(items: Sequence[Item]) -> int:
    """A number for what is learned from, wherever it lies."""
    found = 0
    for item in items:
        found = zlib.crc32(f'{item.name} {item.part} {item.thermal.shape}'.encode(), found)
        found = zlib.crc32(item.visible, zlib.crc32(item.thermal, found))
    return found


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='train',
        description='Train one system, or resume its training; or pack a training set.',
        epilog=f'systems: {", ".join(recipes.RECIPES) or "none"}. '
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
        '--accept',
        nargs='+',
        default=[],
        metavar='NAME',
        help='learn from this data set although its terms or its alignment speak against it',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default auto)')
    parser.add_argument(
        '--minutes', type=_minutes, default=math.inf, metavar='M', help='save and stop after so long'
    )
    parser.add_argument(
        '--changed', action='store_true', help='resume although configuration or data are others now'
    )
    parser.add_argument('--pack', type=cli.new_file, metavar='OUT.npz', help='pack --data into this file')
    parser.add_argument(
        '--frames', type=cli.positive, default=pack.FRAMES, help='frames of each video in a pack'
    )
    options = parser.parse_args(argv)
    options.accept = frozenset(options.accept)
    if options.pack:
        if options.system or options.config or not options.data:
            parser.error('--pack goes with --data alone')
        return options
    if options.system is None or options.config is None:
        parser.error('give SYSTEM and --config, or --pack')
    try:
        recipes.find(options.system)
        engine.resolve_device(options.device, ('cuda', 'cpu'))
    except ValueError as error:
        parser.error(str(error))
    return options


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time in minutes above 0")
    return value


if __name__ == '__main__':
    sys.exit(main())

"""
`fuse_bag IN OUT`: fuse a bag with both cameras into a bag with the fused topics, without ROS.

Pairs are made as the node makes them in mode every_frame, by their stamps alone, so that two runs are equal
to the byte. OUT gets /fused/image, /registered/image, /deformation/image, /valid_mask/image, the CameraInfo
beside the first two, the topics of --copy and summary.json: that of fuse_images, and `pairs_in`, `images_in`
and `drops` (images and pairs of which nothing came, by cause), and `alone_in`, the images that passed without
the other camera, where `on_missing` is pass_through. A preset that corrects the fused image adds
/deformation_fused/image and /misregistration/image.

OUT is written file by file. A run that was ended goes on with --resume behind the last file that is whole.
"""

import argparse
import glob
import sys
from collections.abc import Sequence
from pathlib import Path

from irvis_fusion_ros import cli
from irvis_fusion_ros.errors import BagError, IncompleteBagError
from irvis_fusion_ros.io.bags import STORAGES
from irvis_fusion_ros.offline import fleet, parameters
from irvis_fusion_ros.offline.fuser import OUTPUTS
from irvis_fusion_ros.offline.run import Run, Task


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 1 if anything of a bag could not be read."""
    options = _parser().parse_args(argv)
    return cli.guarded('fuse_bag', lambda: _run(options))


def fuse(task: Task, resume: bool = False, progress: bool = True) -> str:
    """
    Do a task; returns one line on what came of it, which begins with the name of the bag.

    Raises BagError and ValueError. A bag of which not everything could be read is fused as far as it goes,
    and then raised as IncompleteBagError.
    """
    if resume and (task.out / 'summary.json').exists():
        return f'{task.source}: is fused into {task.out} already'
    run = Run(task, _complain, resume)
    try:
        seconds = (run.bag.stop - run.bag.start) / 1e9
        layout = '{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s of flight, {elapsed} {postfix}'
        with cli.progress(
            total=seconds, desc=task.source.name, bar_format=layout, disable=not progress
        ) as bar:
            for time in run.records():
                bar.update(max(0.0, (time - run.bag.start) / 1e9 - bar.n))
            elapsed = bar.format_dict['elapsed']
        summary = run.summary()
        dropped = ', '.join(f'{count} {cause}' for cause, count in sorted(summary['drops'].items())) or 'none'
        if not run.pairs:
            run.discard()  # a bag without an image only misleads, and would be in the way of the next run
            incomplete = f'; {run.incomplete}' if run.incomplete else ''
            raise BagError(
                f"'{task.source}': no pair was fused: {run.why_nothing()}; drops: {dropped}{incomplete}"
            )
        cli.write_json(task.out / 'summary.json', summary)
        run.finish()
    finally:
        run.close()
    alone = f' ({run.alone_in} of them one image alone)' if run.alone_in else ''
    pairs = f'{run.pairs_in + run.alone_in} pairs{alone}'
    text = f'{len(run.pairs)} of {pairs} fused into {task.out}; drops: {dropped}'
    if progress and elapsed:
        text += f' ({seconds / elapsed:.2f} times as fast as real time)'
    if run.incomplete:
        raise IncompleteBagError(f'{run.incomplete}; {text}', {}, {})
    return f'{task.source}: {text}'


def _run(options: argparse.Namespace) -> int:
    try:
        tasks = _tasks(options)
        if options.ray is None:
            return max([_told(*_attempted(task, options.resume)) for task in tasks])
        return _by_fleet(tasks, options)
    except (BagError, ValueError) as error:
        return _told(False, str(error))


def _by_fleet(tasks: list[Task], options: argparse.Namespace) -> int:
    for task in tasks:
        if task.out.exists() and not options.resume:
            raise BagError(f"'{task.out}' exists already; remove it, or --resume what was begun there")
    failed = 0
    ended = fleet.done_by_ray(tasks, _in_worker, options.ray or None)
    for succeeded, text in cli.progress(ended, total=len(tasks), unit='bag', desc='fuse_bag'):
        failed |= _told(succeeded, text)
    return failed


def _in_worker(task: Task) -> tuple[bool, str]:
    # a second attempt goes on with the first one's work
    return _attempted(task, resume=True, progress=False)


def _attempted(task: Task, resume: bool, progress: bool = True) -> tuple[bool, str]:
    """Do a task; what goes wrong with one bag does not keep the others from being fused."""
    try:
        return True, fuse(task, resume, progress)
    except (BagError, ValueError) as error:
        return False, str(error)


def _told(succeeded: bool, text: str) -> int:
    if succeeded:
        print(text)
    else:
        _complain(f'error: {text}')
    return int(not succeeded)


def _tasks(options: argparse.Namespace) -> list[Task]:
    config = parameters.chosen(options.params, options.preset, options.device, _complain)
    sources = _sources(options.bags)
    several = len(sources) > 1
    return [
        Task(
            # absolute: the workers of a fleet run elsewhere
            source=source.absolute(),
            out=(options.out / _name(source) if several else options.out).absolute(),
            config=config,
            outputs=tuple(name for name in OUTPUTS if name in options.outputs),
            copy=tuple(options.copy),
            topics={'thermal': options.thermal, 'visible': options.visible},
            storage=options.storage,
            part_bytes=options.file_size << 20,
        )
        for source in sources
    ]


def _sources(given: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for text in given:
        matches = [Path(text)] if Path(text).exists() else sorted(map(Path, glob.glob(text)))
        if not matches:
            raise BagError(f"there is no bag at '{text}'")
        found += matches
    names = [_name(path) for path in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BagError(f"two bags are named '{twice}'; fuse them one by one")
    return found


def _name(path: Path) -> str:
    return path.stem if path.is_file() else path.absolute().name


def _parser() -> argparse.ArgumentParser:
    summary, _, details = __doc__.strip().partition('\n\n')
    parser = argparse.ArgumentParser(
        prog='fuse_bag',
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'bags',
        nargs='+',
        metavar='IN',
        help='rosbag2 directory, .mcap or .db3 file, or a pattern; of several, each gets a bag below OUT',
    )
    parser.add_argument('out', type=Path, metavar='OUT', help='directory of the new bag')
    parser.add_argument('--resume', action='store_true', help='go on with what was begun at OUT')
    parser.add_argument('--copy', nargs='+', default=[], metavar='TOPIC', help='copy these topics, too')
    cli.add_bag_choices(parser)
    parser.add_argument(
        '--outputs', nargs='+', choices=OUTPUTS, default=OUTPUTS, help='what is written (default: all)'
    )
    parser.add_argument('--storage', choices=tuple(STORAGES), default='mcap', help='(default: mcap)')
    parser.add_argument(
        '--file-size',
        type=cli.positive,
        default=256,
        metavar='MB',
        help='size of the files of OUT; --resume goes on behind the last whole one (default: 256)',
    )
    parser.add_argument(
        '--ray',
        nargs='?',
        const='',
        metavar='ADDRESS',
        help='let a Ray cluster do it, one task a bag, or this machine without ADDRESS (extra fleet); bags '
        'and OUT have to be at the same paths everywhere',
    )
    return parser


def _complain(text: str) -> None:
    print(f'fuse_bag: {text}', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())

"""
`calibrate BAG --out rig.yaml`, or `calibrate THERMAL VISIBLE --out rig.yaml`: find a rig from a flight.

No target board is needed: the evidence of many pairs is summed. Of a bag the offset of the clocks is found
first, from how both images move, and pairs are made with it. rig.yaml is the node's calibration.file, and
fuse_images' --calibration; rig.html beside it shows what was found, how sure it is, and what to set.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irvis_fusion_ros import calibration, cli
from irvis_fusion_ros.errors import BagError, FileError
from irvis_fusion_ros.geometry.turn import TURNS
from irvis_fusion_ros.offline import recording
from irvis_fusion_ros.offline.recording import BagRecording, FolderRecording
from irvis_fusion_ros.rig import report
from irvis_fusion_ros.rig.estimate import Estimate, Gathering
from irvis_fusion_ros.rig.refiner import Refiner
from irvis_fusion_ros.ros.options import SyncConfig
from irvis_fusion_ros.systems.where_targets import WhereTargets

# Pairs shown in the report.
SHOWN = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 1 if no rig was found."""
    options = _parse(argv)
    return cli.guarded('calibrate', lambda: _run(options))


def find(
    source: BagRecording | FolderRecording, pairs: int = 60, progress: bool = True
) -> tuple[Estimate, Gathering]:
    """
    Return what a recording tells of its rig, and the pairs that tell it.

    pairs: how many are kept, evenly spread. Raises FileError for a recording that cannot be read.
    """
    gathering = Gathering(pairs)
    offset = 0.0
    try:
        if source.timed:
            _followed(source.images(gathering.move), source.seconds, 'clocks', progress)
            curve = gathering.clock()
            if curve is not None and curve.offset is not None:
                offset = curve.offset.seconds
        # generous: a pair that is half an interval apart still shows the rig
        sync = SyncConfig(tolerance=max(0.02, gathering.tolerance or 0.0), thermal_offset=offset)
        apart = source.seconds / (2 * pairs)
        _followed(source.pairs(gathering.pair, sync, apart), source.seconds, 'pairs', progress)
    except BagError as error:
        raise FileError(str(error)) from error
    if progress:
        print('calibrate: fitting the rig', file=sys.stderr)
    return gathering.estimate(), gathering


def _followed(work, seconds: float, what: str, progress: bool) -> None:
    layout = '{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s, {elapsed}'
    with cli.progress(total=max(seconds, 0.1), desc=what, bar_format=layout, disable=not progress) as bar:
        for time in work:
            bar.update(min(max(0.0, time - bar.n), max(0.0, bar.total - bar.n)))


def _samples(found: Estimate, gathering: Gathering) -> list[report.Sample]:
    """Return pairs of this rig to look at, evenly spread, each as the node would align it with refine."""
    agreeing = {each.name for each in found.residuals if each.agrees}
    views = [each for each in gathering.views if each.name in agreeing]
    refiner = Refiner(found.calibration, temporal=False, where_targets=WhereTargets())
    chosen = np.unique(np.linspace(0, len(views) - 1, SHOWN + 2).round().astype(int)[1:-1])
    return [
        report.Sample(
            views[i].name,
            views[i].thermal,
            views[i].visible,
            refiner.register(views[i].thermal / np.float32(255), views[i].visible / np.float32(255)),
        )
        for i in chosen
    ]


def _run(options: argparse.Namespace) -> int:
    said: set[str] = set()

    def say(text: str) -> None:
        if text not in said:
            said.add(text)
            print(f'calibrate: {text}', file=sys.stderr)

    source = recording.opened(
        options.inputs,
        {'thermal': options.thermal, 'visible': options.visible},
        options.rate,
        options.pattern,
        options.pairs,
        say,
        options.turn_thermal,
    )
    found, gathering = find(source, options.keep)
    for note in found.notes:
        say(note.text)
    samples = _samples(found, gathering) if found.calibration is not None else []
    page = options.report or options.out.with_suffix('.html')
    report.write(page, found, samples, ', '.join(map(str, options.inputs)), options.out.name)
    if found.calibration is None:
        say(f'error: no rig was found in {found.seen} pairs; {page} shows why')
        return 1
    rig = found.calibration
    # the report is of the turned images; who uses the file has them as they come
    calibration.save(rig.before_turn(options.turn_thermal) if options.turn_thermal else rig, options.out)
    print(_told(found, options.out, page))
    return 0


def _told(found: Estimate, out: Path, page: Path) -> str:
    lines = [
        f'{out}: the rig of {found.used} of {len(found.residuals)} pairs, '
        f'its transform known to {found.uncertainty:.2f} px of the visible image (confidence '
        f'{found.confidence:.2f})',
        f'{page}: what was found',
    ]
    set_up = [f'calibration.source: file, calibration.file: {out}, calibration.refine: true']
    if (clock := found.calibration.clock) is not None:
        set_up.append(f'sync.thermal_offset: {clock.seconds:.4f}  # +- {clock.error:.4f} s')
    if found.tolerance is not None:
        set_up.append(f'sync.tolerance: {found.tolerance:.4f}')
    return '\n'.join([*lines, 'set in the node:', *(f'  {line}' for line in set_up)])


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='calibrate',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        type=Path,
        metavar='INPUT',
        help='a bag with both cameras, or a thermal and a visible folder of images (or video)',
    )
    parser.add_argument(
        '--out', type=cli.new_file, required=True, metavar='FILE', help='the calibration file to write (YAML)'
    )
    parser.add_argument(
        '--report', type=cli.new_file, metavar='FILE', help='the report (default: OUT with the suffix .html)'
    )
    parser.add_argument(
        '--rate',
        type=cli.above_zero,
        metavar='HZ',
        help='pairs per second of folders; without it nothing is told of the clocks',
    )
    parser.add_argument(
        '--keep', type=cli.positive, default=60, metavar='N', help='pairs that are fitted (default 60)'
    )
    parser.add_argument('--thermal', metavar='TOPIC', help='of a bag (default: thermal/image_raw)')
    parser.add_argument('--visible', metavar='TOPIC', help='of a bag (default: visible/image_raw)')
    parser.add_argument(
        '--turn-thermal',
        choices=TURNS,
        help='what makes the images of a thermal camera upright that is mounted upside down or on its side, '
        'or that mirrors them: degrees clockwise, or mirror; the file is for the images as they come',
    )
    cli.add_pairing(parser)
    options = parser.parse_args(argv)
    if len(options.inputs) > 2:
        parser.error('give one bag, or a thermal and a visible folder')
    return options


if __name__ == '__main__':
    sys.exit(main())

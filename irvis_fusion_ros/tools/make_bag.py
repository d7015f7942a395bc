"""
`make_bag THERMAL VISIBLE OUT --rate HZ`: make a bag of two folders of images, or of two videos.

Images are paired as fuse_images pairs them; pair number N gets the stamp of the start plus N / HZ. The
frames of a video keep its own rate, unless --rate is given. Topics: /thermal/image_raw and
/visible/image_raw, in the depth and colours of the files.
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from irvis_fusion_ros import cli
from irvis_fusion_ros.data import folders
from irvis_fusion_ros.errors import BagError, FileError, ImageError
from irvis_fusion_ros.flight.rig import THERMAL_FRAME, VISIBLE_FRAME
from irvis_fusion_ros.io import encodings, video_file
from irvis_fusion_ros.io.bags import STORAGES, BagWriter
from irvis_fusion_ros.io.video_file import Frame, Video

STREAMS = {
    'thermal': ('/thermal/image_raw', THERMAL_FRAME),
    'visible': ('/visible/image_raw', VISIBLE_FRAME),
}
# 2020-09-13 12:26:40 UTC: not now, so that two bags of the same images are equal
START = 1_600_000_000.0


class Shot(NamedTuple):
    """An image to be written. time: seconds since the start."""

    stream: str
    time: float
    source: folders.Source


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 1 if any image could not be written."""
    options = _parse(argv)
    return cli.guarded('make_bag', lambda: _run(options))


def shots(
    thermal: Path, visible: Path, rate: float | None, pattern: str | None = None, listing: Path | None = None
) -> tuple[list[Shot], folders.Pairs | None]:
    """
    Return the images of two folders or videos in the order of their times, and how they were paired, if so.

    rate: pairs per second; None for the rates of two videos. Raises FileError.
    """
    if video_file.is_video(thermal) and video_file.is_video(visible) and rate is None:
        streams = {'thermal': Video(thermal), 'visible': Video(visible)}
        found = [
            Shot(name, number / stream.rate, Frame(stream, number))
            for name, stream in streams.items()
            for number in range(stream.count)
        ]
        return sorted(found, key=lambda shot: shot.time), None
    if rate is None:
        raise FileError('images have no times of their own: give --rate, pairs per second')
    paired = folders.find(thermal, visible, pattern, listing)
    found = [
        Shot(name, number / rate, source)
        for number, sources in enumerate(paired.pairs.values())
        for name, source in zip(STREAMS, sources, strict=True)
    ]
    return found, paired


def write(
    wanted: Sequence[Shot], out: Path, start: float = START, storage: str | None = None
) -> tuple[Counter, list[str]]:
    """
    Write images into a new bag; returns how many of each topic, and why others were left out.

    start: seconds since 1970. Raises BagError.
    """
    counts: Counter = Counter()
    skipped: list[str] = []
    with BagWriter(out, storage) as bag:
        for shot in cli.progress(wanted, unit='image', desc='make_bag'):
            image, problem = _read(shot.source)
            if problem:
                skipped.append(problem)
                continue
            topic, frame = STREAMS[shot.stream]
            stamp = round(start * 1e9) + round(shot.time * 1e9)
            bag.write_image(topic, image, encodings.name_of(image), stamp, frame)
            counts[topic] += 1
    return counts, skipped


def _read(source: folders.Source) -> tuple[np.ndarray | None, str]:
    """Return an image and '', or None and why it cannot be written."""
    try:
        image = folders.read(source)
    except FileError as error:
        return None, str(error)
    try:
        encodings.find(encodings.name_of(image))
    except ImageError as error:
        return None, f'{source}: {error}'
    return image, ''


def _run(options: argparse.Namespace) -> int:
    if options.out.exists():
        raise FileError(f"'{options.out}' exists already; remove it or choose another name")
    wanted, paired = shots(options.thermal, options.visible, options.rate, options.pattern, options.pairs)
    if paired and paired.unpaired:
        some = ', '.join(map(str, paired.unpaired[:5]))
        _complain(f'{len(paired.unpaired)} file(s) without a partner are left out: {some}')
    try:
        counts, skipped = write(wanted, options.out, options.start, options.storage)
    except BaseException as error:
        # half a bag would only mislead
        shutil.rmtree(options.out, ignore_errors=True)
        if isinstance(error, BagError):
            raise FileError(str(error)) from error
        raise
    for reason in skipped:
        _complain(f'left out {reason}')
    print(f'{options.out}: {wanted[-1].time:.1f} s')
    for topic, count in sorted(counts.items()):
        print(f'  {count:6d}  {topic}')
    return 1 if skipped else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    summary, _, details = __doc__.strip().partition('\n\n')
    parser = argparse.ArgumentParser(
        prog='make_bag',
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('thermal', type=Path, metavar='THERMAL', help='folder of images, or a video')
    parser.add_argument('visible', type=Path, metavar='VISIBLE', help='folder of images, or a video')
    parser.add_argument('out', type=Path, metavar='OUT', help='directory of the new bag')
    parser.add_argument('--rate', type=cli.above_zero, metavar='HZ', help='pairs per second')
    parser.add_argument(
        '--start',
        type=cli.above_zero,
        default=START,
        metavar='S',
        help=f'stamp of the first pair, seconds since 1970 (default: {START:.0f})',
    )
    parser.add_argument(
        '--storage', choices=tuple(STORAGES), help='(default: by the suffix of OUT, .mcap or .db3; else mcap)'
    )
    cli.add_pairing(parser)
    return parser.parse_args(argv)


def _complain(text: str) -> None:
    print(f'make_bag: {text}', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())

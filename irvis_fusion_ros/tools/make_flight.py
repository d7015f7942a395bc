"""
Write a synthetic drone flight as a rosbag2: two cameras over a village, with the exact deformation.

Topics: /thermal/image_raw, /visible/image_raw, /thermal/camera_info, /visible/camera_info and
/truth/deformation (32FC2, dx and dy in visible pixels, stamp of its visible image): the visible pixel (x, y)
shows what the thermal image, stretched over the visible grid, shows at (x + dx, y + dy). It belongs to the
thermal image taken nearest in time, moving things moved along; it is NaN outside the thermal image, and where
parallax hides a surface from the thermal camera it is still that of the surface the visible camera sees.
OUT/rig.json holds the true numbers of the rig.

--rig describes the rig by `key=value` with commas between, such as
`--rig baseline=0.2,clock=0.04,thermal_k1=-0.2`, or by a YAML file with such keys:
{rig}
--thermal describes how the thermal camera renders in the same way:
{thermal}
"""

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from irvis_fusion_ros import cli
from irvis_fusion_ros.config import OptionSpec, walk
from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.flight import Flight, FlightConfig, Shot, option_list, rig_truth
from irvis_fusion_ros.flight.config import RIG, THERMAL
from irvis_fusion_ros.flight.rig import THERMAL_FRAME, VISIBLE_FRAME
from irvis_fusion_ros.io import atomic
from irvis_fusion_ros.io.bags import STORAGES, BagWriter
from irvis_fusion_ros.ros import topics

FRAMES = {'thermal': THERMAL_FRAME, 'visible': VISIBLE_FRAME}
TRUTH = topics.absolute(topics.TRUTH)
# Given together as WIDTHxHEIGHT.
_SIZES = {'size': ('width', 'height'), 'thermal_size': ('thermal_width', 'thermal_height')}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        config = _config(arguments)
    except ValueError as error:
        parser.error(str(error))
    if arguments.out.exists():
        if not arguments.force:
            print(f"make_flight: '{arguments.out}' exists already; --force replaces it", file=sys.stderr)
            return 1
        if not (arguments.out / 'metadata.yaml').exists():
            print(f"make_flight: '{arguments.out}' is not a bag, so --force leaves it alone", file=sys.stderr)
            return 1
        shutil.rmtree(arguments.out)
    try:
        with cli.ended_by_sigterm():
            counts = write(config, arguments.out, arguments.format, arguments.workers)
    except BaseException as error:
        # half a bag would only mislead
        shutil.rmtree(arguments.out, ignore_errors=True)
        if isinstance(error, (BagError, OSError)):
            print(f'make_flight: {error}', file=sys.stderr)
            return 1
        if isinstance(error, KeyboardInterrupt):
            print('\nmake_flight: stopped, nothing written', file=sys.stderr)
            return 130
        raise
    megabytes = sum(f.stat().st_size for f in arguments.out.iterdir()) / 1e6
    print(f'{arguments.out}: {config.seconds:g} s by {config.time}, {megabytes:.0f} MB')
    for topic, count in sorted(counts.items()):
        print(f'  {count:6d}  {topic}')
    return 0


def write(config: FlightConfig, out: Path, storage: str | None = None, workers: int = 1) -> Counter:
    """Render a flight into a new bag and return the number of messages by topic. Raises BagError."""
    flight = Flight(config)
    encodings = {'visible': 'bgr8', 'thermal': 'mono16' if config.thermal_depth == 16 else 'mono8'}
    counts: Counter = Counter()

    def record(bag: BagWriter, shot: Shot) -> None:
        exposure, camera = shot.exposure, shot.exposure.camera
        times = {'stamp': exposure.stamp, 'frame_id': FRAMES[camera], 'time': exposure.recorded}
        cameras = dict(zip(('visible', 'thermal'), flight.rig.intrinsics(exposure.seconds), strict=True))
        image, info = (topics.absolute(topic(camera)) for topic in (topics.image_of, topics.info_of))
        bag.write_image(image, shot.image, encodings[camera], **times)
        bag.write_camera_info(info, cameras[camera], **times)
        counts.update([image, info])
        if shot.truth is not None:
            bag.write_image(TRUTH, shot.truth, '32FC2', **times)
            counts.update([TRUTH])

    with BagWriter(out, storage) as bag:
        bag.note('irvis_flight', json.dumps(dataclasses.asdict(config)))
        with cli.progress(total=1, desc='building the village', bar_format='{desc} {elapsed}') as bar:
            flight.world  # noqa: B018  (built when it is first looked at)
            bar.update()
        total = len(flight.schedule.recorded())
        for shot in cli.progress(flight.shots(workers), total=total, desc='flying', unit='image'):
            record(bag, shot)
    atomic.write(out / rig_truth.NAME, json.dumps(rig_truth.describe(flight), indent=1).encode())
    return counts


def _config(arguments: argparse.Namespace) -> FlightConfig:
    options = vars(arguments)
    names = {name for name, _, _ in walk(FlightConfig())}
    values = {name: options[name] for name in names if name in options}
    for name, pair in (*_SIZES.items(), ('altitude', ('altitude', 'altitude_to'))):
        values.update(zip(pair, options[name], strict=True))
    if arguments.no_shutter:
        values['shutters'] = 0
    values |= option_list.read(arguments.rig, RIG, '--rig') if arguments.rig else {}
    values |= (
        option_list.read(arguments.thermal, THERMAL, '--thermal', 'thermal_') if arguments.thermal else {}
    )
    return FlightConfig(**values)


def _parser() -> argparse.ArgumentParser:
    summary, _, details = __doc__.strip().partition('\n\n')
    parser = argparse.ArgumentParser(
        prog='make_flight',
        description=summary,
        epilog=details.format(rig=_keys(RIG), thermal=_keys(THERMAL, 'thermal_')),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('out', metavar='OUT', type=Path, help='Directory of the new bag.')
    defaults = FlightConfig()
    for name, (width, height) in _SIZES.items():
        size = (getattr(defaults, width), getattr(defaults, height))
        parser.add_argument(
            f'--{name.replace("_", "-")}',
            type=cli.size,
            default=size,
            metavar='WxH',
            help=f'Size of the {width.rpartition("_")[0] or "visible"} images. (default {size[0]}x{size[1]})',
        )
    parser.add_argument(
        '--altitude',
        type=_heights,
        default=(defaults.altitude, 0.0),
        metavar='M',
        help='Mean height above ground, or LOW..HIGH: the drone sinks and rises, and keeps above what stands '
        f'in its way. (default {defaults.altitude:g} m)',
    )
    parser.add_argument('--rig', metavar='LIST', help='The rig: key=value,... or a YAML file; see below.')
    parser.add_argument('--thermal', metavar='LIST', help='The thermal camera, in the same way.')
    elsewhere = {*itertools.chain(*_SIZES.values()), 'altitude', 'altitude_to', *RIG, *THERMAL} - {'baseline'}
    for name, spec, default in walk(defaults):
        if name not in elsewhere:
            _add(parser, name, spec, default)
    parser.add_argument(
        '--no-shutter', action='store_true', help='No calibrations: the same as --shutters 0.'
    )
    parser.add_argument(
        '--format',
        choices=tuple(STORAGES),
        help='Storage of the bag (default: by the suffix of OUT, .mcap or .db3; else mcap).',
    )
    parser.add_argument('--force', action='store_true', help='Replace the bag at OUT.')
    parser.add_argument(
        '--workers',
        type=int,
        default=_cores(),
        metavar='N',
        help='Processes that render (default: all cores).',
    )
    return parser


def _add(parser: argparse.ArgumentParser, name: str, spec: OptionSpec, default) -> None:
    flag = f'--{name.replace("_", "-")}'
    if isinstance(default, bool):
        parser.add_argument(flag, action='store_true', help=spec.description)
        return
    unit = f' {spec.unit}' if spec.unit else ''
    parser.add_argument(
        flag,
        type=type(default),
        default=default,
        choices=spec.choices,
        metavar=None if spec.choices else name.split('_')[-1].upper(),
        help=f'{spec.description} (default {default}{unit})',
    )


def _keys(names: Sequence[str], prefix: str = '') -> str:
    """Return a line of help for each option of a list."""
    lines = []
    for name, spec, default in walk(FlightConfig()):
        if name in names:
            stated = 'none' if default == '' else f'{default} {spec.unit}'.strip()
            choices = f' ({", ".join(spec.choices)})' if spec.choices else ''
            lines.append(f'  {name.removeprefix(prefix):14s}{spec.description}{choices} (default {stated})')
    return '\n'.join(lines)


def _heights(text: str) -> tuple[float, float]:
    try:
        low, dots, high = text.partition('..')
        return float(low), float(high) if dots else 0.0
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a height or LOW..HIGH, such as 8..60") from None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


if __name__ == '__main__':
    sys.exit(main())

"""
`export_pairs BAG OUT`: write the pairs of a bag as a data set of registered images.

OUT gets ir/ (the thermal images on the visible grid, their values kept), vi/, fused/ and pairs.json, as
evaluate and train read them. Pairs are made and registered as fuse_bag does; a pair whose registration is not
believed is left out and counted.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irvis_fusion_ros import cli
from irvis_fusion_ros.errors import BagError, FileError, IncompleteBagError
from irvis_fusion_ros.imaging.color import in_encoding
from irvis_fusion_ros.io import images
from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.io.encodings import Picture
from irvis_fusion_ros.offline import parameters
from irvis_fusion_ros.offline.fuser import Frame, Fuser
from irvis_fusion_ros.offline.source import PairSource, find_topics
from irvis_fusion_ros.pairing import Pair
from irvis_fusion_ros.ros.build import build_predictor, clock_of, with_clock

LEAST_CONFIDENCE = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 1 if anything of the bag could not be read."""
    options = _parser().parse_args(argv)
    return cli.guarded('export_pairs', lambda: _run(options))


class Exporter:
    """
    Writes pairs into a data set at `out`.

    every: one pair of so many. least: confidence from which a pair is taken. `pairs` is the content of
    pairs.json, `left_out` counts the others by cause.
    """

    def __init__(self, bag: BagReader, out: Path, every: int, least: float):
        self._out, self._every, self._least = out, every, least
        self._name = bag.path.absolute().name
        self._count = 0
        self.pairs: list[dict[str, Any]] = []
        self.left_out: Counter = Counter()
        self.fuser: Fuser | None = None
        for folder in ('ir', 'vi', 'fused'):
            (out / folder).mkdir(parents=True, exist_ok=True)

    def take(self, pair: Pair) -> None:
        """Fuse a pair, and write it if it is wanted and believed."""
        frame = self.fuser.fuse(pair)
        number, self._count = self._count, self._count + 1
        if frame is None or number % self._every:
            return
        if frame.result.confidence < self._least:
            self.left_out['not_believed'] += 1
            return
        self._write(pair, frame)

    def _write(self, pair: Pair, frame: Frame) -> None:
        name = str(pair.visible.stamp)
        visible = pair.visible.picture()
        registered = frame.result.registered
        # PNG has neither signs nor floating point
        suffix = 'png' if registered.dtype in (np.uint8, np.uint16) else 'tiff'
        files = {'ir': f'ir/{name}.{suffix}', 'vi': f'vi/{name}.png', 'fused': f'fused/{name}.png'}
        images.write(self._out / files['ir'], registered)
        images.write(self._out / files['vi'], _in_bgr(visible))
        fused, encoding = frame.images['fused']
        images.write(self._out / files['fused'], in_encoding(fused, encoding[:3], 'bgr8'))
        confidence = float(frame.result.confidence)
        self.pairs.append({'name': name, **files, 'sequence': self._name, 'confidence': confidence})


def _in_bgr(picture: Picture) -> np.ndarray:
    return (
        picture.pixels[..., ::-1] if picture.order == 'rgb' and picture.pixels.ndim == 3 else picture.pixels
    )


def _run(options: argparse.Namespace) -> int:
    if options.out.exists():
        raise FileError(f"'{options.out}' exists already; remove it or choose another name")
    try:
        return _export(options)
    except (BagError, ValueError) as error:
        raise FileError(str(error)) from error


def _export(options: argparse.Namespace) -> int:
    config = parameters.chosen(options.params, options.preset, options.device, _complain)
    incomplete = None
    with BagReader(options.bag) as bag:
        topics = find_topics(bag, config, {'thermal': options.thermal, 'visible': options.visible})
        predictor = build_predictor(config)
        config = with_clock(config, clock_of(config, predictor))
        exporter = Exporter(bag, options.out, options.every, options.least_confidence)
        complain = _once(_complain)
        source = PairSource(bag, topics, config, exporter.take, complain)
        wanted = frozenset({'fused', 'registered'})
        exporter.fuser = Fuser(predictor, config, wanted, lambda: source.infos, complain)
        layout = '{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s'
        seconds = (bag.stop - bag.start) / 1e9
        try:
            with cli.progress(total=seconds, desc='export', bar_format=layout) as bar:
                for record in bag.records(source.topics):
                    source.take(record)
                    bar.update(max(0.0, (record.time - bag.start) / 1e9 - bar.n))
        except IncompleteBagError as error:
            incomplete = error
        source.pairing.flush()
    cli.write_json(options.out / 'pairs.json', exporter.pairs)
    left_out = source.drops() + exporter.fuser.drops + exporter.left_out
    causes = ', '.join(f'{count} {cause}' for cause, count in sorted(left_out.items())) or 'none'
    print(f'{len(exporter.pairs)} pairs written into {options.out}; left out: {causes}')
    if not source.pairing.counts['visible']['paired']:
        _complain(f'no pair: {source.no_pair()}')
    if incomplete:
        _complain(str(incomplete))
    return 1 if incomplete or not exporter.pairs else 0


def _once(complain: Callable[[str], None]) -> Callable[[str, str], None]:
    said = set()

    def say(key: str, text: str) -> None:
        if key not in said:
            said.add(key)
            complain(text)

    return say


def _parser() -> argparse.ArgumentParser:
    summary, _, details = __doc__.strip().partition('\n\n')
    parser = argparse.ArgumentParser(
        prog='export_pairs',
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='bag with the images of both cameras')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder of the new data set')
    cli.add_bag_choices(parser)
    parser.add_argument(
        '--every', type=cli.positive, default=1, metavar='N', help='one pair of N (default: 1, all)'
    )
    parser.add_argument(
        '--least-confidence',
        type=float,
        default=LEAST_CONFIDENCE,
        metavar='C',
        help=f'pairs registered with less are left out (default: {LEAST_CONFIDENCE})',
    )
    return parser


def _complain(text: str) -> None:
    print(f'export_pairs: {text}', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())

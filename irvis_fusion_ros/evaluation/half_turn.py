"""
Tells what of a constant error is a method's own, by registering every pair also turned by 180 degrees.

    python -m irvis_fusion_ros.evaluation.half_turn DATA... --flights --preset P... [--split val] [--json F]

What lies in the pair turns with it: a label that is off, or thermal edges that lie beside the visible ones.
What the method adds whatever it is shown, such as an error of half a pixel in a pyramid or an offset that a
network has learned, stays where it was. So of the constant errors e of a pair and e' of the turned pair,
(e + e') / 2 is the method's own and (e - e') / 2 the pair's. --flights adds made flights, whose truth is
exact: there the pair's part is no error of a label, but what rendering does to edges.

It prints one line for each data set (each video of it) and preset, vectors [x, y] in pixels: `own` and `of
pair`, medians over the pairs, with their standard errors (of the axis where it is larger). Against the label
the error is own + of pair. A pair that a preset has refused or lost, either way round, is counted and left
out. --json writes the records of all pairs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irvis_fusion_ros import cli
from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.evaluation import baselines, made_flights, report, tool
from irvis_fusion_ros.evaluation.bias import LOST
from irvis_fusion_ros.evaluation.metrics.registration import Registration, extrapolate
from irvis_fusion_ros.predictor import Predictor

COLUMNS: tuple[report.Column, ...] = (
    ('pairs', lambda s: s['pairs'], 'd'),
    ('lost', lambda s: s['lost'], 'd'),
    ('own x', lambda s: s['own'][0], '+.2f'),
    ('own y', lambda s: s['own'][1], '+.2f'),
    ('+-', lambda s: s['own_uncertainty'], '.2f'),
    ('of pair x', lambda s: s['of_pair'][0], '+.2f'),
    ('of pair y', lambda s: s['of_pair'][1], '+.2f'),
    ('+-', lambda s: s['of_pair_uncertainty'], '.2f'),
)
# Sources of an alignment (alignment.SOURCES) that say that none was found.
REFUSED = ('identity', 'held')
# From the median absolute deviation to the standard deviation of a normal distribution, and from the standard
# error of its mean to that of its median.
DEVIATION, MEDIAN = 1.4826, 1.2533


@dataclass(frozen=True)
class TruePair:
    """A pair of a data set with its deformation, true or as labelled: H x W x 2, NaN outside."""

    data: str
    name: str
    thermal: np.ndarray
    visible: np.ndarray
    truth: np.ndarray

    def turned(self) -> 'TruePair':
        """Return the pair turned by 180 degrees."""
        thermal, visible = (np.ascontiguousarray(image[::-1, ::-1]) for image in (self.thermal, self.visible))
        return TruePair(self.data, self.name, thermal, visible, -self.truth[::-1, ::-1])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(argv)
    return cli.guarded('half_turn', lambda: _run(options))


def offset(predictor: Predictor, pair: TruePair) -> np.ndarray:
    """Return the constant part [x, y] of the error, pixels, from a cold start; NaN for a refused pair."""
    result = predictor(pair.thermal, pair.visible)
    if result.source in REFUSED:
        return np.full(2, np.nan)
    field = extrapolate(Registration(result.deformation, result.transform))
    known = ~np.isnan(pair.truth).any(-1)
    return (field - pair.truth)[known].mean(0)


def measure(predictor: Predictor, preset: str, pair: TruePair) -> dict:
    """Return the record of one pair: preset, data, pair, and the offsets as it is and turned."""
    straight, turned = (offset(predictor, each) for each in (pair, pair.turned()))
    return {
        'data': pair.data,
        'preset': preset,
        'pair': pair.name,
        'straight': straight.tolist(),
        'turned': turned.tolist(),
    }


def summarise(records: Sequence[dict]) -> list[dict]:
    """Return one object for each data set and preset, with the medians described above."""
    found = []
    for data, preset in dict.fromkeys((record['data'], record['preset']) for record in records):
        chosen = [record for record in records if (record['data'], record['preset']) == (data, preset)]
        offsets = np.array([[record['straight'], record['turned']] for record in chosen])
        # also False where one of both is NaN
        offsets = offsets[np.linalg.norm(offsets, axis=-1).max(1) < LOST]
        lost = len(chosen) - len(offsets)
        if len(offsets) < 2:
            continue
        own, of_pair = offsets.mean(1), (offsets[:, 0] - offsets[:, 1]) / 2
        found.append(
            {
                'data': data,
                'preset': preset,
                'pairs': len(offsets),
                'lost': lost,
                'own': np.median(own, 0).tolist(),
                'own_uncertainty': _uncertainty(own),
                'of_pair': np.median(of_pair, 0).tolist(),
                'of_pair_uncertainty': _uncertainty(of_pair),
            }
        )
    return found


def _uncertainty(vectors: np.ndarray) -> float:
    """Return the standard error of the median, pixels, of the axis where it is larger."""
    deviation = np.median(np.abs(vectors - np.median(vectors, 0)), 0)
    return float(MEDIAN * DEVIATION * deviation.max() / np.sqrt(len(vectors)))


def _pairs(options: argparse.Namespace) -> Iterator[TruePair]:
    for folder in options.data:
        for pair in datasets.select(datasets.aligned(folder), options.split, options.limit):
            thermal, visible = datasets.read(pair)
            truth = np.zeros((*thermal.shape, 2))
            # each video has an alignment of its own
            data = ' '.join(filter(None, (folder.resolve().name, pair.video)))
            yield TruePair(data, pair.name, thermal, visible, truth)
    if options.flights:
        for name in made_flights.FLIGHTS:
            for flown in made_flights.pairs(name, options.frames):
                yield TruePair(f'flight {name}', flown.name, flown.thermal, flown.visible, flown.truth)


def _run(options: argparse.Namespace) -> int:
    predictors = {
        preset: Predictor(system, temporal=False)
        for preset, system in baselines.systems(options.preset, options.device).items()
    }
    records = [
        measure(predictor, preset, pair)
        for pair in cli.progress(_pairs(options), unit='pair')
        for preset, predictor in predictors.items()
    ]
    tool.tell(options, COLUMNS, summarise(records), records)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='half_turn', description='Tell the constant error of a method from that of the pairs.'
    )
    parser.add_argument('data', nargs='*', type=Path, metavar='DATA', help='aligned data sets (ir, vi)')
    parser.add_argument('--flights', action='store_true', help='also pairs of made flights, with the truth')
    parser.add_argument('--frames', type=cli.positive, default=3, help='pairs of each flight (default: 3)')
    parser.add_argument('--preset', nargs='+', default=['classical'], metavar='P', help='what to measure')
    tool.add_options(parser, split='val')
    options = parser.parse_args(argv)
    if not options.data and not options.flights:
        parser.error('nothing to measure: name data sets, or --flights')
    try:
        baselines.systems(options.preset, options.device)
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == '__main__':
    sys.exit(main())

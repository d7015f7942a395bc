"""
Tells what the judge of `swift_lite` is worth: of wrong proposals how many are believed, of right ones how
many refused, and how much better the best proposal is than the chosen one.

    python -m irvis_fusion_ros.evaluation.proposals DATA... --protocol large natural [--size 128x96]

Every method that can propose an alignment does, on every pair. A proposal is wrong if its mean error is above
believed.WRONG pixels of an image 640 wide, whatever its size; of boxes of people, which are drawn to 3 to 5
pixels of 960, above twice that. `--crossed` pairs each visible image with the thermal image of another pair:
then all are wrong.

It prints one line for each data set, protocol and method. `wrong` and `right` count proposals; `believed` of
the wrong and `refused` of the right ones are by the evidence for the proposal alone. `chosen` is the method
that the preset makes of them; it counts the pairs, with what another method confirms. mean, median and worst
are errors in pixels, `chosen` with pairs that it refuses as they were; `best` are those of each pair's best
proposal. --json writes the records of all pairs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from irvis_fusion_ros import cli
from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.classical.registration import Frame, State
from irvis_fusion_ros.data import protocols
from irvis_fusion_ros.evaluation import report, tool
from irvis_fusion_ros.evaluation.shown import Shown, resized, shown
from irvis_fusion_ros.predictor import FusionResult, Predictor
from irvis_fusion_ros.systems import hybrid, registry
from irvis_fusion_ros.systems.classical import ACCEPTED
from irvis_fusion_ros.systems.hybrid import Hybrid

METHODS = ('network', 'maps', 'second network')
CHOSEN, BEST = 'chosen', 'best'

COLUMNS: tuple[report.Column, ...] = (
    ('method', lambda s: s['method'], 's'),
    ('wrong', lambda s: s['wrong'], 'd'),
    ('believed', lambda s: s['believed'], 'd'),
    ('right', lambda s: s['right'], 'd'),
    ('refused', lambda s: s['refused'], 'd'),
    ('mean px', lambda s: s['mean'], '.2f'),
    ('median', lambda s: s['median'], '.2f'),
    ('worst', lambda s: s['worst'], '.1f'),
)


class Proposing(Hybrid):
    """`swift_lite` that lets every method propose, and then answers with whatever `answer` holds."""

    def __init__(self, like: Hybrid):
        super().__init__(like._network, temporal=False)
        self._searches = like._searches
        self.proposals: list[Alignment] = []
        self.answer: Alignment | None = None

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        return super().register(thermal, visible) if self.answer is None else self.answer

    def _search(self, frame: Frame, thermal: np.ndarray, visible: np.ndarray) -> State:
        states = [search(frame, thermal, visible) for search in self._searches]
        self.proposals = [frame.alignment(state, 'search') for state in states]
        return hybrid.choose(states, frame, visible.shape[1])


class Judged:
    """Lets every method propose for a pair, and measures what they find."""

    def __init__(self, preset: str, device: str):
        chosen = registry.SystemConfig(preset, device)
        self._system = Proposing(registry.build(chosen, temporal=False))
        table = {preset: replace(chosen.entry, build=lambda config, temporal: self._system)}
        self._predictor = Predictor(
            registry.SystemConfig(preset, device, presets=table), temporal=False, targets='off'
        )

    def records(self, pair: Shown) -> list[dict]:
        """Return one record for each method, and for what is chosen, last."""
        self._system.proposals, self._system.answer = [], None
        chosen = self._predict(pair)
        found = []
        for method, proposal in zip(METHODS, self._system.proposals, strict=False):
            self._system.answer = proposal
            found.append((method, proposal.confidence, self._predict(pair)))
        return [
            {
                'data': pair.data,
                'protocol': pair.protocol,
                'pair': pair.name,
                'method': method,
                'confidence': confidence,
                'error': pair.error(result),
                'wrong': pair.wrong,
            }
            for method, confidence, result in (*found, (CHOSEN, chosen.confidence, chosen))
        ]

    def _predict(self, pair: Shown) -> FusionResult:
        return self._predictor(pair.thermal, pair.visible, outputs=frozenset({'deformation'}))


def summarise(records: Sequence[dict]) -> list[dict]:
    """Return one object for each data set, protocol and method, as described above."""
    found = []
    for data, protocol in dict.fromkeys((record['data'], record['protocol']) for record in records):
        own = [record for record in records if (record['data'], record['protocol']) == (data, protocol)]
        for method in dict.fromkeys(record['method'] for record in own):
            chosen = [record for record in own if record['method'] == method]
            found.append({'data': data, 'preset': protocol, 'method': method, **_counts(chosen)})
        best: dict[tuple, dict] = {}
        for record in own:
            if record['error'] is None or record['method'] == CHOSEN:
                continue
            at = record['pair']
            if at not in best or record['error'] < best[at]['error']:
                best[at] = record
        if best:
            found.append({'data': data, 'preset': protocol, 'method': BEST, **_counts(list(best.values()))})
    return found


def _counts(records: Sequence[dict]) -> dict:
    wrong = [record for record in records if record['error'] is None or record['error'] > record['wrong']]
    right = [record for record in records if record not in wrong]
    errors = [record['error'] for record in records if record['error'] is not None]
    return {
        'wrong': len(wrong),
        'believed': sum(record['confidence'] >= ACCEPTED for record in wrong),
        'right': len(right),
        'refused': sum(record['confidence'] < ACCEPTED for record in right),
        'mean': float(np.mean(errors)) if errors else None,
        'median': float(np.median(errors)) if errors else None,
        'worst': float(np.max(errors)) if errors else None,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(argv)
    return cli.guarded('proposals', lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    judged = Judged(options.preset, options.device)
    records = []
    pairs = (
        pair
        for folder in options.data
        for protocol in options.protocol
        for pair in shown(folder, protocol, options.split, options.limit, options.crossed)
    )
    for pair in cli.progress(pairs, unit='pair'):
        records += judged.records(resized(pair, options.size) if options.size else pair)
    tool.tell(options, COLUMNS, summarise(records), records)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='proposals', description='Tell what a judge is worth.')
    parser.add_argument('data', nargs='+', type=Path, metavar='DATA', help='data set (ir, vi)')
    parser.add_argument('--protocol', nargs='+', default=[protocols.NATURAL], metavar='Q')
    parser.add_argument('--crossed', action='store_true', help='pair each visible image with another thermal')
    parser.add_argument('--size', type=cli.size, metavar='WxH', help='make both images this small first')
    parser.add_argument('--preset', choices=('swift_lite', 'swift'), default='swift_lite', help='whose judge')
    tool.add_options(parser, split='all')
    options = parser.parse_args(argv)
    try:
        for protocol in options.protocol:
            protocols.check(protocol)
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == '__main__':
    sys.exit(main())

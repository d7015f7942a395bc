"""
`evaluate DATA... --preset P --protocol Q --json F`: registration and fusion measured on image pairs.

Every pair is registered from a cold start, and moved by a known warp that depends on seed, protocol and name
only. With --video, the frames of a video are fused as one stream instead, under a constant misalignment.
The JSON file, for several DATA a list of what one has, each with the protocols that its pairs allow:

    data, split, seed, device, backbone, registration_first   the options of the run; backbone is '' where
                each preset ran with its own
    summaries   one object for each preset and protocol: preset, protocol, pairs, endpoint_error {mean,
                median, worst}, under_1px, under_3px, made_worse (shares), milliseconds {median, worst},
                confidence (mean), confidence_rank (Spearman's correlation of it with a small error),
                consistency, consistency_median and _worst (the yardstick: no label takes part in it),
                means over the pairs of the other measures, and with --fusion those under the key fusion
    records     one object for each preset, protocol, pair and warp (shift5 has two warps, one per sign):
                preset, protocol, pair, scene, warp, milliseconds (of the predictor only), confidence,
                source, the measures of evaluation/metrics/registration.score and, with --fusion, of
                evaluation/metrics/fusion.score under the key fusion
    bias        what of the errors is the labels' and what is a bias of the method, see evaluation/bias.py
    believed    share of wrong alignments by confidence, see evaluation/believed.py
    videos      with --video, one object for each preset, protocol, video and warp: preset, protocol, video,
                warp, milliseconds, endpoint_error (mean over frames), endpoint_error_worst, endpoint_errors
                (each frame's) and the measures of evaluation/metrics/video.Steadiness
    targets     with --targets, what evaluation/target_runner.py says of each preset and pair, the pairs as
                they were recorded; target_summaries, and with --detector detection_summaries, count it
    recorded    with --recorded, what evaluation/recorded_runner.py says of each preset and pair, the pairs as
                they were recorded; recorded_summaries are the means, mask_problems what is wrong with masks
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from irvis_fusion_ros import cli
from irvis_fusion_ros.data import datasets, protocols
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation import baselines, report
from irvis_fusion_ros.evaluation.plan import DEFAULT_PROTOCOLS, Plan, evaluate
from irvis_fusion_ros.systems import registry


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    plan, options = _parse(argv)
    return cli.guarded('evaluate', lambda: _run(plan, options))


def _run(plan: Plan, options: argparse.Namespace) -> int:
    if options.plots:
        from irvis_fusion_ros.evaluation import plots  # imported here, because only plots need matplotlib

        plots.check()
        options.plots.mkdir(parents=True, exist_ok=True)
    if len(options.data) > 1:
        results = []
        for each in _plans(plan, options.data):
            results.append(evaluate(each))
            print(f'{each.data}\n\n{report.text(results[-1], options.markdown)}\n')
        if options.json:
            cli.write_json(options.json, results)
        return 0
    result = evaluate(plan)
    print(report.text(result, options.markdown))
    for problem in result.get('mask_problems', ()):
        print(f'evaluate: {problem}', file=sys.stderr)
    if options.json:
        cli.write_json(options.json, result)
    if options.plots:
        for path in plots.draw(plan, result, options.plots):
            print(f'wrote {path}')
    return 0


def _plans(plan: Plan, folders: Sequence[Path]) -> Iterator[Plan]:
    """Yield the plan of each data set, with those of the protocols that its pairs allow."""
    for data in folders:
        allowed = tuple(name for name in plan.protocols if _allows(data, name))
        # without any, the run itself says what is wrong with the folder
        yield replace(plan, data=data, protocols=allowed or plan.protocols)


def _allows(data: Path, protocol: str) -> bool:
    try:
        return bool(datasets.natural(data) if protocol == protocols.NATURAL else datasets.aligned(data))
    except FileError:
        return False


def _parse(argv: Sequence[str] | None) -> tuple[Plan, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        prog='evaluate',
        description='Measure registration and fusion on image pairs.',
        epilog=f'protocols: {", ".join(protocols.NAMES)}; all = every one that DATA allows. '
        f'presets: {", ".join(registry.NAMES)}; baselines: {", ".join(baselines.BASELINES)}.',
    )
    parser.add_argument(
        'data', nargs='+', type=Path, metavar='DATA', help='data set: sub-folders ir and vi, pairs by stem'
    )
    parser.add_argument(
        '--preset', nargs='+', action='extend', metavar='P', help='what to measure (default: classical)'
    )
    parser.add_argument(
        '--protocol',
        nargs='+',
        action='extend',
        metavar='Q',
        help=f'how the pairs are moved (default: {" ".join(DEFAULT_PROTOCOLS)})',
    )
    parser.add_argument('--json', type=cli.new_file, metavar='F', help='write summaries and records here')
    parser.add_argument('--plots', type=Path, metavar='DIR', help='write plots here (needs matplotlib)')
    parser.add_argument('--fusion', action='store_true', help='score the fused images too; seconds a pair')
    parser.add_argument(
        '--aligned',
        action='store_true',
        help='score the fusion of the pairs as they are, every preset told that they are aligned',
    )
    parser.add_argument(
        '--video', action='store_true', help='measure videos under a fixed misalignment, frames in order'
    )
    parser.add_argument(
        '--targets',
        type=Path,
        metavar='F',
        help='count which boxes of this file the fused picture keeps, and others, instead of errors',
    )
    parser.add_argument(
        '--detector',
        type=Path,
        metavar='D.yaml',
        help='with --targets: let a detector look for them in the same pictures (docs/detectors.md)',
    )
    parser.add_argument(
        '--recorded',
        action='store_true',
        help='judge pairs as they were recorded, where no alignment is known, by their own sources',
    )
    parser.add_argument(
        '--masks',
        type=Path,
        metavar='DIR',
        help='with --recorded: masks of the same things, DIR/ir/NAME.png and DIR/vi/NAME.png',
    )
    parser.add_argument('--split', choices=datasets.PARTS, default='all', help='part of DATA, split by scene')
    parser.add_argument(
        '--limit', type=cli.positive, metavar='N', help='at most N pairs, evenly spread, or N frames a video'
    )
    parser.add_argument('--seed', type=int, default=0, help='another draw of the warps (default: 0)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    cli.add_fusion_choices(parser)
    cli.add_show_targets(parser)
    parser.add_argument(
        '--jobs',
        type=cli.positive,
        default=1,
        metavar='N',
        help='processes; more than one disturbs the timing',
    )
    parser.add_argument('--markdown', action='store_true', help='print tables as Markdown')
    options = parser.parse_args(argv)
    default = ('zero',) if options.aligned else DEFAULT_PROTOCOLS
    try:
        plan = Plan(
            data=options.data[0],
            presets=tuple(dict.fromkeys(map(_named, options.preset or ('classical',)))),
            protocols=_protocols(options.protocol or default, options.data),
            part=options.split,
            limit=options.limit,
            seed=options.seed,
            device=options.device,
            backbone=options.backbone,
            registration_first=options.registration_first,
            fusion=options.fusion or options.aligned,
            aligned=options.aligned,
            video=options.video,
            jobs=options.jobs,
            targets=options.targets,
            detector=options.detector,
            shown=options.show_targets,
            recorded=options.recorded,
            masks=options.masks,
        )
        baselines.systems(plan.presets, plan.device, plan.backbone, plan.registration_first)
    except ValueError as error:
        parser.error(str(error))
    if plan.video and (
        plan.fusion or protocols.NATURAL in plan.protocols or plan.limit == 1 or options.plots
    ):
        parser.error('--video goes with neither --fusion, --plots, --limit 1 nor protocol natural')
    one = plan.video or plan.targets is not None or plan.masks is not None or options.plots
    if len(options.data) > 1 and one:
        parser.error('--video, --targets, --masks and --plots take one DATA')
    if plan.detector is not None and plan.targets is None:
        parser.error('--detector needs --targets: the boxes that it has to find')
    measured = plan.video or options.fusion or options.protocol or options.plots
    if plan.targets is not None and measured:
        parser.error('--targets goes with neither --protocol, --fusion, --video nor --plots')
    if plan.recorded and (measured or plan.aligned or plan.targets is not None):
        parser.error(
            '--recorded goes with neither --protocol, --fusion, --aligned, --video, --targets nor --plots'
        )
    if plan.masks is not None and not plan.recorded:
        parser.error('--masks needs --recorded: pairs that are moved are measured by their known warp')
    if plan.aligned and plan.protocols != ('zero',):
        parser.error('--aligned goes with protocol zero alone: the pairs are not moved')
    return plan, options


def _named(preset: str) -> str:
    return registry.best() if preset == registry.AUTO else preset


def _protocols(names: Sequence[str], folders: Sequence[Path]) -> tuple[str, ...]:
    if 'all' in names:
        names = [
            name
            for name in protocols.NAMES
            if any(_has_pairs(data, name == protocols.NATURAL) for data in folders)
        ]
    for name in names:
        protocols.check(name)
    return tuple(dict.fromkeys(names))


def _has_pairs(data: Path, natural: bool) -> bool:
    try:
        return bool(datasets.natural(data) if natural else datasets.aligned(data))
    except FileError:
        # the run itself reports a folder that cannot be used at all
        return not natural


if __name__ == '__main__':
    sys.exit(main())

"""
An evaluation: what is measured on which pairs, and the run that measures it.

`evaluate.py` is its command line, and documents the result, which is the content of the JSON file.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irvis_fusion_ros import cli
from irvis_fusion_ros.data import datasets, protocols
from irvis_fusion_ros.data import targets as target_files
from irvis_fusion_ros.data.masks import Masks
from irvis_fusion_ros.detection import description
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation import believed, bias, recorded_runner, target_runner
from irvis_fusion_ros.evaluation.metrics import fusion, registration
from irvis_fusion_ros.evaluation.recorded_runner import RecordedRunner
from irvis_fusion_ros.evaluation.runner import Runner, spread
from irvis_fusion_ros.evaluation.target_runner import TargetRunner
from irvis_fusion_ros.systems import registry

DEFAULT_PROTOCOLS = ('zero', 'fr', 'shift5', 'elastic_mid', 'large')


@dataclass(frozen=True)
class Plan:
    """
    The options of an evaluation.

    presets may name baselines; backbone and registration_first apply to presets that let one choose them;
    part and limit choose pairs (datasets.select). targets: a file of boxes that the fused image should keep,
    which is measured in the place of registration errors; detector: what looks for them
    (metrics/targets.py, detection/description.py). shown: the targets that the fusion shows. recorded: judge
    pairs as they were recorded, without a known alignment; masks: a folder of masks for that (data/masks.py).
    """

    data: Path
    presets: tuple[str, ...] = ('classical',)
    protocols: tuple[str, ...] = DEFAULT_PROTOCOLS
    part: str = 'all'
    limit: int | None = None
    seed: int = 0
    device: str = 'auto'
    backbone: str = ''
    registration_first: str = registry.AUTO
    fusion: bool = False
    aligned: bool = False
    video: bool = False
    jobs: int = 1
    targets: Path | None = None
    detector: Path | None = None
    shown: str = 'warm'
    recorded: bool = False
    masks: Path | None = None

    def runner(self) -> Runner | TargetRunner | RecordedRunner:
        """Return a runner with these options."""
        runner = Runner(
            self.presets,
            self.device,
            self.seed,
            self.fusion,
            self.aligned,
            self.backbone,
            self.registration_first,
            self.shown,
        )
        if self.recorded:
            return RecordedRunner(runner, self.masks)
        return runner if self.targets is None else TargetRunner(runner, self.detector)


# One task: a method of the runner and its arguments. Tasks run in any order.
Task = tuple[Callable[..., list[dict]], tuple]


def evaluate(plan: Plan, progress: bool = True) -> dict:
    """
    Run an evaluation; return the content of the JSON file that evaluate.py describes.

    Raises FileError for data that cannot be used.
    """
    if plan.targets is not None:
        return _targets(plan, progress)
    if plan.recorded:
        return _recorded(plan, progress)
    tasks = _video_tasks(plan) if plan.video else _pair_tasks(plan)
    found = _found(plan, tasks, progress)
    found.sort(
        key=lambda record: (
            plan.protocols.index(record['protocol']),
            plan.presets.index(record['preset']),
            record['video' if plan.video else 'pair'],
            record['warp'],
        )
    )
    records = [] if plan.video else found
    return {
        **_about(plan),
        'summaries': _summaries(plan, records) if records else [],
        'records': records,
        'bias': bias.summarise(records),
        'believed': believed.summarise(records),
        'videos': found if plan.video else [],
    }


def _targets(plan: Plan, progress: bool) -> dict:
    """Measure what is kept of the targets of a file; the same content, about them."""
    boxes = target_files.load(plan.targets)
    pairs = {pair.name: pair for pair in datasets.recorded(plan.data)}
    unknown = [name for name in boxes if name not in pairs]
    if unknown:
        raise FileError(
            f"{plan.targets}: '{unknown[0]}' is no pair of {plan.data}, which has {next(iter(pairs))}, ..."
        )
    chosen = datasets.select([pairs[name] for name in boxes], plan.part, plan.limit)
    tasks = [(TargetRunner.pair, (pair, boxes[pair.name], plan.presets)) for pair in chosen]
    records = _found(plan, tasks, progress)
    order = list(boxes)
    records.sort(key=lambda record: (plan.presets.index(record['preset']), order.index(record['pair'])))
    result = {
        **_about(plan),
        'summaries': [],
        'records': [],
        'videos': [],
        'targets': records,
        'target_summaries': target_runner.summarise(records),
    }
    if plan.detector is not None:
        score = description.read(plan.detector).score
        result['detection_summaries'] = target_runner.summarise_detections(records, score)
    return result


def _recorded(plan: Plan, progress: bool) -> dict:
    """Judge pairs as they were recorded; the same content, about them."""
    pairs = datasets.recorded(plan.data)
    known = {pair.name for pair in pairs}
    masked = [] if plan.masks is None else Masks(plan.masks).names()
    if masked and not known & set(masked):
        raise FileError(
            f"{plan.masks}: no mask is of a pair of {plan.data}: expected '{pairs[0].name}' or another of "
            f"its names, found '{masked[0]}'"
        )
    strange = [f"{plan.masks}: '{name}' is no pair of {plan.data}" for name in masked if name not in known]
    chosen = datasets.select(pairs, plan.part, plan.limit)
    tasks = [(RecordedRunner.pair, (pair, plan.presets)) for pair in chosen]
    records = _found(plan, tasks, progress)
    order = [pair.name for pair in chosen]
    records.sort(key=lambda record: (plan.presets.index(record['preset']), order.index(record['pair'])))
    return {
        **_about(plan),
        'summaries': [],
        'records': [],
        'videos': [],
        'recorded': records,
        'recorded_summaries': recorded_runner.summarise(records, plan.data.name),
        'mask_problems': strange + recorded_runner.problems(records),
    }


def _about(plan: Plan) -> dict:
    """What was run, as a result says it."""
    return {
        'data': str(plan.data),
        'split': plan.part,
        'seed': plan.seed,
        'device': plan.device,
        'backbone': plan.backbone,
        'registration_first': plan.registration_first,
    }


def _found(plan: Plan, tasks: list[Task], progress: bool) -> list[dict]:
    found: list[dict] = []
    unit = 'video' if plan.video else 'pair'
    with cli.progress(total=len(tasks), unit=unit, desc=plan.data.name, disable=not progress) as bar:
        for records in _run_tasks(plan, tasks):
            found += records
            bar.update()
    return found


def _pair_tasks(plan: Plan) -> list[Task]:
    known = tuple(name for name in plan.protocols if name != protocols.NATURAL)
    tasks = []
    if known:
        pairs = datasets.select(datasets.aligned(plan.data), plan.part, plan.limit)
        tasks += [(Runner.pair, (pair, known)) for pair in pairs]
    if protocols.NATURAL in plan.protocols:
        pairs = datasets.select(datasets.natural(plan.data), plan.part, plan.limit)
        tasks += [(Runner.pair, (pair, (protocols.NATURAL,))) for pair in pairs]
    return tasks


def _video_tasks(plan: Plan) -> list[Task]:
    clips = datasets.videos(datasets.select(datasets.aligned(plan.data), plan.part))
    return [
        (Runner.video, (name, frames[: plan.limit], protocol))
        for name, frames in clips.items()
        for protocol in plan.protocols
    ]


def _run_tasks(plan: Plan, tasks: list[Task]) -> Iterator[list[dict]]:
    if plan.jobs == 1:
        runner = plan.runner()
        for method, arguments in tasks:
            yield method(runner, *arguments)
        return
    # spawn, because the threads of OpenCV and torch do not survive a fork
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(plan.jobs, context, _start_worker, (plan,)) as pool:
        try:
            for future in as_completed([pool.submit(_work, task) for task in tasks]):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_runner: Runner | TargetRunner | RecordedRunner | None = None


def _start_worker(plan: Plan) -> None:
    global _runner
    _runner = plan.runner()


def _work(task: Task) -> list[dict]:
    method, arguments = task
    return method(_runner, *arguments)


def _summaries(plan: Plan, records: list[dict]) -> list[dict]:
    summaries = []
    for protocol in plan.protocols:
        for preset in plan.presets:
            chosen = [
                found for found in records if (found['preset'], found['protocol']) == (preset, protocol)
            ]
            summary = {
                'preset': preset,
                'protocol': protocol,
                **registration.summarise(chosen),
                'confidence': float(np.mean([record['confidence'] for record in chosen])),
                'confidence_rank': registration.rank_correlation(
                    [record['confidence'] for record in chosen],
                    [-record['endpoint_error'] for record in chosen],
                ),
                'milliseconds': spread([record['milliseconds'] for record in chosen]),
            }
            if plan.fusion:
                summary['fusion'] = fusion.summarise([record['fusion'] for record in chosen])
            summaries.append(summary)
    return summaries

"""The state of the node as diagnostics."""

import os
import platform
import sys
from collections import Counter, deque
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from irvis_fusion_ros.calibration import ClockOffset
from irvis_fusion_ros.pairing import OTHER, Pairing
from irvis_fusion_ros.ros.camera import Camera
from irvis_fusion_ros.ros.gatherer import Gatherer
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.pipeline import Pipeline
from irvis_fusion_ros.ros.watch import Added, Watch
from irvis_fusion_ros.ros.worker import Worker

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
# Frames that were superseded are the nature of realtime; these are not.
_LOSSES = ('too_old', 'overflow')


class Health:
    """
    Makes diagnostics of the parts of an active node.

    Times are seconds: `steady` of the steady clock, `now` of the node's clock (which may be simulated, stand
    still or jump).
    """

    def __init__(
        self,
        name: str,
        cameras: dict[str, Camera],
        pairing: Pairing,
        worker: Worker,
        pipeline: Pipeline,
        watch: Watch,
        gatherer: Gatherer,
        clock: ClockOffset | None,
    ):
        self._name = name
        self._cameras = cameras
        self._pairing = pairing
        self._worker = worker
        self._pipeline = pipeline
        self._watch = watch
        self._gatherer = gatherer
        self._clock = clock
        self._rates: dict[str, _Rate] = {}
        self._new = Added()

    def statuses(self, now: float, steady: float, config: NodeConfig) -> list[DiagnosticStatus]:
        """Return the four statuses."""
        hardware = _hardware(self._pipeline.predictor.device)
        parts = {
            'inputs': self._inputs(now, steady, config),
            'pairing': self._pairing_status(now, steady, config),
            'inference': self._inference(now, config),
            'output': self._output(now, steady),
        }
        return [
            DiagnosticStatus(
                level=level,
                name=f'{self._name}: {part}',
                message=message,
                hardware_id=hardware,
                values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
            )
            for part, (level, message, values) in parts.items()
        ]

    def _inputs(self, now: float, steady: float, config: NodeConfig) -> tuple:
        level, words, values = OK, [], {}
        mixed, too_much = self._watch.mixed(), self._watch.too_much(steady)
        for name, camera in self._cameras.items():
            rate = self._rate(f'{name} images', now, camera.counts['received'])
            silence = self._watch.silent_for(name, steady)
            new = self._new(f'{name} trouble', Counter(camera.counts) + Counter(lost=camera.image.lost))
            new.pop('received', None)
            if self._watch.paused:
                words.append(f'{name} disabled')
            elif new:  # said first: a camera whose images come and are refused is not missing
                level = max(level, ERROR if silence > config.missing_after else WARN)
                words.append(f'{name} images not used: {_listed(new)}')
            elif silence > config.missing_after:
                level = max(level, ERROR)
                words.append(f'{name} camera is missing')
            elif camera.image.incompatible:
                level = max(level, WARN)
                words.append(f'{name} QoS incompatible')
            elif name in mixed:
                level = max(level, WARN)
                words.append(f'{name} publishers mix')
            elif name in too_much:
                level = max(level, WARN)
                words.append(f'{name} sends too much')
            else:
                words.append(f'{name} {rate:.1f} Hz')
            if camera.info_problem:
                level = max(level, WARN)
                words.append(f'{name} camera_info {camera.info_problem}')
            refused = Counter(camera.counts)
            values |= {
                f'{name} topic': camera.image.topic,
                f'{name} rate [Hz]': f'{rate:.2f}',
                f'{name} received': refused.pop('received', 0),
                f'{name} lost on the way': camera.image.lost,
                f'{name} refused': _listed(refused),
                f'{name} last refusal': camera.last_refusal,
                f'{name} format': self._pipeline.describe_format(name),
                f'{name} format changes': self._pipeline.format_changes[name],
                f'{name} publishers': camera.image.publishers,
                f'{name} reliability': 'reliable' if camera.image.reliable else 'best effort',
                f'{name} mixed': mixed.get(name, 'no'),
                f'{name} too much': too_much.get(name, 'no'),
                f'{name} camera_info': 'yes' if camera.info else camera.info_problem or 'no',
            }
        return level, ', '.join(words), values

    def _pairing_status(self, now: float, steady: float, config: NodeConfig) -> tuple:
        pairing, counts = self._pairing, self._pairing.counts
        pairs = counts['visible']['paired']
        rate = self._rate('pairs', now, pairs)
        dt = sorted(abs(value) for value in list(pairing.recent_dt))
        mean = 1e3 * sum(dt) / len(dt) if dt else None
        lag = pairing.lag()
        values = {
            'pairs': pairs,
            'rate [Hz]': f'{rate:.2f}',
            'mean |dt| [ms]': _number(mean),
            'p95 |dt| [ms]': _number(1e3 * dt[int(0.95 * (len(dt) - 1))] if dt else None),
            'thermal offset [s]': self._offset(config),
            'thermal lag [s]': _number(lag, 4),
            'clock jumps': pairing.jumps,
        }
        for name in self._cameras:
            drops = Counter(counts[name])
            for key in ('received', 'paired', 'alone'):
                drops.pop(key, None)
            values |= {
                f'{name} waiting': pairing.waiting(name),
                f'{name} alone': counts[name]['alone'],
                f'{name} dropped': _listed(drops),
            }
        if self._watch.paused:
            return OK, 'disabled', values
        if self._watch.stalled_for(steady) < config.diagnostics.no_pair_after:
            return OK, f'{rate:.1f} pairs/s, mean |dt| {_number(mean)} ms', values
        return WARN, self._watch.no_pair(steady, config), values

    def _inference(self, now: float, config: NodeConfig) -> tuple:
        pipeline, statistics = self._pipeline, self._pipeline.statistics
        errors = self._new('errors', Counter(error=self._worker.counts['error']))
        notes = self._new('notes', pipeline.notes)
        rate = self._rate('fused', now, pipeline.counts['fused'])
        milliseconds = statistics.percentiles('predictor', 50, 95, 99)
        confidence = statistics.percentiles('confidence', 50)
        values = {
            'mode': config.mode,
            **pipeline.predictor.running,
            'fused': pipeline.counts['fused'],
            'passed through': pipeline.counts['passed_through'],
            'rate [Hz]': f'{rate:.2f}',
            'predictor p50/p95/p99 [ms]': _numbers(milliseconds),
            'confidence': _number(statistics.last('confidence')),
            'confidence p50': _number(confidence and confidence[0]),
            'alignment from': _listed(pipeline.sources),
            'notes': _listed(pipeline.notes),
            'rig': self._gatherer.progress(),
            'errors': self._worker.counts['error'],
            'memory [MB]': _number(_resident_megabytes(), 0),
            'GPU memory [MB]': _number(_gpu_megabytes(pipeline.predictor.device), 0),
        }
        if errors:
            return ERROR, f'{errors["error"]} frames failed, see the log', values
        if config.calibration.source == 'camera_info' and pipeline.calibration_problem:
            return WARN, f'no calibration: {pipeline.calibration_problem}', values
        if notes:
            return WARN, _listed(notes), values
        return OK, f'{rate:.1f} frames/s on {pipeline.predictor.device}', values

    def _output(self, now: float, steady: float) -> tuple:
        pipeline, worker = self._pipeline, self._worker
        statistics = pipeline.statistics
        published = pipeline.outputs.counts
        age = statistics.percentiles('age', 50, 95)
        drops = Counter(worker.counts) + Counter(pipeline.counts)
        for outcome in ('submitted', 'done', 'error', 'fused', 'passed_through'):
            drops.pop(outcome, None)
        losses = {cause: count for cause, count in self._new('drops', drops).items() if cause in _LOSSES}
        wanted = pipeline.outputs.wanted()
        rivals = self._watch.rivals(steady)
        values = {
            'age p50/p95 [s]': _numbers(age, 4),
            'end to end p50/p95/p99 [ms]': _numbers(statistics.percentiles('end_to_end', 50, 95, 99)),
            'overhead p50/p95/p99 [ms]': _numbers(statistics.percentiles('overhead', 50, 95, 99)),
            'of which waiting p50/p95/p99 [ms]': _numbers(statistics.percentiles('waited', 50, 95, 99)),
            'jobs': worker.counts['submitted'],
            'waiting': worker.waiting,
            'dropped': _listed(drops),
            'subscribed': ', '.join(sorted(wanted)) or 'nothing',
            'published': _listed(published),
            'also published by': rivals or 'nobody',
        }
        missing = [name for name in self._cameras if self._pairing.absent == name]
        if missing:
            return (
                WARN,
                f'{missing[0]} camera is missing: {OTHER[missing[0]]} images are passed through',
                values,
            )
        if losses:
            return WARN, f'dropped: {_listed(losses)}', values
        if rivals:
            return WARN, rivals, values
        if not wanted:
            return OK, 'nobody is subscribed: nothing is computed', values
        return OK, f'age p50 {_number(age and age[0])} s', values

    def _offset(self, config: NodeConfig) -> str:
        offset, clock = config.sync.thermal_offset, self._clock
        of_file = clock is not None and clock.seconds == offset
        return f'{offset:.4f}, of calibration.file (+- {clock.error:.4f})' if of_file else f'{offset:.4f}'

    def _rate(self, key: str, now: float, count: int) -> float:
        return self._rates.setdefault(key, _Rate()).update(now, count)


class _Rate:
    """Events per second of the node's clock over the last few reports; zero while that clock stands still."""

    def __init__(self):
        self._reports: deque[tuple[float, int]] = deque(maxlen=6)

    def update(self, now: float, count: int) -> float:
        if self._reports and now < self._reports[-1][0]:
            self._reports.clear()  # simulated time began again
        self._reports.append((now, count))
        (first, before), (last, after) = self._reports[0], self._reports[-1]
        return (after - before) / (last - first) if last > first else 0.0


def _listed(counts: Any) -> str:
    return ', '.join(f'{name} {count}' for name, count in sorted(counts.items()) if count) or 'none'


def _number(value: float | None, digits: int = 2) -> str:
    return 'unknown' if value is None else f'{value:.{digits}f}'


def _numbers(values: list[float] | None, digits: int = 2) -> str:
    return 'unknown' if values is None else ' / '.join(_number(value, digits) for value in values)


def _hardware(device: str) -> str:
    if device.startswith('cuda') and 'torch' in sys.modules:
        return sys.modules['torch'].cuda.get_device_name(device)
    return platform.machine() or 'cpu'


def _resident_megabytes() -> float | None:
    try:
        with open('/proc/self/statm') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE') / 1e6
    except OSError:
        return None


def _gpu_megabytes(device: str) -> float | None:
    if not device.startswith('cuda') or 'torch' not in sys.modules:
        return None
    return sys.modules['torch'].cuda.memory_reserved(device) / 1e6

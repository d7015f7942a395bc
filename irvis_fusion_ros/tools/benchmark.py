"""
`benchmark --preset P --size WxH --device D --json F`: how long the compute path takes, and what it needs.

Two paths are timed, each after a warm-up of its own: `cold` (every pair on its own) and `tracked` (a video,
where earlier frames help). The baseline, by default no registration and fusion by average, runs on the same
images in the same process. The JSON file:

    preset, backbone, registration_first, backend, device, size, thermal_size, input, frames, outputs, machine
                    what was run, and where; backbone is null where there is none to choose
    cold, tracked   p50_ms, p99_ms, mean_ms, frames_per_second, processor_ms (median over the frames of what
                    all threads take; other processes hardly change it), warm_up_ms (the first call),
                    stages_ms (median by stage; targets are looked for beside fusion), confidence (median)
                    and, for the made-up input, endpoint_error_px (median over the frames)
    baseline        preset, backbone, device and the same two
    ratio           cold and tracked p50 over those of the baseline
    network         parameters, and gmacs of a cold pair: registration and fusion; null where torch runs none
    memory          rss_before_mib, rss_peak_mib (of the process, before the baseline runs), gpu_peak_mib
                    (what torch allocated there; null on the CPU)
"""

import argparse
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros import cli
from irvis_fusion_ros.data import datasets, synthetic
from irvis_fusion_ros.errors import FileError, ImageError
from irvis_fusion_ros.evaluation import baselines
from irvis_fusion_ros.evaluation.metrics import registration
from irvis_fusion_ros.io import images
from irvis_fusion_ros.predictor import OUTPUTS, FusionResult, Predictor
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import SystemConfig

# Made-up frames kept in memory; a longer run goes through them again, back and forth.
KEPT = 2 * synthetic.SWEEP

Frames = Sequence[tuple[np.ndarray, np.ndarray]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(argv)
    return cli.guarded('benchmark', lambda: _run(options))


def measure(
    predictor: Predictor,
    frames: Frames,
    count: int,
    outputs: frozenset[str] = OUTPUTS,
    error: Callable[[np.ndarray, np.ndarray], float] | None = None,
    title: str = '',
) -> dict:
    """
    Time `count` calls of a predictor on frames, used again from the start when they run out.

    error: endpoint error of (deformation, transform), not timed. Returns what the module docstring lists.
    """
    start = time.perf_counter()
    predictor(*frames[0], outputs=outputs)
    warm_up = time.perf_counter() - start
    for frame in frames[:2]:
        predictor(*frame, outputs=outputs)
    seconds, processor, stages, confidences, errors = [], [], [], [], []
    for index in cli.progress(range(count), unit='frame', desc=title):
        thermal, visible = frames[index % len(frames)]
        start, taken = time.perf_counter(), time.process_time()
        result = predictor(thermal, visible, outputs=outputs)
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - taken)
        stages.append(result.timing)
        _check_device(result)
        confidences.append(result.confidence)
        if error is not None and result.deformation is not None:
            errors.append(error(result.deformation, result.transform))
    milliseconds = np.array(seconds) * 1e3
    found = {
        'p50_ms': float(np.percentile(milliseconds, 50)),
        'p99_ms': float(np.percentile(milliseconds, 99)),
        'mean_ms': float(milliseconds.mean()),
        'frames_per_second': float(1e3 / milliseconds.mean()),
        'processor_ms': float(np.median(processor) * 1e3),
        'warm_up_ms': warm_up * 1e3,
        'stages_ms': {name: float(np.median([laps[name] for laps in stages])) for name in stages[-1]},
        'confidence': float(np.median(confidences)),
    }
    if errors:
        found['endpoint_error_px'] = float(np.median(errors))
    return found


def _run(options: argparse.Namespace) -> int:
    frames, error = _folder(options.folder) if options.folder else _made_up(options)
    before = _rss_peak_mib()
    try:
        targets = {'targets': options.targets, 'highlight': options.highlight}
        found = _both_paths(options.system, frames, options, error, **targets)
        cold = Predictor(options.system, temporal=False, **targets)
        memory = {
            'rss_before_mib': before,
            'rss_peak_mib': _rss_peak_mib(),
            'gpu_peak_mib': _gpu_peak_mib(cold.device),
        }
        baseline = _both_paths(options.compared, frames, options, error)
    except ImageError as problem:
        raise FileError(f'{options.folder or "--size"}: {problem}') from problem
    thermal, visible = frames[0]
    result = {
        'preset': cold.preset,
        'backbone': cold.backbone,
        'registration_first': cold.config.registration_first,
        'backend': cold.backend,
        'targets': options.targets,
        'device': cold.device,
        'size': list(visible.shape[1::-1]),
        'thermal_size': list(thermal.shape[1::-1]),
        'input': str(options.folder) if options.folder else 'made up',
        'frames': options.frames,
        'outputs': sorted(options.outputs),
        **found,
        'baseline': {
            'preset': options.compared.preset,
            'backbone': options.compared.backbone,
            'device': options.compared.device,
            **baseline,
        },
        'ratio': {path: found[path]['p50_ms'] / baseline[path]['p50_ms'] for path in found},
        'network': _network(cold, thermal, visible),
        'memory': memory,
        'machine': _machine(),
    }
    print(_text(result))
    if options.json:
        cli.write_json(options.json, result)
    return 0


def _check_device(result: FusionResult) -> None:
    """Raise FileError where a GPU was given up: the times would be those of the CPU."""
    for note in result.notes:
        if note.code == 'gpu_failed':
            raise FileError(note.text)


def _network(cold: Predictor, thermal: np.ndarray, visible: np.ndarray) -> dict | None:
    if cold.network is None or cold.backend != 'torch':
        return None
    from irvis_fusion_ros.backends import flops

    # on a GPU the first call runs several times, to record it
    predictor = Predictor(cold.config.on_cpu(), temporal=False, targets='off')
    parameters, gmacs = flops.count(predictor.network, lambda: predictor(thermal, visible))
    return {'parameters': parameters, 'gmacs': gmacs}


def _both_paths(
    system: SystemConfig, frames: Frames, options: argparse.Namespace, error, **targets: str
) -> dict:
    found = {}
    for path, temporal in (('cold', False), ('tracked', True)):
        predictor = Predictor(system, temporal=temporal, **targets)
        title = f'{system.preset} {path}'
        found[path] = measure(predictor, frames, options.frames, options.outputs, error, title)
    return found


def _made_up(options: argparse.Namespace):
    shapes = [size[::-1] for size in (options.size, options.thermal_size or options.size)]
    rig = synthetic.Rig(*shapes)
    count = min(KEPT, options.frames)
    frames = [rig.frame(index) for index in cli.progress(range(count), unit='frame', desc='make input')]
    _, shown = rig.known.truth()

    def error(deformation: np.ndarray, transform: np.ndarray) -> float:
        field = registration.extrapolate(registration.Registration(deformation, transform))
        return float(registration.endpoint_errors(rig.known, field)[shown].mean())

    return frames, error


def _folder(folder: Path):
    pairs = datasets.recorded(folder)
    frames = [
        (images.read(pair.thermal), images.read(pair.visible))
        for pair in cli.progress(datasets.select(pairs, limit=KEPT), unit='pair', desc='read')
    ]
    return frames, None


def _text(result: dict) -> str:
    width, height = result['size']
    thermal_width, thermal_height = result['thermal_size']
    title = result['preset']
    if result['backbone']:
        title += f' ({result["backbone"]})'
    lines = [
        f'{title} on {result["device"]}, visible {width}x{height}, '
        f'thermal {thermal_width}x{thermal_height}, {result["frames"]} frames ({result["input"]})',
        f'{"":22}{"p50 ms":>9}{"p99 ms":>9}{"processor ms":>14}{"frames/s":>10}{"warm-up ms":>12}'
        f'{"error px":>10}',
    ]
    for title, found in ((result['preset'], result), ('baseline', result['baseline'])):
        for path in ('cold', 'tracked'):
            row = found[path]
            error = f'{row["endpoint_error_px"]:10.2f}' if 'endpoint_error_px' in row else f'{"-":>10}'
            lines.append(
                f'{title + " " + path:22}{row["p50_ms"]:9.1f}{row["p99_ms"]:9.1f}'
                f'{row["processor_ms"]:14.1f}{row["frames_per_second"]:10.1f}{row["warm_up_ms"]:12.1f}{error}'
            )
    for path in ('cold', 'tracked'):
        stages = ', '.join(f'{name} {value:.1f}' for name, value in result[path]['stages_ms'].items())
        lines.append(f'{path} stages, ms: {stages}')
    ratio, memory = result['ratio'], result['memory']
    lines.append(
        f'times the baseline ({result["baseline"]["preset"]}): cold {ratio["cold"]:.3g}, '
        f'tracked {ratio["tracked"]:.3g}'
    )
    if network := result['network']:
        lines.append(
            f'network: {network["parameters"] / 1e6:.2f} M parameters, {network["gmacs"]:.2f} GMACs cold'
        )
    gpu = '' if memory['gpu_peak_mib'] is None else f', GPU {memory["gpu_peak_mib"]:.0f} MiB'
    lines.append(
        f'memory: {memory["rss_peak_mib"]:.0f} MiB at the peak, {memory["rss_before_mib"]:.0f} before{gpu}'
    )
    return '\n'.join(lines)


def _rss_peak_mib() -> float:
    # kibibytes on Linux, bytes on macOS
    unit = 1024**2 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _gpu_peak_mib(device: str) -> float | None:
    if not device.startswith('cuda'):
        return None
    import torch  # here, so that presets without a network start without it

    return torch.cuda.max_memory_allocated(device) / 1024**2


def _machine() -> dict:
    return {
        'processor': platform.processor() or platform.machine(),
        'cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        'opencv_threads': cv2.getNumThreads(),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'opencv': cv2.__version__,
    }


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmark',
        description='Time the compute path of a preset, cold and tracked, and that of a baseline.',
        epilog='Without --folder the input is a made-up video of a rig with a known misalignment.',
    )
    parser.add_argument(
        '--preset',
        default='classical',
        metavar='P',
        help=f'{", ".join(registry.NAMES)} (default: classical)',
    )
    parser.add_argument('--size', type=cli.size, metavar='WxH', help='visible image (default: 640x512)')
    parser.add_argument(
        '--thermal-size', type=cli.size, metavar='WxH', help='thermal image (default: as --size)'
    )
    parser.add_argument(
        '--device', default='auto', metavar='D', help='auto, cpu, cuda or cuda:N (default: auto)'
    )
    parser.add_argument(
        '--baseline',
        default='identity',
        metavar='P',
        help='preset it is compared with, in the same run (default: identity, which registers nothing)',
    )
    cli.add_fusion_choices(parser)
    cli.add_backend(parser)
    cli.add_target_choices(parser)
    parser.add_argument('--json', type=cli.new_file, metavar='F', help='write the result here')
    parser.add_argument(
        '--frames', type=cli.positive, default=100, metavar='N', help='calls timed (default: 100)'
    )
    parser.add_argument(
        '--outputs',
        nargs='+',
        choices=sorted(OUTPUTS),
        default=sorted(OUTPUTS),
        help='what is computed (default: everything)',
    )
    parser.add_argument(
        '--folder', type=Path, metavar='DATA', help='time on the pairs of a data set (ir/, vi/)'
    )
    options = parser.parse_args(argv)
    if options.folder and (options.size or options.thermal_size):
        parser.error('--size and --thermal-size are for made-up input, not for --folder')
    options.size = options.size or (640, 512)
    options.outputs = frozenset(options.outputs)
    try:
        options.system = cli.chosen_system(options, baselines.PRESETS)
        # baselines have no path to a GPU, whatever is asked for
        device = 'cpu' if options.baseline in baselines.BASELINES else options.device
        options.compared = SystemConfig(
            options.baseline, device, registration_first='none', presets=baselines.PRESETS
        )
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == '__main__':
    sys.exit(main())

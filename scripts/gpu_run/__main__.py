"""
Check, time and train on a machine with an NVIDIA GPU and no network.

Leaves in OUT: log.txt (everything that was printed, and tracebacks), benchmark.json, and for each run of
training NAME.tar with weights, curve, log and checkpoint, in parts NAME.tar.1 ... where that is too large.
`--resume OUT` goes on from there. The exit code is 1 if anything failed.
"""

import argparse
import platform
import sys
from pathlib import Path

import bundles
import checks
import commands
import cv2
import numpy as np
import pairs
import timing
import torch
import training
from report import Report

from irvis_fusion_ros.training.data.pack import Item, save

STEPS = ('checks', 'benchmark', 'train')


def main() -> int:
    """Run the steps."""
    options = _parse()
    options.out.mkdir(parents=True, exist_ok=True)
    report = Report(options.out / 'log.txt', options.until)
    report.say(_machine(options.device))
    if options.device == 'cuda' and not torch.cuda.is_available():
        report.line('FAIL', 'device', 'torch finds no GPU; --device cpu rehearses without one')
        return 1
    device = 'cpu' if options.device == 'cpu' else 'cuda:0'
    chosen = checks.cases(options.preset)
    if 'checks' in options.only:
        sizes = checks.QUICK if options.quick else checks.Sizes()
        flown = pairs.flown(2 if options.quick else 6, sizes.size)
        report.say('\nchecks')
        checks.run(report, chosen, flown, device, sizes)
        if not options.preset:
            training.every_system(report, _pack(flown, options.work), device, options.work)
    if 'benchmark' in options.only:
        report.say('\nbenchmark')
        timing.run(report, chosen, device, options.quick, options.out, options.work)
    if 'train' in options.only and options.train:
        report.say('\ntrain')
        runs = (options.train, options.data, device, options.work / 'runs', options.resume, options.margin)
        folders = training.run(report, *runs)
        left = options.files - sum(path.is_file() for path in options.out.rglob('*'))
        limits = bundles.Limits(left, int(options.file_mib * 2**20), int(options.total_mib * 2**20))
        for line in bundles.pack(folders, options.out, limits):
            report.say(line)
    report.say('\n' + ', '.join(f'{count} {verdict}' for verdict, count in report.counts.items()))
    return 1 if report.counts['FAIL'] else 0


def _machine(device: str) -> str:
    gpu = 'no GPU'
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu = f'{properties.name}, {properties.total_memory / 2**30:.0f} GiB, compute {properties.major}.'
        gpu += f'{properties.minor}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}'
    return (
        f'Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}, '
        f'OpenCV {cv2.__version__}, {commands.cores()} cores\n{gpu}\n{training.gpu_use()}\ndevice {device}'
    )


def _pack(flown: list[pairs.Pair], work: Path) -> Path:
    """Write a small training set of aligned pairs."""
    items = []
    for index, pair in enumerate(flown * 2):
        part = 'train' if index < len(flown) else 'val'
        visible = cv2.cvtColor(pair.visible, cv2.COLOR_BGR2GRAY)
        items.append(Item(f'flight/{index}', f'flight/{index}', part, pair.aligned, visible))
    save(work / 'pack.npz', items)
    return work / 'pack.npz'


def _parse() -> argparse.Namespace:
    summary, _, details = __doc__.strip().partition('\n\n')
    parser = argparse.ArgumentParser(prog='scripts/gpu', description=summary, epilog=details)
    parser.add_argument(
        '--wheels', metavar='DIR', help='wheels of what this Python lacks: kornia, rosbags and what they need'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('gpu_out'), metavar='DIR', help='folder of the results (gpu_out)'
    )
    parser.add_argument(
        '--only', action='append', choices=STEPS, help='only this step; may be given again (default: all)'
    )
    parser.add_argument(
        '--device', choices=('cuda', 'cpu'), default='cuda', help='cpu: rehearse without a GPU'
    )
    parser.add_argument('--quick', action='store_true', help='small images and few frames')
    parser.add_argument(
        '--preset',
        action='append',
        default=[],
        metavar='P',
        help='check and time only this one, as it is called in the report; may be given again',
    )
    parser.add_argument(
        '--until',
        type=float,
        default=float('inf'),
        metavar='S',
        help='seconds from the start of the script; no check is begun and nothing is trained after them',
    )
    parser.add_argument(
        '--margin', type=float, default=30, metavar='S', help='seconds of those kept for saving a run (30)'
    )
    parser.add_argument(
        '--train',
        action='append',
        default=[],
        type=_run,
        metavar='SYSTEM:CONFIG[:START]',
        help='train this; several are trained at the same time',
    )
    parser.add_argument(
        '--data', nargs='+', type=Path, default=[], metavar='PACK', help='what is learned from'
    )
    parser.add_argument('--resume', type=Path, metavar='DIR', help='go on with the runs of an earlier OUT')
    parser.add_argument('--files', type=int, default=8, metavar='N', help='files in OUT at most (8)')
    parser.add_argument('--file-mib', type=float, default=16, metavar='M', help='size of each at most (16)')
    parser.add_argument('--total-mib', type=float, default=64, metavar='M', help='size of all at most (64)')
    parser.add_argument('--work', type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.only = options.only or STEPS
    known = {case.name for case in checks.cases([])}
    if unknown := set(options.preset) - known:
        parser.error(f'unknown --preset {", ".join(unknown)}; valid: {", ".join(sorted(known))}')
    if options.train and not options.data:
        parser.error('--train needs --data')
    if len({run.name for run in options.train}) < len(options.train):
        parser.error('two runs have one name: give their configurations names of their own')
    return options


def _run(text: str) -> training.Run:
    try:
        return training.parsed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == '__main__':
    sys.exit(main())

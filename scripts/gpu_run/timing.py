"""Times every preset with `irvis benchmark`, and FusionRegister beside its plain equations."""

import json
import sys
from pathlib import Path

import commands
from checks import Case
from report import Outcome, Report

# What a preset is compared with in the same run, unless it is the one that does nothing.
BASELINES = {'swift_lite': 'classical', 'fusion_register': 'unregistered'}
SIZE, SIZES = '640x512', {'fusion_register': '640x480'}
QUICK = '160x128'
COLUMNS = {
    'preset': 30,
    'size': 9,
    'device': 8,
    'cold p50': 10,
    'p99': 8,
    'tracked p50': 13,
    'p99 ': 8,
    'warm-up': 9,
    'error px': 10,
    'GPU MiB': 9,
    'GMACs': 8,
}


def run(report: Report, chosen: list[Case], device: str, quick: bool, out: Path, work: Path) -> None:
    """Time the presets one after the other, print a table and write OUT/benchmark.json."""
    results: list[dict] = []
    for case in chosen:
        report.check(
            f'{case.name} benchmark', lambda case=case: _timed(report, case, device, quick, work, results)
        )
    if any(case.preset == 'fusion_register' for case in chosen):
        report.check('fusion_register plain equations', lambda: _plain(report, device, quick))
    if results:
        (out / 'benchmark.json').write_text(json.dumps(results, indent=1) + '\n')
        report.say('\nmilliseconds:\n' + '\n'.join([_header(), *map(_row, results)]) + '\n')


def _timed(report: Report, case: Case, device: str, quick: bool, work: Path, results: list[dict]) -> Outcome:
    size = QUICK if quick else SIZES.get(case.preset, SIZE)
    file = work / 'benchmark.json'
    file.unlink(missing_ok=True)
    options = [
        part for name, value in case.options.items() for part in (f'--{name.replace("_", "-")}', value)
    ]
    if case.preset in BASELINES:
        options += ['--baseline', BASELINES[case.preset]]
    command = commands.irvis(
        'benchmark', '--preset', case.preset, '--size', size, '--device', device, '--json', file,
        '--frames', 5 if quick else 100, *options,
    )  # fmt: skip
    code, text = commands.output_of(command, report.left)
    report.note(text)
    if code:
        return False, f'exit code {code}: {text.strip().splitlines()[-1:]}'
    result = json.loads(file.read_text())
    result['name'] = case.name
    results.append(result)
    return True, f'cold {result["cold"]["p50_ms"]:.2f} ms, tracked {result["tracked"]["p50_ms"]:.2f} ms'


def _plain(report: Report, device: str, quick: bool) -> Outcome:
    script = commands.REPOSITORY / 'test' / 'eager_fusion_register.py'
    size = QUICK if quick else SIZES['fusion_register']
    command = [sys.executable, str(script), '--size', size, '--device', device]
    code, text = commands.output_of([*command, '--turns', '2' if quick else '30'], report.left)
    report.note(text)
    lines = text.strip().splitlines()
    if code:
        return False, f'exit code {code}: {lines[-1:]}'
    return True, '; '.join(lines[1:])


def _header() -> str:
    cells = (f'{name.strip():>{width}}' for name, width in COLUMNS.items())
    return ''.join(cells) + '  baseline: cold, tracked'


def _row(result: dict) -> str:
    cold, tracked, baseline = result['cold'], result['tracked'], result['baseline']
    cells = (
        result['name'],
        'x'.join(map(str, result['size'])),
        result['device'],
        _number(cold['p50_ms']),
        _number(cold['p99_ms']),
        _number(tracked['p50_ms']),
        _number(tracked['p99_ms']),
        _number(cold['warm_up_ms'], 0),
        _number(cold.get('endpoint_error_px')),
        _number(result['memory']['gpu_peak_mib'], 0),
        _number((result['network'] or {}).get('gmacs')),
    )
    row = ''.join(f'{cell:>{width}}' for cell, width in zip(cells, COLUMNS.values(), strict=True))
    times = ', '.join(_number(baseline[path]['p50_ms']) for path in ('cold', 'tracked'))
    return f'{row}  {baseline["preset"]} on {baseline["device"]}: {times}'


def _number(value: float | None, digits: int = 2) -> str:
    return '-' if value is None else f'{value:.{digits}f}'

"""
Trains several systems at the same time on one GPU, each in a process of its own, until a given time, and
goes on where an earlier run ended.
"""

import csv
import math
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import bundles
import commands
import yaml
from report import Outcome, Report

CONFIGS = commands.REPOSITORY / 'config'
STEP = re.compile(r'step (\d+) of (\d+)')
# Seconds that a run gets to finish its step and to save; those from one look at the GPU to the next; and how
# long the first steps of every system may take.
SAVING, LOOK, LONGEST = 60, 60, 300


@dataclass(frozen=True)
class Run:
    """One `--train`: a system, its configuration, and the weights that it begins with, or None."""

    system: str
    config: Path
    start: Path | None = None

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return self.config.stem if self.system in self.config.stem else f'{self.system}_{self.config.stem}'


def parsed(text: str) -> Run:
    """Return the run that SYSTEM:CONFIG or SYSTEM:CONFIG:START names. Raises ValueError."""
    parts = text.split(':')
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"'{text}' is not SYSTEM:CONFIG or SYSTEM:CONFIG:START")
    paths = [Path(part) for part in parts[1:]]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"'{text}': there is no file {path}")
    return Run(parts[0], *paths)


@dataclass(frozen=True)
class Running:
    """
    A run in its folder, and its process, None where no time was left for one.

    logged: bytes of its log that are of earlier runs.
    """

    run: Run
    folder: Path
    process: subprocess.Popen | None
    logged: int


def run(
    report: Report,
    runs: list[Run],
    data: list[Path],
    device: str,
    folder: Path,
    resume: Path | None,
    margin: float,
) -> list[Path]:
    """Train until the time is up but for `margin` seconds; returns the folders of the runs."""
    end = time.monotonic() + report.left - margin
    threads = max(1, commands.cores() // len(runs))
    running = []
    for each in runs:
        into = folder / each.name
        into.mkdir(parents=True)
        resumed = resume is not None and bundles.restore(resume, each.name, into)
        report.say(f'training {each.name}{", resumed" if resumed else ""}')
        running.append(_started(each, data, device, into, (end - time.monotonic()) / 60, threads))
    _wait(report, running, end)
    for each in running:
        report.check(f'train {each.run.name}', lambda each=each: _outcome(report, each), always=True)
    return [each.folder for each in running]


def every_system(report: Report, pack: Path, device: str, work: Path) -> None:
    """Check two steps of every stage of every system, all at the same time."""
    folder = work / 'steps'
    folder.mkdir()
    running = []
    # SYSTEM.VARIANT is another size of a system
    configs = sorted(path for path in CONFIGS.glob('train_*.yaml') if '.' not in path.stem)
    for path in configs:
        system = path.stem.removeprefix('train_')
        config = folder / path.name
        config.write_text(yaml.safe_dump(shortened(yaml.safe_load(path.read_text(encoding='utf-8')))))
        into = folder / system
        into.mkdir()
        threads = max(1, commands.cores() // len(configs))
        running.append(_started(Run(system, config), [pack], device, into, report.left / 60, threads))
    _wait(report, running, time.monotonic() + max(0, min(report.left, LONGEST)))
    for each in running:
        report.check(
            f'{each.run.system} steps of training', lambda each=each: _finished(report, each), always=True
        )


def shortened(config: dict) -> dict:
    """Return a configuration with two steps of every stage, on few small crops."""
    recipe = {key: 2 if key.endswith('steps') else value for key, value in config.get('recipe', {}).items()}
    small = {
        'batch': 2,
        'height': 96,
        'width': 96,
        'validation_batches': 1,
        'validate_every': 2,
        'log_every': 1,
    }
    return {**config, **small, 'precision': 'auto', 'recipe': recipe}


def _started(each: Run, data: list[Path], device: str, into: Path, minutes: float, threads: int) -> Running:
    path = into / 'log.txt'
    logged = path.stat().st_size if path.is_file() else 0
    if minutes <= 0:
        return Running(each, into, None, logged)
    command = commands.irvis(
        'train', each.system, '--config', each.config, '--data', *data, '--device', device, '--out', into,
        *(('--start', each.start) if each.start else ()),
        *(('--minutes', f'{minutes:.3f}') if math.isfinite(minutes) else ()),
    )  # fmt: skip
    with path.open('a') as log:
        process = subprocess.Popen(
            command, env=commands.environment(threads), stdout=log, stderr=subprocess.STDOUT
        )
    return Running(each, into, process, logged)


def _wait(report: Report, running: list[Running], end: float) -> None:
    """Wait for processes; those that still run at `end` are asked to save and stop, and then ended."""
    processes = [each.process for each in running if each.process is not None]
    looked = time.monotonic()
    try:
        while any(process.poll() is None for process in processes) and time.monotonic() < end:
            time.sleep(0.2)
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                report.say(f'  {report.left:.0f} s left, {gpu_use()}')
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        last = time.monotonic() + SAVING
        for process in processes:
            process.wait(max(0, last - time.monotonic()))
    except subprocess.TimeoutExpired:
        report.say('a run did not save in time')
    finally:
        for process in processes:
            process.kill()
            process.wait()


def gpu_use() -> str:
    """Return one line on what the GPU does, or that there is none to ask."""
    if shutil.which('nvidia-smi') is None:
        return 'no nvidia-smi'
    query = 'name,driver_version,utilization.gpu,memory.used,memory.total,clocks.sm'
    _, text = commands.output_of(['nvidia-smi', f'--query-gpu={query}', '--format=csv,noheader'], 20)
    return ' / '.join(text.strip().splitlines())


def _outcome(report: Report, each: Running) -> Outcome:
    if each.process is None:
        return None, 'no time is left'
    text = (each.folder / 'log.txt').read_bytes()[each.logged :].decode(errors='replace')
    lines = [line for line in text.replace('\r', '\n').splitlines() if line.strip()]
    report.note('\n'.join(lines[-30:]))
    checkpoint = each.folder / 'checkpoint.pt'
    # stopped by --minutes, or by the signal
    if each.process.returncode not in (0, 128 + signal.SIGTERM) or not checkpoint.is_file():
        return False, f'exit code {each.process.returncode}: {lines[-1] if lines else ""}'
    steps = [found for line in lines for found in STEP.findall(line)]
    figures = f'step {steps[0][0]} to {steps[-1][0] if len(steps) > 1 else "the end"} of {steps[0][1]}'
    for series, value in _last_values(each.folder / 'curve.csv').items():
        figures += f', {series} {value}'
    return True, f'{figures}, checkpoint {checkpoint.stat().st_size / 2**20:.1f} MiB'


def _finished(report: Report, each: Running) -> Outcome:
    """As `_outcome`, but the run has to come to its end."""
    passed, figures = _outcome(report, each)
    return passed and 'to the end' in figures, figures


def _last_values(curve: Path) -> dict[str, str]:
    """Return the last value of what validation watches."""
    found = {}
    if curve.is_file():
        with curve.open(newline='') as file:
            for row in csv.DictReader(file):
                if row['series'] in ('train/total', 'val/endpoint_error', 'val/identity_error', 'val/psnr'):
                    found[row['series']] = row['value']
    return found

"""
Trains several systems at the same time on one GPU, each in a process of its own, until a given time, and
goes on where an earlier run ended.
"""

import csv
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
# Seconds that a run gets to finish its step and to save; seconds from one look at the GPU to the next.
SAVING, LOOK = 60, 60


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
    folders = [folder / each.name for each in runs]
    threads = max(1, commands.cores() // len(runs))
    processes = []
    for each, into in zip(runs, folders, strict=True):
        into.mkdir(parents=True)
        resumed = resume is not None and bundles.restore(resume, each.name, into)
        report.say(f'training {each.name}{", resumed" if resumed else ""}')
        processes.append(_started(each, data, device, into, (end - time.monotonic()) / 60, threads))
    _wait(report, processes, end)
    for each, into, process in zip(runs, folders, processes, strict=True):
        report.check(
            f'train {each.name}',
            lambda each=each, into=into, p=process: _outcome(report, each, into, p),
            True,
        )
    return folders


def every_system(report: Report, pack: Path, device: str, work: Path) -> None:
    """Check two steps of every stage of every system, all at the same time."""
    folder = work / 'steps'
    folder.mkdir()
    processes, runs = [], []
    for path in sorted(CONFIGS.glob('train_*.yaml')):
        system = path.stem.removeprefix('train_')
        config = folder / path.name
        config.write_text(yaml.safe_dump(shortened(yaml.safe_load(path.read_text(encoding='utf-8')))))
        into = folder / system
        into.mkdir()
        runs.append((Run(system, config), into))
        processes.append(_started(runs[-1][0], [pack], device, into, 10, max(1, commands.cores() // 6)))
    _wait(report, processes, time.monotonic() + max(0, min(report.left, 300)))
    for (each, into), process in zip(runs, processes, strict=True):
        report.check(
            f'{each.system} steps of training',
            lambda r=each, into=into, p=process: _finished(report, r, into, p),
            True,
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


def _started(
    each: Run, data: list[Path], device: str, into: Path, minutes: float, threads: int
) -> subprocess.Popen | None:
    if minutes <= 0:
        return None
    command = commands.irvis(
        'train', each.system, '--config', each.config, '--data', *data, '--device', device, '--out', into,
        '--minutes', f'{minutes:.3f}', *(('--start', each.start) if each.start else ()),
    )  # fmt: skip
    with (into / 'log.txt').open('a') as log:
        return subprocess.Popen(
            command, env=commands.environment(threads), stdout=log, stderr=subprocess.STDOUT
        )


def _wait(report: Report, processes: list[subprocess.Popen | None], end: float) -> None:
    """Wait for processes; those that still run at `end` are asked to save and stop, and then ended."""
    running = [process for process in processes if process is not None]
    looked = time.monotonic()
    try:
        while any(process.poll() is None for process in running) and time.monotonic() < end:
            time.sleep(0.2)
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                report.say(f'  {report.left:.0f} s left, {gpu_use()}')
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(SAVING)
    except subprocess.TimeoutExpired:
        report.say('a run did not save in time')
    finally:
        for process in running:
            process.kill()
            process.wait()


def gpu_use() -> str:
    """Return one line on what the GPU does, or that there is none to ask."""
    if shutil.which('nvidia-smi') is None:
        return 'no nvidia-smi'
    query = 'name,driver_version,utilization.gpu,memory.used,memory.total,clocks.sm'
    _, text = commands.output_of(['nvidia-smi', f'--query-gpu={query}', '--format=csv,noheader'], 20)
    return ' / '.join(text.strip().splitlines())


def _outcome(report: Report, each: Run, into: Path, process: subprocess.Popen | None) -> Outcome:
    if process is None:
        return None, 'no time is left'
    log = (into / 'log.txt').read_text(errors='replace').replace('\r', '\n')
    report.note('\n'.join(log.splitlines()[-30:]))
    # stopped by --minutes, or by the signal
    passed = process.returncode in (0, 128 + signal.SIGTERM) and (into / 'checkpoint.pt').is_file()
    steps = STEP.findall(log)
    begun, last = steps[0][0] if steps else '?', steps[-1][0] if len(steps) > 1 else 'the end'
    if not passed:
        lines = [line for line in log.splitlines() if line.strip()]
        return False, f'exit code {process.returncode}: {lines[-1] if lines else ""}'
    figures = f'step {begun} to {last} of {steps[0][1] if steps else "?"}'
    for series, value in _last_values(into / 'curve.csv').items():
        figures += f', {series} {value}'
    return True, f'{figures}, checkpoint {(into / "checkpoint.pt").stat().st_size / 2**20:.1f} MiB'


def _finished(report: Report, each: Run, into: Path, process: subprocess.Popen | None) -> Outcome:
    """As `_outcome`, but the run has to come to its end."""
    passed, figures = _outcome(report, each, into, process)
    return passed and process.returncode == 0 and 'to the end' in figures, figures


def _last_values(curve: Path) -> dict[str, str]:
    """Return the last value of what validation watches."""
    found = {}
    if curve.is_file():
        with curve.open(newline='') as file:
            for row in csv.DictReader(file):
                if row['series'] in ('train/total', 'val/endpoint_error', 'val/identity_error', 'val/psnr'):
                    found[row['series']] = row['value']
    return found

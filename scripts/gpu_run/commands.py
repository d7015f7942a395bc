"""Runs executables of the package as processes of their own, from the checkout."""

import math
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def irvis(name: str, *arguments: object) -> list[str]:
    """Return the command line of an executable."""
    return [sys.executable, str(REPOSITORY / 'launchers' / name), *map(str, arguments)]


def environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment for a process, with so many threads for what runs on the CPU."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get('PYTHONPATH')])]
    found = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths), 'MPLBACKEND': 'Agg'}
    if threads is not None:
        found['OMP_NUM_THREADS'] = str(threads)
    return found


def output_of(command: list[str], seconds: float) -> tuple[int, str]:
    """Run a process to its end, or for so long; returns exit code and everything it printed."""
    try:
        done = subprocess.run(
            command,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds if math.isfinite(seconds) else None,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        text = error.stdout or ''
        return 124, text if isinstance(text, str) else text.decode(errors='replace')
    return done.returncode, done.stdout


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1

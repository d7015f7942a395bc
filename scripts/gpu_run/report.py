"""What is said while things run: to the terminal and to OUT/log.txt, which also has the tracebacks."""

import gc
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

# What a check returns: whether it passed, None where there is nothing to check; and its figures.
Outcome = tuple[bool | None, str]


class Report:
    """
    Prints, and runs checks so that none stops those after it.

    until: seconds from the start of the script after which no further check is begun.
    """

    def __init__(self, log: Path, until: float):
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open('w', encoding='utf-8')
        self._started = float(os.environ.get('IRVIS_STARTED', time.time()))
        self._until = until
        self.counts = {'PASS': 0, 'FAIL': 0, 'SKIP': 0}

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - (time.time() - self._started)

    def say(self, text: str) -> None:
        """Print, and write to the log."""
        print(text, flush=True)
        self.note(text)

    def note(self, text: str) -> None:
        """Write to the log alone."""
        print(text, file=self._log, flush=True)

    def check(self, name: str, work: Callable[[], Outcome], always: bool = False) -> None:
        """Run a check and print its line. always: also when no time is left."""
        if self.left <= 0 and not always:
            self.line('SKIP', name, 'no time is left')
            return
        start = time.perf_counter()
        try:
            passed, figures = work()
            verdict = 'SKIP' if passed is None else 'PASS' if passed else 'FAIL'
        except Exception as error:
            verdict, reason = 'FAIL', ' '.join(str(error).split())[:200]
            figures = f'{type(error).__name__}: {reason} (traceback in the log)'
            self.note(traceback.format_exc())
        self.line(verdict, name, f'{figures} [{time.perf_counter() - start:.1f} s]')
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def line(self, verdict: str, name: str, figures: str) -> None:
        """Print the line of a check, and count it."""
        self.counts[verdict] += 1
        self.say(f'{verdict}  {name:34} {figures}')

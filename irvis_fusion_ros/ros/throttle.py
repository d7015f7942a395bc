"""Warnings that may come with every frame, told once and then now and again."""

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

# Keys and texts may hold what came in a message, which can be anything: so many keys are told apart in a
# period, and so many characters are told.
_MOST_KEYS = 100
_LONGEST = 600


class WarningThrottle:
    """
    Logs a warning at once, then at most one in `period` seconds for each key, with the number withheld.

    Thread-safe. clock: seconds of a steady clock.
    """

    def __init__(self, logger: Any, period: float = 30.0, clock: Callable[[], float] = time.monotonic):
        self._logger = logger
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        self._warned: dict[Any, tuple[float, int]] = {}

    def warn(self, key: Any, text: str) -> None:
        """Warn; texts of one key may differ."""
        now = self._clock()
        with self._lock:
            if key not in self._warned and len(self._warned) >= _MOST_KEYS:
                key = self._make_room(key, now)
            last, withheld = self._warned.get(key, (None, 0))
            if last is not None and now - last < self._period:
                self._warned[key] = (last, withheld + 1)
                return
            self._warned[key] = (now, 0)
        self._logger.warning(plain(text) + (f' ({withheld} more like this)' if withheld else ''))

    def _make_room(self, key: Any, now: float) -> Any:
        """Forget what is long past; return the key, or that of all others where there is no room."""
        self._warned = {k: told for k, told in self._warned.items() if now - told[0] < self._period}
        return key if len(self._warned) < _MOST_KEYS else 'others'


def plain(text: str) -> str:
    """Return a text that may hold what came in a message as one printable line that is not too long."""
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + '...'
    return text if text.isprintable() else ''.join(c if c.isprintable() else ' ' for c in text)


def described(error: Exception) -> str:
    """Return what an unexpected error says, and where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f' ({frames[-1].filename}:{frames[-1].lineno})' if frames else ''
    return f'{type(error).__name__}: {error}{place}'

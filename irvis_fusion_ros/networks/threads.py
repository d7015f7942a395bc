"""
Threads for networks of small maps on a CPU.

torch divides every operation among its threads, which then wait for each other. Where maps are small, that
takes longer than it saves: on two cores, `swift_lite` waited 2400 times a pair, and a third of its processor
time was spent on that. So such a network runs in a thread in which torch divides nothing, and what consists
of two equal halves is done by two of them, which wait a hundred times.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

T = TypeVar('T')

# The second thread of the one that runs here, or nothing.
_HERE = threading.local()


class Alone:
    """
    Calls functions in a thread of its own, in which torch divides no operation; `halves` uses a second one.

    If torch has one thread only, functions are called where they are. Results are the same to rounding.
    """

    def __init__(self):
        threads = torch.get_num_threads()
        self._own = None
        if threads > 1:
            second = ThreadPoolExecutor(1, 'halves', _undivided, (None,))
            self._own = ThreadPoolExecutor(1, 'network', _undivided, (second,))
            for pool in (second, self._own):
                pool.submit(int).result()
            # torch keeps a number for each thread, and one for threads that are yet to come: this one again
            torch.set_num_threads(threads)

    def __call__(self, function: Callable[..., T], *inputs: Any) -> T:
        """Return what a function returns."""
        return function(*inputs) if self._own is None else self._own.submit(function, *inputs).result()


def halves(function: Callable[[Any], T], inputs: Sequence[Any]) -> list[T]:
    """
    Return a function of each of two inputs, in two threads at once if the caller is called by `Alone`.

    Without gradients; autocast is as where it is called.
    """
    second = getattr(_HERE, 'second', None)
    if second is None:
        return [function(each) for each in inputs]
    half = torch.get_autocast_dtype('cpu') if torch.is_autocast_enabled('cpu') else None

    def other() -> T:
        with torch.inference_mode(), torch.autocast('cpu', half, enabled=half is not None):
            return function(inputs[1])

    running = second.submit(other)
    first = function(inputs[0])
    return [first, running.result()]


def divides() -> bool:
    """Return whether `halves` uses two threads here."""
    return getattr(_HERE, 'second', None) is not None


def _undivided(second: ThreadPoolExecutor | None) -> None:
    torch.get_num_threads()  # a thread that has not asked takes the number of all others later
    torch.set_num_threads(1)
    _HERE.second = second

"""
The thread that does the work, and the two queues in front of it.

The executor's thread only hands over: a slow frame never delays the next message, and nothing that a frame
does ends the thread.
"""

import time
from collections import Counter, deque
from collections.abc import Callable

from irvis_fusion_ros.pairing import Pair
from irvis_fusion_ros.ros.background import Background


class Newest:
    """Mode realtime: the newest pair. Older ones are dropped as 'superseded', late ones as 'too_old'."""

    def __init__(self, max_age: float, counts: Counter, clock: Callable[[], float] = time.monotonic):
        self.limit = max_age
        self._counts = counts
        self._clock = clock
        self._pair: Pair | None = None

    def put(self, pair: Pair) -> None:
        """Take a pair."""
        if self._pair is not None:
            self._counts['superseded'] += 1
        self._pair = pair

    def take(self) -> Pair | None:
        """Return the pair to process now, or None."""
        pair, self._pair = self._pair, None
        if pair is not None and self._clock() - pair.arrival > self.limit:
            self._counts['too_old'] += 1
            return None
        return pair

    def __len__(self) -> int:
        return int(self._pair is not None)


class Everything:
    """Mode every_frame: all pairs in order, up to a number of bytes; more is dropped as 'overflow'."""

    def __init__(self, max_bytes: int, counts: Counter):
        self.limit = max_bytes
        self._counts = counts
        self._pairs: deque[Pair] = deque()
        self._bytes = 0

    def put(self, pair: Pair) -> None:
        """Take a pair."""
        if self._pairs and self._bytes + pair.size > self.limit:
            self._counts['overflow'] += 1
            return
        self._bytes += pair.size
        self._pairs.append(pair)

    def take(self) -> Pair | None:
        """Return the pair to process now, or None."""
        if not self._pairs:
            return None
        pair = self._pairs.popleft()
        self._bytes -= pair.size
        return pair

    def __len__(self) -> int:
        return len(self._pairs)


class Worker(Background):
    """
    Processes the pairs of a queue, one after the other, in a thread of its own.

    process(pair) is called for each; on_error(exception) is told what it raised. `counts` has 'submitted',
    'done', 'error', 'stopped' and the queue's drops: every pair submitted is one of these, waiting, or being
    done.
    """

    def __init__(
        self,
        make_queue: Callable[[Counter], Newest | Everything],
        process: Callable[[Pair], None],
        on_error: Callable[[Exception], None],
    ):
        super().__init__('fusion_worker')
        self.counts: Counter = Counter()
        self._queue = make_queue(self.counts)
        self._process = process
        self._on_error = on_error
        self._between: deque[Callable[[], None]] = deque()

    def stop(self) -> bool:
        """End the thread after the pair it is at; what waits is dropped as 'stopped'."""
        ended = super().stop()
        while ended and self._queue:
            if self._queue.take() is not None:
                self.counts['stopped'] += 1
        return ended

    def submit(self, pair: Pair) -> None:
        """Hand over a pair."""
        with self._wake:
            self.counts['submitted'] += 1
            self._queue.put(pair)
            self._wake.notify()

    def between_frames(self, action: Callable[[], None]) -> None:
        """Let the thread do something when no pair is being processed, before the next one."""
        with self._wake:
            self._between.append(action)
            self._wake.notify()

    def set_limit(self, limit: float) -> None:
        """Change the age or the bytes that the queue allows."""
        with self._wake:
            self._queue.limit = limit

    @property
    def waiting(self) -> int:
        """How many pairs wait."""
        return len(self._queue)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._stop or self._between or self._queue):
                    self._wake.wait()
                actions = list(self._between)
                self._between.clear()
                pair = None if self._stop else self._queue.take()
            for action in actions:
                self._succeeds(action)
            if self._stop:
                return
            if pair is not None:
                self.counts['done' if self._succeeds(lambda pair=pair: self._process(pair)) else 'error'] += 1

    def _succeeds(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:
            self._on_error(error)
            return False
        return True

"""The pairing of two streams by their stamps, with the clocks, the limits and the counts around it."""

import math
import statistics
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from irvis_fusion_ros.pairing.matching import Matching
from irvis_fusion_ros.pairing.pair import JUMP, NANO, OTHER, STREAMS, Pair
from irvis_fusion_ros.pairing.stream import Item, Stream


class NearestPairing:
    """
    Pairs two streams by nearest stamps. Thread-safe.

    on_pair(Pair) is called in order and outside the lock. An exception from it propagates out of the method
    that was called, and leaves the pairing intact.

    tolerance: seconds, inclusive. offset: seconds added to thermal stamps. timeout: seconds, see `poll`.
    eager: use the shortest interval seen in a stream, so that a pair need not wait for the next image.
    Without it, and while no time-out occurs, the pairs depend on the stamps only. give_up: whether an image
    without a partner is dropped after the time-out. max_waiting: largest number of waiting images per stream;
    max_bytes: largest number of bytes of both.

    `counts[stream]` counts 'received', 'paired', 'alone' and the drops by cause: every received message is
    paired, alone, dropped with one cause, or waiting.
    """

    def __init__(
        self,
        on_pair: Callable[[Pair], None],
        *,
        tolerance: float = 0.02,
        offset: float = 0.0,
        timeout: float = 0.5,
        eager: bool = True,
        give_up: bool = True,
        max_waiting: int | None = None,
        max_bytes: int | None = None,
    ):
        self._on_pair = on_pair
        self._matching = Matching(_nano(tolerance), eager)
        self._offset = _nano(offset)
        self._timeout = timeout
        self._give_up = give_up
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._streams = {name: Stream(name) for name in STREAMS}
        self._jumped_from: tuple[str, int] | None = None
        self._outbox: deque[Pair] = deque()
        self._sending = threading.Lock()
        self._misses: deque[int] = deque(maxlen=30)
        self.counts = {name: Counter() for name in STREAMS}
        self.arrivals = dict.fromkeys(STREAMS, -math.inf)  # of the last message that was not refused
        self.absent: str | None = None  # the stream that is not waited for
        self.jumps = 0
        self.recent_dt: deque[float] = deque(maxlen=300)

    def put(self, stream: str, stamp: int, payload: Any, arrival: float, size: int = 0) -> None:
        """Add a message. stamp: nanoseconds. arrival: seconds of a monotonic clock. size: bytes."""
        with self._lock:
            self.counts[stream]['received'] += 1
            self._take(stream, stamp, Item(0, payload, arrival, size))
            self._decide()
            self._limit()
        self._send()

    def poll(self, now: float) -> None:
        """
        Handle time-outs at `now`, seconds of the monotonic clock; call it also when no message arrives.

        With give_up, an image that has waited for the time-out is paired with an available one, or dropped.
        Without, the possible pairs are sent once both streams have been silent for the time-out.
        """
        due = now - self._timeout
        with self._lock:
            if self._give_up:
                self._decide(lambda item: item.arrival <= due)
            elif all(arrival <= due for arrival in self.arrivals.values()):
                self._decide(_always, keep_lonely=True)
        self._send()

    def flush(self) -> None:
        """Send all pairs that are possible now, as if no more messages came."""
        with self._lock:
            self._decide(_always, keep_lonely=True)
        self._send()

    def reset(self) -> None:
        """Drop the waiting messages (counted 'reset') and the state of the clocks."""
        with self._lock:
            for name in STREAMS:
                self._restart(name, 'reset')
            self._jumped_from = None

    def set_absent(self, stream: str | None) -> None:
        """Declare a stream silent: messages of the other one are sent alone, until this one resumes."""
        with self._lock:
            self.absent = stream
            if stream is not None:
                while self._streams[OTHER[stream]].items:
                    self._send_alone(OTHER[stream])
        self._send()

    def configure(self, *, tolerance: float, offset: float, timeout: float, max_bytes: int | None) -> None:
        """Change the options while running."""
        with self._lock:
            self._matching.tolerance = _nano(tolerance)
            self._timeout = timeout
            self._max_bytes = max_bytes
            shift = _nano(offset) - self._offset
            if shift:
                self._offset += shift
                self._streams['thermal'].shift(shift)
                self._jumped_from = None
            self._decide()
        self._send()

    def waiting(self, stream: str) -> int:
        """Return how many messages of a stream wait for a partner."""
        return len(self._streams[stream].items)

    def lag(self) -> float | None:
        """
        Estimate from the arrivals how far thermal stamps (offset applied) lag behind visible ones, in
        seconds.

        It includes any difference in the delays of the two cameras. None: not enough messages.
        """
        with self._lock:
            behind = [self._streams[name].behind() for name in STREAMS]
        return None if None in behind else (behind[0] - behind[1]) / NANO

    def miss(self) -> float | None:
        """Return the median distance of images without a partner to the nearest other image, in seconds."""
        with self._lock:
            return statistics.median(self._misses) / NANO if self._misses else None

    def _take(self, name: str, stamp: int, item: Item) -> None:
        stream = self._streams[name]
        cause = None
        if stamp <= 0:
            cause = 'zero_stamp'
        else:
            item.stamp = stamp + (self._offset if name == 'thermal' else 0)
            if self._is_from_before_jump(name, item.stamp):
                cause = 'time_jump'
            else:
                stream.delays.append(round(item.arrival * NANO) - item.stamp)
                cause = stream.add(item)
        if cause:
            self.counts[name][cause] += 1
            return
        self.arrivals[name] = item.arrival
        if self.absent == name:
            self.absent = None
        elif self.absent == OTHER[name]:
            self._send_alone(name)

    def _is_from_before_jump(self, name: str, stamp: int) -> bool:
        """Detect jumps of a clock; return whether a stamp is from before one and must be refused."""
        stream, other = self._streams[name], self._streams[OTHER[name]]
        if self._jumped_from and self._jumped_from[0] == name:
            if abs(stamp - self._jumped_from[1]) < abs(stamp - other.last):
                return True
            self._jumped_from = None
        elif stream.last is not None and stamp < stream.last - JUMP:
            self._decide(_always, keep_lonely=True)
            self.jumps += 1
            if other.last is not None or self._jumped_from:
                self._jumped_from = (OTHER[name], stream.last)
            for each in STREAMS:
                self._restart(each, 'time_jump')
        return False

    def _decide(self, final: Callable[[Item], bool] = lambda item: False, keep_lonely: bool = False) -> None:
        """Pair or drop the oldest message repeatedly. final: whether not to wait for later messages."""
        x, y = self._streams.values()
        while x.items or y.items:
            if not x.items or (y.items and y.items[0].stamp < x.items[0].stamp):
                x, y = y, x
            head = x.items[0]
            if y.items:
                paired = self._matching.is_pair(x, y, final(head))
            else:
                missed = y.last is not None and y.last > head.stamp + self._matching.tolerance
                paired = False if missed or (final(head) and not keep_lonely) else None
            if paired is None:
                return
            if paired:
                self._pair(x, y)
            else:
                self._note_miss(head.stamp, y)
                self._matching.note_drop()
                x.pop()
                self.counts[x.name]['no_partner'] += 1

    def _pair(self, first: Stream, second: Stream) -> None:
        self._matching.note_pair(first, second)
        items = {first.name: first.pop(), second.name: second.pop()}
        for each in STREAMS:
            self.counts[each]['paired'] += 1
        thermal, visible = items['thermal'], items['visible']
        dt = (thermal.stamp - visible.stamp) / NANO
        self.recent_dt.append(dt)
        arrival = max(thermal.arrival, visible.arrival)
        size = thermal.size + visible.size
        self._outbox.append(Pair(thermal.payload, visible.payload, arrival, dt, size, self.jumps))

    def _send_alone(self, name: str) -> None:
        item = self._streams[name].pop()
        self.counts[name]['alone'] += 1
        payloads = {OTHER[name]: None, name: item.payload}
        self._outbox.append(Pair(**payloads, arrival=item.arrival, size=item.size, epoch=self.jumps))

    def _note_miss(self, stamp: int, y: Stream) -> None:
        known = [y.items[0].stamp] if y.items else []
        if y.popped is not None:
            known.append(y.popped)
        nearest = min((abs(other - stamp) for other in known), default=0)
        if nearest > self._matching.tolerance:
            self._misses.append(nearest)

    def _limit(self) -> None:
        while self._max_bytes is not None and sum(s.size for s in self._streams.values()) > self._max_bytes:
            self._drop_oldest(max(STREAMS, key=lambda name: self._streams[name].size), 'queue_full')
        for name in STREAMS:
            while self._max_waiting is not None and len(self._streams[name].items) > self._max_waiting:
                self._drop_oldest(name, 'queue_full')

    def _drop_oldest(self, name: str, cause: str) -> None:
        self._streams[name].pop()
        self.counts[name][cause] += 1

    def _restart(self, name: str, cause: str) -> None:
        while self._streams[name].items:
            self._drop_oldest(name, cause)
        self._streams[name].restart()

    def _send(self) -> None:
        # only one thread sends, so that pairs stay in order; others, and callbacks that put messages, return
        while self._outbox and self._sending.acquire(blocking=False):
            try:
                while self._outbox:
                    self._on_pair(self._outbox.popleft())
            finally:
                self._sending.release()


def _always(item: Item) -> bool:
    return True


def _nano(seconds: float) -> int:
    return round(seconds * NANO)

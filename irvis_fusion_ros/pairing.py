"""
Pairs thermal and visible images: nearest stamps, one to one, in order, with every drop counted.

It does not depend on ROS: stamps are integers in nanoseconds, payloads are opaque.

    pairing = NearestPairing(on_pair, tolerance=0.02)
    pairing.put('thermal', stamp, image, arrival=time.monotonic())
    pairing.put('visible', stamp, image, arrival=time.monotonic())

The result is a stable matching that keeps the order: no two images within the tolerance that are not a pair
are nearer to each other than both are to their partners. A pair is sent as soon as no later image can change
it: because later images have arrived or, with `eager`, because the next one cannot arrive so soon.
"""

import math
import statistics
import threading
from bisect import bisect
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

NANO = 1_000_000_000
STREAMS = ('thermal', 'visible')
OTHER = {'thermal': 'visible', 'visible': 'thermal'}
DROP_CAUSES = ('zero_stamp', 'repeated', 'late', 'time_jump', 'no_partner', 'queue_full', 'reset')

# A stamp that lies back by more than this is a restart (a bag loop, a clock that was set). By less, its
# message was overtaken by others on the way.
JUMP = NANO // 5


@dataclass(frozen=True)
class Pair:
    """
    A thermal and a visible payload; one of them is None if the other came out alone.

    dt: seconds, thermal stamp (offset applied) minus visible stamp; None for a single payload. arrival: of
    the later message. size: bytes of both. epoch: how often the clocks had jumped back before.
    """

    thermal: Any
    visible: Any
    arrival: float
    dt: float | None = None
    size: int = 0
    epoch: int = 0


class Pairing(Protocol):
    """The interface of a pairing for the node, its watchdog and its diagnostics. See NearestPairing."""

    counts: dict[str, Counter]
    arrivals: dict[str, float]
    absent: str | None
    jumps: int
    recent_dt: deque[float]

    def put(self, stream: str, stamp: int, payload: Any, arrival: float, size: int = 0) -> None: ...

    def poll(self, now: float) -> None: ...

    def flush(self) -> None: ...

    def reset(self) -> None: ...

    def set_absent(self, stream: str | None) -> None: ...

    def configure(
        self, *, tolerance: float, offset: float, timeout: float, max_bytes: int | None
    ) -> None: ...

    def waiting(self, stream: str) -> int: ...

    def lag(self) -> float | None: ...

    def miss(self) -> float | None: ...


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
        self._tolerance = _nano(tolerance)
        self._offset = _nano(offset)
        self._timeout = timeout
        self._eager = eager
        self._give_up = give_up
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._streams = {name: _Stream() for name in STREAMS}
        self._jumped_from: tuple[str, int] | None = None
        self._leader: _Stream | None = None
        self._preference = 0
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
            self._take(stream, stamp, _Item(0, payload, arrival, size))
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
            self._tolerance = _nano(tolerance)
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

    def _take(self, name: str, stamp: int, item: '_Item') -> None:
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

    def _decide(
        self, final: Callable[['_Item'], bool] = lambda item: False, keep_lonely: bool = False
    ) -> None:
        """Pair or drop the oldest message repeatedly. final: whether not to wait for later messages."""
        while True:
            waiting = [name for name in STREAMS if self._streams[name].items]
            if not waiting:
                return
            name = min(waiting, key=lambda name: self._streams[name].items[0].stamp)
            x, y = self._streams[name], self._streams[OTHER[name]]
            head = x.items[0]
            if not y.items:
                partner_missed = y.last is not None and y.last > head.stamp + self._tolerance
                if not partner_missed and (keep_lonely or not final(head)):
                    return
                paired = False
            else:
                paired = self._is_pair(x, y, final(head))
            if paired is None:
                return
            if paired:
                self._pair(name)
            else:
                self._note_miss(head.stamp, y)
                self._preference = 0
                x.pop()
                self.counts[name]['no_partner'] += 1

    def _is_pair(self, x: '_Stream', y: '_Stream', final: bool) -> bool | None:
        """
        Return whether the oldest message, the first of x, and the first of y are a pair. None: too early to
        say.

        The first of y may be nearer to a later one of x, which may be nearer to a later one of y, and so on.
        Distances shrink along that chain, so its last link is a pair, and so is every second link before it.
        """
        stamp = y.items[0].stamp
        if stamp - x.items[0].stamp > self._tolerance:
            return False
        distance = self._distance(x, x.items[0].stamp, y, stamp)
        links, mine, others = 1, y, x
        while True:
            nearest = self._nearest(mine, stamp, others)
            if not final and self._may_come_nearer(mine, stamp, others, distance):
                return None
            rival_distance = self._distance(mine, stamp, others, nearest)
            if rival_distance >= distance:
                return links % 2 == 1
            stamp, distance = nearest, rival_distance
            links, mine, others = links + 1, others, mine

    def _nearest(self, mine: '_Stream', stamp: int, others: '_Stream') -> int:
        place = bisect(others.items, stamp, key=_stamp)
        candidates = [item.stamp for item in others.items[max(place - 1, 0) : place + 1]]
        return min(candidates, key=lambda other: self._distance(mine, stamp, others, other))

    def _may_come_nearer(self, mine: '_Stream', stamp: int, others: '_Stream', distance: int) -> bool:
        if others.items[-1].stamp > stamp:
            return False
        earliest = others.last + (others.shortest_interval() if self._eager else 1)
        return self._distance(mine, stamp, others, max(earliest, stamp)) < distance

    def _distance(self, a: '_Stream', a_stamp: int, b: '_Stream', b_stamp: int) -> int:
        first = a if a_stamp < b_stamp else b
        preferred = first is self._leader or a_stamp == b_stamp
        return abs(a_stamp - b_stamp) - (self._preference if preferred else 0)

    def _pair(self, name: str) -> None:
        first, second = self._streams[name], self._streams[OTHER[name]]
        # Two free-running cameras of one rate may be half a period apart. The nearest partner would then
        # alternate with the jitter, and an image would be lost at each change. So the order of the previous
        # pair is preferred.
        self._leader = first
        self._preference = _shared_interval(first, second) // 3
        items = {name: first.pop(), OTHER[name]: second.pop()}
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

    def _note_miss(self, stamp: int, y: '_Stream') -> None:
        known = [y.items[0].stamp] if y.items else []
        if y.popped is not None:
            known.append(y.popped)
        nearest = min((abs(other - stamp) for other in known), default=0)
        if nearest > self._tolerance:
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


@dataclass(slots=True)
class _Item:
    """A waiting message. stamp: nanoseconds, offset applied."""

    stamp: int
    payload: Any
    arrival: float
    size: int


class _Stream:
    """The waiting messages of one camera in the order of their stamps, and statistics of its clock."""

    def __init__(self):
        self.items: list[_Item] = []
        self.size = 0
        self.last: int | None = None  # newest stamp
        self.popped: int | None = None  # newest stamp that was paired or dropped
        self.delays: deque[int] = deque(maxlen=31)  # arrival minus stamp
        # updated in the order of stamps, when messages are paired or dropped, so that arrivals do not matter
        self._intervals: deque[int] = deque(maxlen=32)

    def add(self, item: _Item) -> str | None:
        """Add a message, or return why it is refused."""
        if self.last is None or item.stamp > self.last:
            self.last = item.stamp
            self.items.append(item)
        else:
            place = bisect(self.items, item.stamp, key=_stamp)
            if item.stamp == self.last or (place and self.items[place - 1].stamp == item.stamp):
                return 'repeated'
            if self.popped is not None and item.stamp <= self.popped:
                return 'late'
            self.items.insert(place, item)
        self.size += item.size
        return None

    def pop(self) -> _Item:
        """Remove the oldest message."""
        item = self.items.pop(0)
        self.size -= item.size
        if self.popped is not None:
            self._intervals.append(item.stamp - self.popped)
        self.popped = item.stamp
        return item

    def restart(self) -> None:
        """Forget the stamps, but keep the rate."""
        self.last = self.popped = None
        self.delays.clear()

    def shift(self, nanoseconds: int) -> None:
        """Shift all stamps."""
        for item in self.items:
            item.stamp += nanoseconds
        self.last = None if self.last is None else self.last + nanoseconds
        self.popped = None if self.popped is None else self.popped + nanoseconds
        self.delays = deque((delay - nanoseconds for delay in self.delays), maxlen=self.delays.maxlen)

    def shortest_interval(self) -> int:
        """Return the least interval between two messages, with a margin for jitter not seen yet."""
        return max(1, min(self._intervals) * 4 // 5) if len(self._intervals) >= 8 else 1

    def interval(self) -> int | None:
        """Return the usual interval between two messages."""
        return round(statistics.median(self._intervals)) if len(self._intervals) >= 4 else None

    def behind(self) -> float | None:
        """Return how far the stamps lag behind the clock of the arrivals, in nanoseconds."""
        return statistics.median(self.delays) if len(self.delays) >= 5 else None


def _shared_interval(a: _Stream, b: _Stream) -> int:
    """Return the interval of two streams with the same rate, else 0."""
    intervals = a.interval(), b.interval()
    return min(intervals) if None not in intervals and max(intervals) < 1.15 * min(intervals) else 0


def _stamp(item: _Item) -> int:
    return item.stamp


def _always(item: _Item) -> bool:
    return True


def _nano(seconds: float) -> int:
    return round(seconds * NANO)

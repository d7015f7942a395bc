"""
The pairing and message_filters: ours as one of its filters, and its policies behind our interface.

Nothing here is needed where message_filters is not installed; what is asked for then says so.
"""

import functools
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from irvis_fusion_ros.pairing import JUMP, NANO, OTHER, STREAMS, NearestPairing, Pair


def nearest_synchronizer(inputs: Sequence[Any] = (), **options: Any) -> Any:
    """
    Return NearestPairing as a filter of message_filters, of a (thermal, visible) pair of its filters.

    Callbacks added with `registerCallback` get (thermal message, visible message). options: those of
    NearestPairing. `pairing` gives access to counters, `flush` and `poll`.
    Raises ValueError where message_filters is not installed.
    """
    return _filter_class()(inputs, **options)


def stamp_of(message: Any) -> int:
    """Return the stamp of a message with a header, in nanoseconds."""
    stamp = message.header.stamp
    return stamp.sec * NANO + stamp.nanosec


class UpstreamPairing:
    """
    The synchronizers of message_filters with the interface of `NearestPairing`.

    policy: 'approximate_time' or 'exact_time'. They say nothing of what they drop: what is neither paired nor
    in their queues counts as 'no_partner'. After a jump back in time they start anew (by themselves they
    would not pair again). Raises ValueError where message_filters is not installed.
    """

    def __init__(
        self,
        policy: str,
        on_pair: Callable[[Pair], None],
        *,
        tolerance: float = 0.02,
        offset: float = 0.0,
        queue_size: int = 30,
    ):
        self._filters = _message_filters(f"'sync.policy' is {policy!r}")
        self._policy = policy
        self._on_pair = on_pair
        self._queue_size = queue_size
        self.absent: str | None = None
        self._last: dict[str, int] = {}
        self._tolerance = tolerance
        self._offset = offset
        self.counts = {name: Counter() for name in STREAMS}
        self.arrivals = dict.fromkeys(STREAMS, -math.inf)
        self.jumps = 0
        self.recent_dt: deque[float] = deque(maxlen=300)
        self._build()

    def put(self, stream: str, stamp: int, payload: Any, arrival: float, size: int = 0) -> None:
        """See `NearestPairing.put`."""
        counts = self.counts[stream]
        counts['received'] += 1
        if stamp <= 0:
            counts['zero_stamp'] += 1
            return
        self.arrivals[stream] = arrival
        if stream == 'thermal':
            stamp += round(self._offset * NANO)
        if self.absent == stream:
            self.absent = None
        elif self.absent == OTHER[stream]:
            counts['alone'] += 1
            payloads = {OTHER[stream]: None, stream: payload}
            self._on_pair(Pair(**payloads, arrival=arrival, size=size, epoch=self.jumps))
            return
        if stamp < self._last.get(stream, stamp) - JUMP:
            self.jumps += 1
            self._drop_all('time_jump')
        self._last[stream] = stamp
        self._inputs[stream].signalMessage(_Envelope(stamp, payload, arrival, size))
        self._count_losses()

    def poll(self, now: float) -> None:
        """Nothing is ever due: these policies know no time-outs."""

    def flush(self) -> None:
        """Nothing can be let out before its time."""

    def reset(self) -> None:
        """Forget what waits (counted 'reset')."""
        self._drop_all('reset')

    def set_absent(self, stream: str | None) -> None:
        """See `NearestPairing.set_absent`; what waits already is dropped."""
        if stream is not None and stream != self.absent:
            self._drop_all('no_partner')
        self.absent = stream

    def configure(self, *, tolerance: float, offset: float, timeout: float, max_bytes: int | None) -> None:
        """See `NearestPairing.configure`; what waits is dropped."""
        if (tolerance, offset) != (self._tolerance, self._offset):
            self._tolerance, self._offset = tolerance, offset
            self._drop_all('reset')

    def waiting(self, stream: str) -> int:
        """Return how many messages of a stream are in the queue of the synchronizer."""
        return len(self._synchronizer.queues[STREAMS.index(stream)])

    def lag(self) -> float | None:
        """Not known."""

    def miss(self) -> float | None:
        """Not known."""

    def _build(self) -> None:
        self._last.clear()
        self._inputs = {name: self._filters.SimpleFilter() for name in STREAMS}
        inputs = list(self._inputs.values())
        if self._policy == 'exact_time':
            self._synchronizer = self._filters.TimeSynchronizer(inputs, self._queue_size)
        else:
            self._synchronizer = self._filters.ApproximateTimeSynchronizer(
                inputs, self._queue_size, self._tolerance
            )
        self._synchronizer.registerCallback(self._pair)

    def _pair(self, thermal: '_Envelope', visible: '_Envelope') -> None:
        for counts in self.counts.values():
            counts['paired'] += 1
        dt = (thermal.nanoseconds - visible.nanoseconds) / NANO
        self.recent_dt.append(dt)
        arrival = max(thermal.arrival, visible.arrival)
        size = thermal.size + visible.size
        self._on_pair(Pair(thermal.payload, visible.payload, arrival, dt, size, self.jumps))

    def _drop_all(self, cause: str) -> None:
        for name in STREAMS:
            self.counts[name][cause] += self.waiting(name)
        self._build()

    def _count_losses(self) -> None:
        for name, counts in self.counts.items():
            ends = sum(count for key, count in counts.items() if key != 'received')
            counts['no_partner'] += counts['received'] - ends - self.waiting(name)


class _Envelope:
    """A payload with the stamp that message_filters is to see."""

    def __init__(self, stamp: int, payload: Any, arrival: float, size: int):
        from builtin_interfaces.msg import Time
        from std_msgs.msg import Header

        self.header = Header(stamp=Time(sec=stamp // NANO, nanosec=stamp % NANO))
        self.nanoseconds = stamp
        self.payload = payload
        self.arrival = arrival
        self.size = size


@functools.cache
def _filter_class() -> type:
    filters = _message_filters('nearest_synchronizer')

    class NearestSynchronizer(filters.SimpleFilter):
        """NearestPairing with message_filters on both sides."""

        def __init__(self, inputs: Sequence[Any] = (), **options: Any):
            super().__init__()
            self.pairing = NearestPairing(
                lambda pair: self.signalMessage(pair.thermal, pair.visible), **options
            )
            if inputs:
                self.connectInput(inputs)

        def connectInput(self, inputs: Sequence[Any]) -> None:  # noqa: N802 (its name in message_filters)
            """Connect the filters of the thermal and of the visible images."""
            thermal, visible = inputs
            self.input_connections = [
                thermal.registerCallback(self.add, 'thermal'),
                visible.registerCallback(self.add, 'visible'),
            ]

        def add(self, message: Any, stream: str) -> None:
            """Take a message."""
            self.pairing.put(stream, stamp_of(message), message, time.monotonic())

    return NearestSynchronizer


def _message_filters(wanted_by: str) -> Any:
    try:
        import message_filters
    except ImportError as error:
        raise ValueError(
            f'{wanted_by}: message_filters is not installed; it comes with a ROS distribution '
            f"(ros-$ROS_DISTRO-message-filters), or use sync.policy 'nearest'"
        ) from error
    return message_filters

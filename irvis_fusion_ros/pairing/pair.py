"""What comes out of a pairing, and what every pairing does."""

from collections import Counter, deque
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

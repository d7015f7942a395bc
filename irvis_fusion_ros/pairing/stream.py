"""The messages of one camera that wait for a partner, and what is known of its clock."""

import math
import statistics
from bisect import bisect
from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Item:
    """A waiting message. stamp: nanoseconds, offset applied."""

    stamp: int
    payload: Any
    arrival: float
    size: int


class Stream:
    """The waiting messages of one camera in the order of their stamps, and statistics of its clock."""

    def __init__(self, name: str):
        self.name = name
        self.items: list[Item] = []
        self.size = 0
        self.last: int | None = None  # newest stamp
        self.popped: int | None = None  # newest stamp that was paired or dropped
        self.delays: deque[int] = deque(maxlen=31)  # arrival minus stamp
        # updated in the order of stamps, when messages are paired or dropped, so that arrivals do not matter
        self._intervals: deque[int] = deque(maxlen=32)

    def add(self, item: Item) -> str | None:
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

    def pop(self) -> Item:
        """Remove the oldest message."""
        item = self.items.pop(0)
        self.size -= item.size
        if self.popped is not None:
            self._intervals.append(item.stamp - self.popped)
        self.popped = item.stamp
        return item

    def stamp(self, place: int) -> int | float:
        """Return the stamp of a waiting message, or infinity behind the last one."""
        return self.items[place].stamp if place < len(self.items) else math.inf

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

    def rhythm(self) -> tuple[int, int] | None:
        """
        Return the usual interval between two messages and how much three of four of them differ, in
        nanoseconds; None where they are not within a quarter of the usual one.
        """
        count = len(self._intervals)
        if count < 4:
            return None
        ordered = sorted(self._intervals)
        usual, low, high = (ordered[place] for place in (count // 2, count // 8, count - 1 - count // 8))
        return (usual, high - low) if 4 * low > 3 * usual and 4 * high < 5 * usual else None

    def behind(self) -> float | None:
        """Return how far the stamps lag behind the clock of the arrivals, in nanoseconds."""
        return statistics.median(self.delays) if len(self.delays) >= 5 else None


def _stamp(item: Item) -> int:
    return item.stamp

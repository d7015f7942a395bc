"""
Decides whether the two oldest waiting messages are a pair, as soon as no later message can change that.

The pairs are those of a stable matching that keeps the order: the nearest two images are a pair, then the
nearest two of those left that cross no pair before, and so on, up to the tolerance. Of equal distances the
earlier counts as nearer.

No image lies between the two of such a pair: it would be nearer to one of them. So only neighbours in the
common order of all stamps can be pairs. The two oldest images, a and b, are one if they are neighbours of
different cameras within the tolerance, unless b and c, its next neighbour, are one; these are, on the same
terms, if they are nearer. Distances shrink along such a chain of neighbours, so its last link is a pair, and
so is every second link before it.
"""

import math

from irvis_fusion_ros.pairing.stream import Stream


class Matching:
    """
    The decisions on two streams. tolerance: nanoseconds, inclusive.

    eager: rely on the shortest interval seen in a stream to tell when its next image can come.

    Two free-running cameras of one rate may be half an interval apart. The nearest partner would then
    alternate with the jitter, and an image would be lost at each change. So where both streams are regular
    and of one rate, the order of the previous pair is preferred: a distance counts as less, by a few times
    the jitter and at most a third of the interval, where the same camera comes first. Two images that could
    be a pair may then be nearer to each other than to their partners, but by no more than that.
    """

    def __init__(self, tolerance: int, eager: bool):
        self.tolerance = tolerance
        self._eager = eager
        self._leader: Stream | None = None
        self._preference = 0
        self._by_chain = False

    def is_pair(self, x: Stream, y: Stream, final: bool) -> bool | None:
        """
        Return whether the oldest messages of two streams, that of x first, are a pair.

        None: a later message may decide that. final: do not wait for it. Of messages that come later, those
        that were overtaken by others of their camera are not waited for.
        """
        self._by_chain = False
        a, b = x.items[0].stamp, y.items[0].stamp
        if b - a > self.tolerance:
            return False
        place, links = {x: 1, y: 1}, 1
        while True:
            # a is of x and b of y; next_x and next_y are the first stamps of each behind them
            next_x, next_y = x.stamp(place[x]), y.stamp(place[y])
            reach = b - a + self._gain(y) - (self._gain(x) if b > a else self._preference)
            nearer = min(b + reach, next_y, b + self.tolerance + 1)  # c takes b only if it is before this
            if next_x is math.inf and not final and self._next(x) < max(nearer, b + 1):
                return None
            if next_x <= b:  # lies between the two; only at the first link, the chain goes on by neighbours
                return False
            if next_x >= nearer:
                return links % 2 == 1
            place[x] += 1
            a, b, x, y = b, next_x, y, x
            links += 1
            self._by_chain = True

    def note_pair(self, first: Stream, second: Stream) -> None:
        """Take over the order of a pair that was decided on."""
        # what a chain has decided already has to stay as it is until its end
        if not self._by_chain:
            self._leader = first
            self._preference = _preference(first, second)

    def note_drop(self) -> None:
        """Begin anew after a message without a partner: the next pair may as well be the nearest."""
        if not self._by_chain:
            self._preference = 0

    def _gain(self, first: Stream) -> int:
        return self._preference if first is self._leader else 0

    def _next(self, stream: Stream) -> int:
        """Return the earliest stamp that the next message can have."""
        return stream.last + (stream.shortest_interval() if self._eager else 1)


def _preference(a: Stream, b: Stream) -> int:
    """
    Return by how much the order of a pair is preferred, in nanoseconds.

    Three times the spread is four standard deviations of what jitter does to the difference of the distances
    to the images before and behind.
    """
    rhythms = a.rhythm(), b.rhythm()
    if None in rhythms:
        return 0
    (usual, spread), (other, other_spread) = rhythms
    least = min(usual, other)
    return min(least // 3, 3 * max(spread, other_spread)) if max(usual, other) < 1.15 * least else 0

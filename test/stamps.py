"""Streams of stamps as cameras give them, a recorder for what is paired, and the pairs by definition."""

import numpy as np

from irvis_fusion_ros.pairing import DROP_CAUSES, NANO, OTHER, NearestPairing, Pair

MS = NANO // 1000
START = 100 * NANO


class Recorder:
    """A pairing whose payloads are the stamps, and what came out of it."""

    def __init__(self, **options):
        self.pairs: list[Pair] = []
        self.alone: list[tuple[str, int]] = []
        self.pairing = NearestPairing(self.take, **options)

    def take(self, pair):
        """Sort what comes out into pairs and images alone."""
        if pair.dt is not None:
            self.pairs.append(pair)
            return
        name = 'thermal' if pair.visible is None else 'visible'
        assert getattr(pair, OTHER[name]) is None
        self.alone.append((name, getattr(pair, name)))

    def feed(self, events):
        """Put (arrival, stream, stamp) events, polling as a node would."""
        for arrival, stream, stamp in events:
            self.pairing.poll(arrival)
            self.pairing.put(stream, stamp, stamp, arrival, size=1)
        return self

    def stamps(self):
        return [(pair.thermal, pair.visible) for pair in self.pairs]

    def mean_dt(self):
        return float(np.mean([abs(t - v) for t, v in self.stamps()])) / NANO

    def assert_balanced(self):
        for stream, counts in self.pairing.counts.items():
            ends = counts['paired'] + counts['alone'] + sum(counts[cause] for cause in DROP_CAUSES)
            assert counts['received'] == ends + self.pairing.waiting(stream), (stream, counts)
            assert set(counts) <= {'received', 'paired', 'alone', *DROP_CAUSES}
        assert self.pairing.counts['thermal']['paired'] == len(self.pairs)


def stream(name, rate, count, *, phase=0.0, jitter=0.0, delay=0.0, seed=0):
    """Events of a camera; stamps are true times with jitter, arrivals `delay` seconds later."""
    rng = np.random.default_rng([seed, len(name)])
    true = phase + np.arange(count) / rate
    stamps = true + rng.normal(0, jitter, count)
    return [(t + delay, name, START + round(s * NANO)) for t, s in zip(true, stamps, strict=True)]


def merged(*streams):
    return sorted(event for events in streams for event in events)


def stable_matching(thermal, visible, tolerance):
    """The definition, by brute force: the nearest two, then the nearest two of the rest in order, ..."""
    distances = sorted((abs(t - v), t, v) for t in thermal for v in visible if abs(t - v) <= tolerance)
    pairs = []
    for _, t, v in distances:
        if all((t < other_t and v < other_v) or (t > other_t and v > other_v) for other_t, other_v in pairs):
            pairs.append((t, v))
    return sorted(pairs)

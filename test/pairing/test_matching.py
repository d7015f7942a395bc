"""
The pairs against the definition of a stable matching, by brute force, on random streams of every kind.

`python test_matching.py 50000` checks so many cases.
"""

import random
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # where this file is run by itself

from stamps import MS, START, merged, stable_matching

from irvis_fusion_ros.pairing import NANO, STREAMS, NearestPairing

KINDS = ('regular', 'jittered', 'irregular', 'bursts', 'grid')
RATES = ((30, 30), (30, 30), (30, 29.9), (9, 30), (25, 30), (30, 60), (15, 10))


def stamps_of(rng, kind, rate, count=40):
    """Return stamps of a camera in order; some lose images."""
    interval = NANO / rate
    begin = START + 2 * interval * rng.random()
    if kind == 'regular':
        stamps = [begin + number * interval for number in range(count)]
    elif kind == 'jittered':
        jitter = rng.choice([0.3, 1, 3, 5, 10]) * MS
        stamps = [begin + number * interval + rng.gauss(0, jitter) for number in range(count)]
    elif kind == 'irregular':
        stamps = [begin := begin + rng.expovariate(1 / interval) for _ in range(count)]
    elif kind == 'bursts':
        stamps = []
        while len(stamps) < count:
            begin += rng.expovariate(1 / (4 * interval))
            step = rng.choice([1, MS, 3 * MS])
            stamps += [begin + number * step for number in range(rng.randint(1, 6))]
    else:  # many equal stamps and equal distances
        stamps = [START + number * 10 * MS for number in rng.sample(range(3 * count), count)]
    lost = rng.choice([0, 0, 0.02, 0.1, 0.3])
    return sorted({round(stamp) for stamp in stamps if rng.random() >= lost})


class Case:
    """Two random streams: `events`, (arrival, camera, stamp with the offset applied) in order of arrival."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.kinds = [rng.choice(KINDS)] * 2 if rng.random() < 0.6 else rng.choices(KINDS, k=2)
        self.tolerance = rng.choice([0, 5, 20, 20, 50, 100]) * MS
        self.offset = rng.choice([0, 0, 3, -100, 500]) * MS
        self.overtaken = rng.random() < 0.3
        streams = []
        for name, kind, rate in zip(STREAMS, self.kinds, rng.choice(RATES), strict=True):
            delay = rng.choice([0, 0.01, 0.08])
            late = [0, 0, 0, 0.02, 0.07] if self.overtaken else [0]
            streams.append(
                [(s / NANO + delay + rng.choice(late), name, s) for s in stamps_of(rng, kind, rate)]
            )
        self.events = merged(*streams)

    def check(self):
        """Assert that the pairs are stable; return the largest preference, in nanoseconds."""
        run = Run(self)
        for number, event in enumerate(self.events):
            run.put(event, self.events[number + 1 :])
        run.flush()
        if not self.overtaken:
            thermal, visible = ([s for _, each, s in self.events if each == name] for name in STREAMS)
            if run.preference == 0:
                assert run.pairs == stable_matching(thermal, visible, self.tolerance)
            worst = worst_instability(run.pairs, thermal, visible, self.tolerance)
            assert worst <= run.preference
        return run.preference


class Run:
    """A pairing of one case. Each decision is checked against all that has arrived and all that will."""

    def __init__(self, case):
        self.pairs = []
        self.preference = 0
        self._tolerance = case.tolerance
        self._offset = case.offset
        self._pairing = NearestPairing(
            lambda pair: self.pairs.append((pair.thermal, pair.visible)),
            tolerance=case.tolerance / NANO,
            offset=case.offset / NANO,
            eager=False,
            give_up=False,
        )
        self._matching = self._pairing._matching
        self._waiting = {name: [] for name in STREAMS}
        self._last = dict.fromkeys(STREAMS, 0)

    def put(self, event, later):
        """Put one message, with those that will come later."""
        arrival, name, stamp = event
        refused = self._refused(name)
        known = len(self.pairs)
        self._pairing.put(name, stamp - self._offset * (name == 'thermal'), stamp, arrival)
        if self._refused(name) == refused:
            self._waiting[name].append(stamp)
            self._waiting[name].sort()
        self._last[name] = max(self._last[name], stamp)
        self._check(known, [(each, s) for _, each, s in later if s > self._last[each]])

    def flush(self):
        """Let the last pairs out."""
        known = len(self.pairs)
        self._pairing.flush()
        self._check(known, [])

    def _refused(self, name):
        counts = self._pairing.counts[name]
        return counts['late'] + counts['repeated']

    def _check(self, known, later):
        self.preference = max(self.preference, self._matching._preference)
        if all(len(self._waiting[name]) == self._pairing.waiting(name) for name in STREAMS):
            return
        stamps = {n: self._waiting[n] + sorted(s for each, s in later if each == n) for n in STREAMS}
        right = stable_matching(*stamps.values(), self._tolerance)
        new = self.pairs[known:]
        for place, name in enumerate(STREAMS):
            waiting = self._waiting[name]
            done = waiting[: len(waiting) - self._pairing.waiting(name)]
            del waiting[: len(done)]
            if self.preference == 0:
                expected = [pair for pair in right if pair[place] in done]
                assert [pair for pair in new if pair[place] in done] == expected


def worst_instability(pairs, thermal, visible, tolerance):
    """Return by how much two images that could be a pair are nearer to each other than to their partners."""
    partners = dict(pairs) | {v: t for t, v in pairs}
    worst = 0
    for t in thermal:
        for v in visible:
            distance = abs(t - v)
            if distance > tolerance or (t, v) in pairs:
                continue
            nearest = min(abs(each - partners[each]) if each in partners else NANO for each in (t, v))
            crossed = any((a < t and b > v) or (a > t and b < v) for a, b in pairs if abs(a - b) <= distance)
            if distance < nearest and not crossed:
                worst = max(worst, nearest - distance)
    return worst


@pytest.mark.parametrize('hundred', range(5))
def test_random_streams_get_the_stable_matching(hundred):
    for seed in range(hundred, 500, 5):
        Case(seed).check()


def test_an_image_without_its_nearest_partner_gets_the_next_one():
    # 38 is nearest to 43, which is nearest to 44; then 30 is free and nearer than 8
    pairs = []
    pairing = NearestPairing(
        lambda pair: pairs.append((pair.thermal, pair.visible)), tolerance=0.1, eager=False
    )
    events = [(38, 'thermal'), (44, 'thermal'), *((t, 'visible') for t in (8, 30, 43, 144, 230))]
    for stamp, name in sorted(events):
        pairing.put(name, stamp * MS, stamp, 0.0)
    pairing.flush()
    assert pairs == [(38, 30), (44, 43)]


@pytest.mark.parametrize('jitter', [0.0, 0.0005])
@pytest.mark.parametrize('rates', [(30, 30), (30, 29.97)])
def test_a_preferred_order_costs_no_more_than_the_jitter(jitter, rates):
    rng = random.Random(0)
    streams = {
        name: sorted(
            START + round((number / rate + rng.gauss(phase, jitter)) * NANO) for number in range(900)
        )
        for name, rate, phase in zip(STREAMS, rates, (0.016, 0), strict=True)
    }
    pairs = []
    pairing = NearestPairing(lambda pair: pairs.append((pair.thermal, pair.visible)), eager=False)
    for arrival, name, stamp in merged(*([(s / NANO, n, s) for s in each] for n, each in streams.items())):
        pairing.put(name, stamp, stamp, arrival)
    pairing.flush()
    assert len(pairs) >= 898
    assert max(abs(t - v) for t, v in pairs) <= NANO / 60 + 10 * jitter * NANO


if __name__ == '__main__':
    tried = Counter()
    for number in range(int(sys.argv[1])):
        case = Case(number)
        preferred = case.check() > 0
        tried['overtaken' if case.overtaken else 'in order'] += 1
        tried['order preferred'] += preferred
    print(dict(tried), '0 unstable')

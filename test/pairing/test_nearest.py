"""Pairing: what comes out, when, and that nothing is lost without a cause."""

import random
import threading

import numpy as np
import pytest
from stamps import MS, START, Recorder, merged, stable_matching, stream

from irvis_fusion_ros.pairing import NANO, OTHER, STREAMS, NearestPairing


@pytest.mark.parametrize('seed', range(10))
def test_pairs_depend_on_stamps_alone_when_not_eager(seed):
    rng = random.Random(seed)
    thermal = [stamp for *_, stamp in stream('thermal', 30, 200, jitter=0.003, phase=0.011)]
    visible = [stamp for *_, stamp in stream('visible', 30, 200, jitter=0.003)]
    thermal.sort(), visible.sort()

    def interleaved():
        queues = {'thermal': list(thermal), 'visible': list(visible)}
        while any(queues.values()):
            name = rng.choice([name for name in STREAMS if queues[name]])
            yield 0.0, name, queues[name].pop(0)

    results = []
    for _ in range(2):
        recorder = Recorder(eager=False, give_up=False, timeout=60)
        recorder.feed(interleaved()).pairing.flush()
        results.append(recorder.stamps())
    assert results[0] == results[1]
    assert len(results[0]) > 190


def test_tolerance_is_inclusive():
    recorder = Recorder(tolerance=0.02)
    recorder.feed([(0, 'thermal', START), (0, 'visible', START + 20 * MS)]).pairing.flush()
    assert recorder.stamps() == [(START, START + 20 * MS)]
    recorder = Recorder(tolerance=0.02)
    recorder.feed([(0, 'thermal', START), (0, 'visible', START + 20 * MS + 1)]).pairing.flush()
    assert recorder.stamps() == []


def test_dt_is_thermal_minus_visible_with_the_offset_applied():
    recorder = Recorder(offset=0.1)
    recorder.feed([(1.0, 'thermal', START), (1.3, 'visible', START + 95 * MS)]).pairing.flush()
    assert recorder.pairs[0].dt == pytest.approx(0.005)
    assert recorder.pairs[0].arrival == 1.3


@pytest.mark.parametrize('delay', [0.0, 0.06])
@pytest.mark.parametrize('phase', [0.0, 0.005, 0.010])
def test_equal_rates_add_no_frame_of_latency(phase, delay):
    events = merged(
        stream('visible', 30, 60, jitter=0.0005), stream('thermal', 30, 60, phase=phase, delay=delay)
    )
    recorder = Recorder()
    late = 0
    for arrival, name, stamp in events:
        before = len(recorder.pairs)
        recorder.feed([(arrival, name, stamp)])
        if arrival > 0.5:  # the rates are learned
            late += any(pair.arrival < arrival for pair in recorder.pairs[before:])
    assert late == 0
    assert len(recorder.pairs) == 60


@pytest.mark.parametrize(
    ('thermal_rate', 'visible_rate', 'tolerance', 'jitter'),
    [(9, 30, 0.02, 0), (9, 30, 0.05, 0), (30, 60, 0.02, 0.003), (30, 60, 0.05, 0.003), (25, 30, 0.02, 0.001)],
)
@pytest.mark.parametrize('eager', [True, False])
def test_unequal_rates_get_the_smallest_dt(thermal_rate, visible_rate, tolerance, jitter, eager):
    thermal = stream('thermal', thermal_rate, 10 * thermal_rate, phase=0.007, jitter=jitter)
    visible = stream('visible', visible_rate, 10 * visible_rate, jitter=jitter, seed=1)
    recorder = Recorder(tolerance=tolerance, eager=eager)
    recorder.feed(merged(thermal, visible)).pairing.flush()
    best = stable_matching([e[2] for e in thermal], [e[2] for e in visible], round(tolerance * NANO))
    # eager may take a step sooner than seen before: never a pair less, and hardly a longer dt
    assert len(recorder.pairs) >= len(best)
    assert recorder.mean_dt() <= np.mean([abs(t - v) for t, v in best]) / NANO * 1.01


def test_cameras_half_a_period_apart_keep_their_side():
    events = merged(
        stream('visible', 30, 600, jitter=0.0005), stream('thermal', 30, 600, phase=0.0164, jitter=0.0005)
    )
    recorder = Recorder(tolerance=0.02)
    recorder.feed(events).pairing.flush()
    assert len(recorder.pairs) >= 597


def test_a_bag_loop_pairs_every_pass_alike():
    one = merged(stream('visible', 30, 300), stream('thermal', 9, 90, phase=0.004, delay=0.05))
    once = Recorder()
    once.feed(one).pairing.flush()
    looped = Recorder()
    for number in range(4):
        looped.feed([(arrival + 10.1 * number, name, stamp) for arrival, name, stamp in one])
    looped.pairing.flush()
    looped.assert_balanced()
    assert looped.pairing.jumps == 3
    # at each seam the last image may still be under way when the other camera has begun again
    assert 4 * len(once.pairs) - 3 <= len(looped.pairs) <= 4 * len(once.pairs)


@pytest.mark.parametrize('first', STREAMS)
def test_a_loop_seam_in_any_order_loses_only_what_is_under_way(first):
    recorder = Recorder()
    recorder.feed(merged(stream('visible', 30, 30), stream('thermal', 30, 30)))
    recorder.feed([(1.0, first, START)])
    recorder.feed([(1.0, OTHER[first], START + NANO)])  # the last one of the old pass, late
    assert recorder.pairing.counts[OTHER[first]]['time_jump'] == 1
    recorder.feed([(1.1, OTHER[first], START)])
    assert recorder.pairing.jumps == 1
    recorder.pairing.flush()
    assert recorder.stamps()[-1] == (START, START)
    recorder.assert_balanced()


def test_one_clock_set_back_alone_recovers():
    recorder = Recorder(offset=0.0)
    both = merged(stream('visible', 30, 300), stream('thermal', 30, 300))
    events = [(a, n, s - NANO if n == 'thermal' and a > 4 else s) for a, n, s in both]
    recorder.feed(events)
    assert recorder.pairing.lag() == pytest.approx(1.0, abs=1e-3)
    before = len(recorder.pairs)
    recorder.pairing.configure(tolerance=0.02, offset=1.0, timeout=0.5, max_bytes=None)
    recorder.feed([(a + 10, n, s + 10 * NANO - (NANO if n == 'thermal' else 0)) for a, n, s in both])
    assert len(recorder.pairs) - before >= 299
    recorder.assert_balanced()


def test_a_stall_of_one_camera_costs_only_its_own_images():
    visible = stream('visible', 30, 300)
    thermal = [event for event in stream('thermal', 9, 90, phase=0.004) if not 4 < event[0] < 6]
    recorder = Recorder()
    recorder.feed(merged(visible, thermal)).pairing.flush()
    assert len(recorder.pairs) == len(thermal)
    lost = recorder.pairing.counts['visible']['no_partner'] + recorder.pairing.waiting('visible')
    assert lost == len(visible) - len(thermal)


def test_refusals_by_cause():
    recorder = Recorder()
    for stamp in (0, START, START, START + 100 * MS, START + 40 * MS, START + 100 * MS):
        recorder.pairing.put('thermal', stamp, None, 0.0)
    recorder.pairing.put('visible', START + 40 * MS, None, 0.0)
    counts = recorder.pairing.counts['thermal']
    assert (counts['zero_stamp'], counts['repeated']) == (1, 2)
    # START + 40 ms was overtaken, but not too late yet
    assert len(recorder.pairs) == 1
    recorder.pairing.put('thermal', START + 30 * MS, None, 0.0)
    assert counts['late'] == 1
    recorder.assert_balanced()


def test_waiting_is_bounded_by_number_bytes_and_time():
    recorder = Recorder(max_waiting=5)
    recorder.feed(stream('visible', 1000, 12))
    assert recorder.pairing.waiting('visible') == 5
    assert recorder.pairing.counts['visible']['queue_full'] == 7

    recorder = Recorder(max_bytes=100, give_up=False)
    for number in range(12):
        recorder.pairing.put('visible', START + number, None, 0.0, size=30)
    assert recorder.pairing.waiting('visible') == 3
    recorder.assert_balanced()

    recorder = Recorder(timeout=0.5)
    recorder.feed([(0.0, 'visible', START)]).pairing.poll(0.49)
    assert recorder.pairing.waiting('visible') == 1
    recorder.pairing.poll(0.51)
    assert recorder.pairing.counts['visible']['no_partner'] == 1


def test_the_last_pair_comes_out_on_a_time_out():
    events = merged(stream('visible', 30, 30), stream('thermal', 30, 30, phase=0.005))
    recorder = Recorder(eager=False, give_up=False, timeout=0.5)
    recorder.feed(events)
    assert len(recorder.pairs) == 29
    recorder.pairing.put('visible', START + 2 * NANO, None, 1.0)
    recorder.pairing.poll(1.4)
    recorder.pairing.poll(2.1)
    assert len(recorder.pairs) == 30
    assert recorder.pairing.waiting('visible') == 1, 'nothing is given up without give_up'


def test_an_absent_camera_lets_the_other_pass_until_it_is_back():
    recorder = Recorder()
    recorder.feed([(0.0, 'visible', START), (0.1, 'visible', START + 100 * MS)])
    recorder.pairing.set_absent('thermal')
    recorder.feed([(0.2, 'visible', START + 200 * MS)])
    assert [stamp for _, stamp in recorder.alone] == [START, START + 100 * MS, START + 200 * MS]
    recorder.feed([(0.3, 'thermal', 0)])
    recorder.feed([(0.3, 'visible', START + 300 * MS)])
    assert len(recorder.alone) == 4, 'an image that cannot be used is no sign of life'
    recorder.feed([(0.4, 'thermal', START + 400 * MS), (0.4, 'visible', START + 400 * MS)])
    recorder.pairing.flush()
    assert len(recorder.alone) == 4
    assert len(recorder.pairs) == 1
    recorder.assert_balanced()


def test_a_callback_that_raises_or_calls_back_does_no_harm():
    pairs = []

    def on_pair(pair):
        pairs.append(pair.visible)
        if len(pairs) == 1:
            pairing.put('visible', START + 500 * MS, 500, 0.0)
            raise ValueError('from the callback')

    pairing = NearestPairing(on_pair, eager=False)
    with pytest.raises(ValueError, match='from the callback'):
        for stamp in (START, START + 100 * MS, START + 200 * MS):
            pairing.put('thermal', stamp, stamp, 0.0)
            pairing.put('visible', stamp, stamp, 0.0)
    pairing.put('thermal', START + 500 * MS, 500, 0.0)
    done = threading.Thread(target=pairing.flush, daemon=True)
    done.start()
    done.join(10)
    assert not done.is_alive(), 'a lock was left held'
    assert pairs[-1] == 500
    assert pairing.counts['visible']['paired'] == len(pairs)


def test_pairs_of_many_threads_come_out_once_and_in_order():
    recorder = Recorder(eager=False, give_up=False)
    count = 2000
    threads = [
        threading.Thread(target=lambda name=name: [
            recorder.pairing.put(name, START + number * 33 * MS, number, 0.0) for number in range(count)
        ])
        for name in STREAMS
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.pairing.flush()
    assert [pair.thermal for pair in recorder.pairs] == list(range(count))
    recorder.assert_balanced()


def test_says_how_far_the_clocks_are_apart():
    lagging = [
        (a, n, s - 143 * MS) for a, n, s in stream('thermal', 9, 90, phase=0.01) + stream('thermal', 9, 0)
    ]
    recorder = Recorder(tolerance=0.01)
    recorder.feed(merged(stream('visible', 9, 90), lagging))
    assert recorder.pairing.lag() == pytest.approx(0.143, abs=0.002)
    assert recorder.pairing.miss() is not None
    assert recorder.pairing.miss() > 0.01
    assert Recorder().pairing.lag() is None


@pytest.mark.parametrize('seed', range(30))
def test_every_message_has_exactly_one_end(seed):
    rng = random.Random(seed)
    recorder = Recorder(
        tolerance=rng.choice([0, 0.01, 0.05]),
        eager=rng.random() < 0.5,
        give_up=rng.random() < 0.5,
        max_waiting=rng.choice([None, 3, 20]),
        max_bytes=rng.choice([None, 10]),
    )
    clock = {name: START for name in STREAMS}
    arrival = 0.0
    for _ in range(600):
        arrival += rng.expovariate(60)
        name = rng.choice(STREAMS)
        clock[name] += rng.choice([0, 1, 10 * MS, 33 * MS, 34 * MS, -40 * MS])
        if rng.random() < 0.02:
            clock[name] += rng.choice([-5, -1, 1, 100]) * NANO
        recorder.feed([(arrival, name, 0 if rng.random() < 0.02 else clock[name])])
        action = rng.random()
        if action < 0.01:
            recorder.pairing.reset()
        elif action < 0.02:
            recorder.pairing.set_absent(rng.choice([None, *STREAMS]))
        elif action < 0.03:
            recorder.pairing.configure(
                tolerance=rng.choice([0.001, 0.03]), offset=rng.choice([0, 0.1]), timeout=0.1, max_bytes=None
            )
        elif action < 0.04:
            recorder.pairing.flush()
        recorder.assert_balanced()
    assert len(recorder.pairs) == len({id(pair) for pair in recorder.pairs})

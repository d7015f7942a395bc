"""The worker and its queues. No ROS needed."""

import threading
from collections import Counter

from irvis_fusion_ros.pairing import Pair
from irvis_fusion_ros.ros.worker import Everything, Newest, Worker

DROPS = ('superseded', 'too_old', 'overflow', 'stopped')


def pair(number, size=10, arrival=0.0):
    return Pair(None, number, arrival, size=size)


class Bench:
    """A worker whose pairs wait until they are let through."""

    def __init__(self, make_queue, failing=()):
        self.done, self.errors = [], []
        self.let_through = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.worker = Worker(make_queue, self._process, self.errors.append)
        self._failing = failing

    def _process(self, pair):
        self.begun.release()
        self.let_through.acquire(timeout=10)
        number = pair.visible
        if number in self._failing:
            raise RuntimeError(f'pair {number}')
        self.done.append(number)

    def submit_and_begin(self, number):
        self.worker.submit(pair(number, arrival=1e12))
        assert self.begun.acquire(timeout=10)

    def finish(self, pairs):
        for _ in range(pairs):
            self.let_through.release()
        idle = threading.Event()
        for _ in range(2):
            idle.clear()
            self.worker.between_frames(idle.set)
            assert idle.wait(10)

    def assert_balanced(self):
        counts = self.worker.counts
        ends = counts['done'] + counts['error'] + sum(counts[cause] for cause in DROPS)
        assert counts['submitted'] == ends + self.worker.waiting, counts


def newest(counts):
    return Newest(1.0, counts, clock=lambda: 0.0)


def everything(counts):
    return Everything(100, counts)


def test_realtime_does_the_newest():
    bench = Bench(newest)
    bench.worker.start()
    bench.submit_and_begin(0)
    for number in range(1, 5):
        bench.worker.submit(pair(number, arrival=1e12))
    bench.finish(2)
    bench.worker.stop()
    assert bench.done == [0, 4]
    assert bench.worker.counts['superseded'] == 3
    bench.assert_balanced()


def test_realtime_drops_what_arrived_too_long_ago():
    counts, now = Counter(), [0.0]
    queue = Newest(0.5, counts, clock=lambda: now[0])
    for age, kept in ((0.5, True), (0.51, False)):
        queue.put(pair(0, arrival=10.0))
        now[0] = 10.0 + age
        assert (queue.take() is not None) == kept
    assert counts == {'too_old': 1}
    queue.limit = 1.0
    queue.put(pair(0, arrival=10.0))
    assert queue.take() is not None


def test_every_frame_does_all_in_order_up_to_the_bytes():
    bench = Bench(everything)
    bench.worker.start()
    bench.submit_and_begin(0)
    for number in range(1, 13):
        bench.worker.submit(pair(number))
    assert bench.worker.waiting == 10
    bench.finish(11)
    bench.worker.stop()
    assert bench.done == list(range(11))
    assert bench.worker.counts['overflow'] == 2
    bench.assert_balanced()


def test_one_image_larger_than_the_limit_is_still_done():
    counts = Counter()
    queue = Everything(100, counts)
    queue.put(pair(0, size=1000))
    queue.put(pair(1, size=1))
    assert queue.take().visible == 0 and queue.take() is None
    assert counts == {'overflow': 1}


def test_an_error_is_told_and_the_next_pair_is_done():
    bench = Bench(everything, failing={1})
    bench.worker.start()
    for number in range(3):
        bench.worker.submit(pair(number))
    bench.finish(3)
    bench.worker.between_frames(lambda: 1 / 0)
    bench.finish(0)
    bench.worker.stop()
    assert bench.done == [0, 2]
    assert [type(error) for error in bench.errors] == [RuntimeError, ZeroDivisionError]
    bench.assert_balanced()


def test_stopping_drops_what_waits_and_starting_again_works():
    bench = Bench(everything)
    bench.worker.start()
    bench.submit_and_begin(0)
    for number in range(1, 4):
        bench.worker.submit(pair(number))
    stopping = threading.Thread(target=bench.worker.stop)
    stopping.start()
    bench.let_through.release()
    stopping.join(10)
    assert not stopping.is_alive()
    assert bench.done == [0] and bench.worker.counts['stopped'] == 3
    bench.worker.start()
    bench.submit_and_begin(4)
    bench.finish(1)
    bench.worker.stop()
    assert bench.done == [0, 4]
    bench.assert_balanced()


def test_actions_run_between_frames_even_when_idle():
    bench = Bench(newest)
    bench.worker.start()
    order = []
    bench.submit_and_begin(0)
    bench.worker.between_frames(lambda: order.append(list(bench.done)))
    assert order == []
    bench.finish(1)
    bench.worker.stop()
    assert order == [[0]]

"""The pairing beside message_filters; skipped where that is not importable."""

import importlib.util

import pytest
from stamps import START, Recorder, merged, stream

from irvis_fusion_ros.pairing import NANO
from irvis_fusion_ros.ros.filters import UpstreamPairing, nearest_synchronizer

needs_message_filters = pytest.mark.skipif(
    importlib.util.find_spec('message_filters') is None or importlib.util.find_spec('rclpy') is None,
    reason='message_filters is not importable (it comes with a ROS distribution)',
)


@pytest.mark.skipif(
    importlib.util.find_spec('message_filters') is not None, reason='message_filters is installed'
)
@pytest.mark.parametrize('make', [lambda: UpstreamPairing('exact_time', print), nearest_synchronizer])
def test_says_what_is_missing_without_message_filters(make):
    with pytest.raises(ValueError, match=r'message_filters is not installed.*nearest'):
        make()


def message(stamp):
    from builtin_interfaces.msg import Time
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    return Image(header=Header(stamp=Time(sec=stamp // NANO, nanosec=stamp % NANO)))


@needs_message_filters
def test_is_a_filter_between_filters():
    import message_filters

    sources = message_filters.SimpleFilter(), message_filters.SimpleFilter()
    behind_a_cache = message_filters.Cache(sources[1], 10)
    ours = nearest_synchronizer([sources[0], behind_a_cache], tolerance=0.02)
    pairs = []
    ours.registerCallback(lambda thermal, visible, extra: pairs.append((thermal, visible, extra)), 'extra')
    for number in range(10):
        sources[0].signalMessage(message(START + number * NANO))
        sources[1].signalMessage(message(START + number * NANO + NANO // 100))
    ours.pairing.flush()
    assert len(pairs) == 10
    thermal, visible, extra = pairs[-1]
    assert visible.header.stamp.nanosec - thermal.header.stamp.nanosec == NANO // 100
    assert extra == 'extra'


class Upstream(Recorder):
    """A Recorder of a policy of message_filters."""

    def __init__(self, policy, **options):
        super().__init__()
        self.pairing = UpstreamPairing(policy, self.take, **options)


@needs_message_filters
@pytest.mark.parametrize(('policy', 'expected'), [('approximate_time', 90), ('exact_time', 30)])
def test_policies_of_message_filters_account_for_everything(policy, expected):
    visible = stream('visible', 30, 90)
    thermal = [(a, n, s + (5_000_000 if number % 3 else 0)) for number, (a, n, s) in enumerate(visible)]
    thermal = [(a, 'thermal', s) for a, _, s in thermal]
    recorder = Upstream(policy).feed(merged(visible, thermal))
    assert len(recorder.pairs) == expected
    recorder.assert_balanced()
    recorder.feed(merged(visible, thermal))
    assert recorder.pairing.jumps == 1
    assert len(recorder.pairs) == 2 * expected
    recorder.assert_balanced()


SCENARIOS = {
    '30/9 Hz': (0.05, [stream('visible', 30, 300), stream('thermal', 9, 90, phase=0.013)]),
    '60/30 Hz with jitter': (
        0.02,
        [stream('visible', 60, 600, jitter=0.003), stream('thermal', 30, 300, phase=0.004, jitter=0.003)],
    ),
    'offset clocks': (
        0.02,
        [stream('visible', 30, 300, jitter=0.001), stream('thermal', 30, 300, phase=0.012, jitter=0.001)],
    ),
    'a stall': (
        0.02,
        [
            stream('visible', 30, 300),
            [e for e in stream('thermal', 9, 90, phase=0.004) if not 4 < e[0] < 6],
        ],
    ),
}
SCENARIOS['a bag loop'] = (
    0.02,
    [
        [(arrival + 10.1 * number, name, stamp) for arrival, name, stamp in merged(*SCENARIOS['30/9 Hz'][1])]
        for number in range(3)
    ],
)


@needs_message_filters
@pytest.mark.parametrize('scenario', SCENARIOS)
def test_finds_no_fewer_pairs_than_upstream_and_nearer_ones(scenario):
    import message_filters

    tolerance, streams = SCENARIOS[scenario]
    events = merged(*streams)
    sources = {name: message_filters.SimpleFilter() for name in ('thermal', 'visible')}
    theirs = []
    synchronizer = message_filters.ApproximateTimeSynchronizer(list(sources.values()), 10, tolerance)
    synchronizer.registerCallback(lambda t, v: theirs.append(abs(t.seen - v.seen)))

    class Seen:
        def __init__(self, stamp):
            self.header, self.seen = message(stamp).header, stamp

    for _, name, stamp in events:
        sources[name].signalMessage(Seen(stamp))
    ours = Recorder(tolerance=tolerance)
    ours.feed(events).pairing.flush()
    print(
        f'{scenario}: {len(ours.pairs)} pairs, mean |dt| {1e3 * ours.mean_dt():.2f} ms; '
        f'upstream {len(theirs)}, {sum(theirs) / len(theirs) / 1e6:.2f} ms'
    )
    assert len(ours.pairs) >= len(theirs)
    nearest_as_many = sorted(abs(t - v) for t, v in ours.stamps())[: len(theirs)]
    assert sum(nearest_as_many) <= sum(theirs)

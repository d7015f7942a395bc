"""
Play a rosbag2 recording (mcap or sqlite3) to its topics, without a ROS distribution.

Messages go out as they were recorded, at the pace of their recording times; only rclpy is needed.
"""

import argparse
import importlib
import re
import signal
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from irvis_fusion_ros import cli, dds_profile
from irvis_fusion_ros.errors import BagError, IncompleteBagError
from irvis_fusion_ros.io.bags import COMPRESSED_IMAGE, IMAGE, BagReader, Record, Topic

CLOCK = '/clock'
TOPIC_NAME = r'[~/]?[A-Za-z_]\w*(/[A-Za-z_]\w*)*'
CLOCK_PERIOD = 0.025  # s; what `ros2 bag play --clock` publishes at, too
# Deep enough that a subscriber which stalls for seconds loses nothing.
QUEUE_DEPTH = 200
# What is on its way to a subscriber that has gone would be waited for in vain.
ACKNOWLEDGE_SECONDS = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options, ros_arguments = _split_ros_arguments(sys.argv[1:] if argv is None else list(argv))
    arguments = _parser().parse_args(options)
    try:
        with BagReader(arguments.bag) as bag:
            for note in bag.notes:
                print(f"replay: bag '{bag.path}': {note}", file=sys.stderr)
            return _play(bag, arguments, ros_arguments)
    except BagError as error:
        print(f'replay: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


@dataclass(frozen=True)
class Selection:
    """Which messages of a bag are played, and on which topics: recorded name to published name."""

    topics: dict[str, str]
    start: int
    stop: int

    @staticmethod
    def of(bag: BagReader, arguments: argparse.Namespace) -> 'Selection':
        """Resolve the command line against what the bag holds. Raises BagError."""
        wanted = [bag.topic(name) for name in arguments.topics or bag.topics]
        topics = {t.name: t.name for t in wanted if t.count and not (arguments.clock and t.name == CLOCK)}
        for remap in arguments.remap:
            old, _, new = remap.partition(':=')
            if not old or not new:
                raise BagError(f"--remap '{remap}': expected RECORDED:=PUBLISHED")
            if not re.fullmatch(TOPIC_NAME, new, re.ASCII):
                raise BagError(f"--remap '{remap}': '{new}' is not a valid topic name")
            topics[bag.topic(old).name] = new
        start = bag.start + round(arguments.start * 1e9)
        stop = bag.stop if arguments.duration is None else start + round(arguments.duration * 1e9)
        if not topics or start >= bag.stop:
            raise BagError(
                f"there is nothing to play in bag '{bag.path}' ({(bag.stop - bag.start) / 1e9:.1f} s):\n"
                + bag.contents()
            )
        return Selection(topics, start, min(stop, bag.stop))


@dataclass
class Statistics:
    """What was published, and how late."""

    counts: dict[str, int] = field(default_factory=dict)
    worst_lateness: float = 0.0
    worst_topic: str = ''

    def add(self, topic: str, lateness: float) -> None:
        """Count a message published `lateness` seconds after its time."""
        self.counts[topic] = self.counts.get(topic, 0) + 1
        if lateness > self.worst_lateness:
            self.worst_lateness, self.worst_topic = lateness, topic

    def __str__(self) -> str:
        lines = [f'  {count:6d}  {topic}' for topic, count in self.counts.items()]
        if self.worst_topic:
            lines.append(
                f'  the latest message was {self.worst_lateness * 1e3:.1f} ms late ({self.worst_topic})'
            )
        return '\n'.join(lines) or '  nothing'


class Pacer:
    """
    The time line of a replay: bag time runs `rate` times as fast as a steady clock.

    Waiting for absolute instants of a steady clock, so that delays do not add up.
    """

    def __init__(self, rate: float, start: int):
        self._rate = rate
        self._bag_start = start
        self._start = time.monotonic()

    def now(self) -> int:
        """Return the bag time at this moment, in nanoseconds."""
        return self._bag_start + round((time.monotonic() - self._start) * 1e9 * self._rate)

    def lateness(self, bag_time: int) -> float:
        """Return how many seconds of the steady clock ago the bag time was; negative in the future."""
        return time.monotonic() - self._start - (bag_time - self._bag_start) / 1e9 / self._rate


class Player:
    """Publishes the selected messages of a bag on a ROS node."""

    def __init__(self, node: Any, bag: BagReader, selection: Selection, arguments: argparse.Namespace):
        self._node = node
        self._bag = bag
        self._selection = selection
        self._rate = arguments.rate
        self._restamp = arguments.restamp
        self._publishers: dict[str, Any] = {}
        self._stamped: set[str] = set()
        self._images: list[Any] = []
        for name, published in selection.topics.items():
            self._advertise(bag.topics[name], published)
        if not self._publishers:
            raise BagError(
                f"none of the message types or topic names of bag '{bag.path}' can be used:\n{bag.contents()}"
            )
        self._clock = _ClockPublisher(node) if arguments.clock else None
        self.statistics = Statistics()
        self.incomplete: IncompleteBagError | None = None

    def wait_for_subscribers(self, endpoints: int, seconds: float) -> int:
        """Wait until `endpoints` image topics (or any topics, if none is an image) are subscribed to."""
        publishers = self._images or list(self._publishers.values())
        deadline = time.monotonic() + seconds

        def matched() -> int:
            return sum(p.get_subscription_count() > 0 for p in publishers)

        while matched() < min(endpoints, len(publishers)) and time.monotonic() < deadline:
            time.sleep(0.02)
        # the subscriptions of one node are discovered one after the other
        settled = time.monotonic()
        before = matched()
        while time.monotonic() < min(settled + 0.3, deadline):
            time.sleep(0.02)
            if matched() != before:
                before, settled = matched(), time.monotonic()
        return before

    def play(self, loop: bool) -> None:
        """Publish everything once, or for ever."""
        shift = time.time_ns() - self._selection.start if self._restamp else 0
        number = 1
        while True:
            self._play_once(shift, f'pass {number}' if loop else 'replay')
            if not loop:
                return
            number += 1
            if self._restamp:
                shift += self._period()

    def finish(self) -> bool:
        """Wait until subscribers have acknowledged everything; say whether they did."""
        from rclpy.duration import Duration

        deadline = time.monotonic() + ACKNOWLEDGE_SECONDS
        return all(
            p.wait_for_all_acked(Duration(seconds=max(0.0, deadline - time.monotonic())))
            for p in self._publishers.values()
        )

    def _advertise(self, topic: Topic, published: str) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
        from rclpy.qos_overriding_options import QoSOverridingOptions

        message_class = _message_class(topic.type)
        problem = f'message type {topic.type} is not installed' if message_class is None else ''
        if not re.fullmatch(TOPIC_NAME, published, re.ASCII):
            problem = f'ROS 2 does not allow this name; play it as another, --remap {topic.name}:=/NAME'
        if problem:
            self._node.get_logger().warning(f"topic '{topic.name}' is left out: {problem}")
            return
        latched = DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE
        profile = QoSProfile(depth=QUEUE_DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=latched)
        self._publishers[topic.name] = self._node.create_publisher(
            message_class,
            published,
            profile,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        if topic.type in (IMAGE, COMPRESSED_IMAGE):
            self._images.append(self._publishers[topic.name])
        if next(iter(message_class.get_fields_and_field_types().items()), None) == (
            'header',
            'std_msgs/Header',
        ):
            self._stamped.add(topic.name)

    def _records(self) -> Iterator[Record]:
        try:
            yield from self._bag.records(self._publishers, self._selection.start, self._selection.stop)
        except IncompleteBagError as error:
            self.incomplete = error

    def _play_once(self, shift: int, title: str) -> None:
        total = (self._selection.stop - self._selection.start) / 1e9
        layout = '{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s {postfix}'
        with cli.progress(total=total, desc=title, bar_format=layout) as bar:
            # a record is read before its time has come, so reading delays nothing
            pacer = Pacer(self._rate, self._selection.start)
            for record in self._records():
                self._wait_until(record.time, pacer, shift)
                cdr = record.cdr
                if shift and record.topic in self._stamped:
                    cdr = shifted(cdr, shift)
                late = pacer.lateness(record.time)
                self._publishers[record.topic].publish(cdr)
                self.statistics.add(self._selection.topics[record.topic], late)
                bar.update((record.time - self._selection.start) / 1e9 - bar.n)
            self._wait_until(self._selection.stop, pacer, shift)
            bar.update(total - bar.n)

    def _wait_until(self, bag_time: int, pacer: Pacer, shift: int) -> None:
        while (early := -pacer.lateness(bag_time)) > 0:
            if self._clock:
                self._clock.publish_if_due(pacer.now() + shift)
                early = min(early, CLOCK_PERIOD)
            time.sleep(early)
        if self._clock:
            self._clock.publish(bag_time + shift)

    def _period(self) -> int:
        """One pass and the interval between two messages of the busiest topic: no stamp comes twice."""
        duration = self._selection.stop - self._selection.start
        busiest = max(self._bag.topics[name].count for name in self._publishers)
        return duration + duration // max(busiest - 1, 1)


class _ClockPublisher:
    """Publishes bag time on /clock, for nodes with use_sim_time."""

    def __init__(self, node: Any):
        from rclpy.qos import QoSProfile
        from rosgraph_msgs.msg import Clock

        self._message = Clock()
        self._publisher = node.create_publisher(Clock, CLOCK, QoSProfile(depth=10))
        self._last = float('-inf')

    def publish(self, nanoseconds: int) -> None:
        self._last = time.monotonic()
        self._message.clock.sec, self._message.clock.nanosec = divmod(nanoseconds, 1_000_000_000)
        self._publisher.publish(self._message)

    def publish_if_due(self, nanoseconds: int) -> None:
        if time.monotonic() - self._last >= CLOCK_PERIOD:
            self.publish(nanoseconds)


def shifted(cdr: bytes, nanoseconds: int) -> bytes:
    """Return a serialized message that begins with a header, its stamp moved; a zero stamp stays zero."""
    order = '<' if cdr[1] & 1 else '>'
    seconds, rest = struct.unpack_from(order + 'iI', cdr, 4)
    if seconds == rest == 0:
        return cdr
    stamp = divmod(seconds * 1_000_000_000 + rest + nanoseconds, 1_000_000_000)
    moved = bytearray(cdr)
    struct.pack_into(order + 'iI', moved, 4, *stamp)
    return bytes(moved)


def _play(bag: BagReader, arguments: argparse.Namespace, ros_arguments: list[str]) -> int:
    selection = Selection.of(bag, arguments)
    profile = dds_profile.apply()
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions
    except ImportError as error:
        print(
            f'replay: publishing needs ROS 2 ({error}). Source a distribution, '
            "or install its wheels: pip install 'irvis_fusion_ros[ros]'",
            file=sys.stderr,
        )
        return 1
    if profile is None:
        print('replay: no Fast DDS profile found; best-effort subscribers may lose images', file=sys.stderr)
    # launch files and service managers end a process by SIGTERM: the same clean end as Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        rclpy.init(args=ros_arguments, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # its classes differ between distributions
        print(f'replay: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    try:
        player = Player(rclpy.create_node('replay'), bag, selection, arguments)
        try:
            _announce(player, arguments)
            player.play(arguments.loop)
        except KeyboardInterrupt:
            # a launched process gets SIGINT twice on Ctrl-C: the second must not break the teardown
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print('\nreplay: stopped', file=sys.stderr)
        acknowledged = player.finish()
        print(f'published:\n{player.statistics}')
    finally:
        rclpy.try_shutdown()
    if player.incomplete:
        print(f'replay: {player.incomplete}', file=sys.stderr)
        return 1
    if not acknowledged:
        print(f'replay: not everything was received within {ACKNOWLEDGE_SECONDS:g} s', file=sys.stderr)
        return 1
    return 0


def _announce(player: Player, arguments: argparse.Namespace) -> None:
    if arguments.wait <= 0:
        return
    print(f'replay: waiting up to {arguments.wait:g} s for subscribers (--wait 0: do not)', file=sys.stderr)
    found = player.wait_for_subscribers(arguments.subscribers, arguments.wait)
    if found < arguments.subscribers:
        print(f'replay: playing with subscribers on {found} topics', file=sys.stderr)


def _message_class(type_name: str) -> type | None:
    package, _, name = type_name.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name, None)
    except ImportError:
        return None


def _split_ros_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part `--ros-args ... [--]` from ours; works without ROS, so that --help does."""
    if '--ros-args' not in arguments:
        return arguments, []
    start = arguments.index('--ros-args')
    stop = arguments.index('--', start) + 1 if '--' in arguments[start:] else len(arguments)
    return arguments[:start] + arguments[stop:], arguments[start:stop]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='replay', description=__doc__.strip().splitlines()[0])
    parser.add_argument('bag', metavar='BAG', help='rosbag2 directory, or a .mcap or .db3 file')
    parser.add_argument(
        '--rate', type=cli.above_zero, default=1.0, help='times as fast as recorded (default 1)'
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end, until stopped')
    parser.add_argument('--clock', action='store_true', help='publish bag time on /clock (use_sim_time)')
    parser.add_argument(
        '--remap',
        metavar='A:=B',
        action='append',
        default=[],
        help='publish recorded topic A as B; can be given more than once',
    )
    parser.add_argument(
        '--restamp',
        action='store_true',
        help='shift all header stamps so that the bag starts now; differences stay, whatever --rate, and '
        '--loop goes on',
    )
    parser.add_argument('--topics', nargs='+', metavar='TOPIC', help='play these topics only')
    parser.add_argument(
        '--start', type=cli.not_negative, default=0.0, metavar='S', help='skip the first S seconds'
    )
    parser.add_argument('--duration', type=cli.above_zero, metavar='S', help='play S seconds only')
    parser.add_argument(
        '--wait',
        type=cli.not_negative,
        default=10.0,
        metavar='S',
        help='wait up to S seconds for subscribers before starting (default 10; 0: start at once)',
    )
    parser.add_argument(
        '--subscribers',
        type=int,
        default=1,
        metavar='N',
        help='how many image topics must have a subscriber to start (default 1)',
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())

"""A subscription that follows its publishers, and knows which of them send."""

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy, qos_policy_name_from_kind

from irvis_fusion_ros.ros import qos
from irvis_fusion_ros.ros.senders import Senders, full_name
from irvis_fusion_ros.ros.throttle import WarningThrottle

# Numbers of more are not kept: publishers may come and go for as long as the node runs.
_MOST_PUBLISHERS = 64


class Source:
    """
    A subscription that is reliable as long as every publisher offers that, else best effort.

    Large images need reliable, many drivers offer best effort only, and publishers may come after the node.
    Overrides of the user win.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        throttle: WarningThrottle,
    ):
        self._node = node
        self._type = message_type
        self._callback = callback
        self._depth = depth
        self._throttle = throttle
        self._subscription: Any = None
        self._fixed = qos.overridden(node, topic, 'subscription', 'reliability')
        self.topic = topic
        self.reliable = True
        self.publishers = 0
        self._reported_lost = 0
        self._gaps = 0
        self._last_numbers: dict[bytes, int] = {}  # by publisher
        self.foreign_types: tuple[str, ...] = ()
        self.incompatible = ''  # the policy, if a publisher cannot be heard because of it
        self._senders = Senders()

    @property
    def lost(self) -> int:
        """How many messages were lost on the way, or overwritten before they could be taken."""
        # DDS reports no overwritten ones, and gaps need a message behind them
        return max(self._reported_lost, self._gaps)

    def open(self) -> None:
        """Subscribe."""
        self._last_numbers.clear()
        self._subscription = self._node.create_subscription(
            self._type,
            self.topic,
            self._take if qos.GIVES_MESSAGE_INFO else lambda message: self._take(message, {}),
            qos.profile(self._depth, reliable=self.reliable),
            event_callbacks=qos.subscription_events(self._on_incompatible, self._on_lost),
            qos_overriding_options=qos.options(self._node, self.topic, 'subscription'),
        )
        granted = self._subscription.qos_profile.reliability
        self.reliable = granted != ReliabilityPolicy.BEST_EFFORT

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self.publishers = 0
        self.incompatible = ''

    def check(self) -> None:
        """Look at the publishers, and subscribe anew if another reliability suits them."""
        if self._subscription is None:
            return
        wanted = f'{self._type.__module__.partition(".")[0]}/msg/{self._type.__name__}'
        found = self._node.get_publishers_info_by_topic(self.topic)
        offers = [info.qos_profile.reliability for info in found if info.topic_type == wanted]
        self.publishers = len(offers)
        self._senders.listed({bytes(info.endpoint_gid): full_name(info) for info in found}, time.monotonic())
        self.foreign_types = tuple(sorted({info.topic_type for info in found} - {wanted}))
        if not offers:
            self.incompatible = ''
            return
        reliable = ReliabilityPolicy.BEST_EFFORT not in offers
        if reliable == self.reliable or self._fixed:
            return
        self.close()
        self.reliable = reliable
        self.publishers = len(offers)
        self.open()
        self._node.get_logger().info(
            f'{self.topic}: subscribed {"reliable" if reliable else "best effort"}, as its publishers offer'
        )

    def mixed(self) -> str:
        """Return which publishers send at the same time, and the remedy; '' where there is one."""
        senders = self._senders.at_once(time.monotonic())
        if not senders:
            return ''
        return (
            f'{self.topic}: {len(senders)} publishers send at once, {", ".join(senders)}: images of '
            'different cameras are mixed; stop all but one, or remap their topics'
        )

    def _take(self, message: Any, info: dict[str, Any]) -> None:
        number, gid = info.get('publication_sequence_number'), info.get('publisher_gid')
        publisher = gid['data'] if gid else b''
        self._senders.note(publisher, message, time.monotonic())
        # Jazzy does not tell the publishers apart
        if number and (gid or self.publishers <= 1):
            gap = number - self._last_numbers.get(publisher, number - 1) - 1
            self._last_numbers[publisher] = number
            if len(self._last_numbers) > _MOST_PUBLISHERS:
                self._last_numbers.pop(next(iter(self._last_numbers)))
            if gap > 0:
                self._gaps += gap
                self._warn_of_loss()
        self._callback(message)

    def _on_lost(self, event: Any) -> None:
        self._reported_lost += event.total_count_change
        self._warn_of_loss()

    def _warn_of_loss(self) -> None:
        remedy = (
            'this machine has no time to take them; free a core, or lower the rate'
            if self.reliable
            else 'give the process that publishes them the Fast DDS profile (config/fastdds.xml), '
            'or have it publish reliable'
        )
        self._throttle.warn(
            ('lost', self.topic), f'{self.topic}: {self.lost} messages were lost on the way: {remedy}'
        )

    def _on_incompatible(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        if policy == 'RELIABILITY' and not self._fixed:
            return  # `check` finds out and follows
        self.incompatible = policy
        self._throttle.warn(
            ('qos', self.topic),
            f'{self.topic}: a publisher offers incompatible quality of service ({policy}), its images '
            f'do not arrive; change it, or {qos.PREFIX}{self.topic}.subscription.{policy.lower()}',
        )

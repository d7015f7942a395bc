"""What comes in: a camera's image and CameraInfo topics, with a reliability that follows the publishers."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io.video_stream import VideoDecoder
from irvis_fusion_ros.ros import conversions, qos, topics
from irvis_fusion_ros.ros.throttle import WarningThrottle


class Camera:
    """
    The topics of one camera, 'thermal' or 'visible'.

    Images that cannot be used are refused at the door, counted and warned of; the others go to
    on_image(name, message, arrival), arrival in seconds of the steady clock. `info` is the last CameraInfo.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        *,
        transport: str,
        depth: int,
        max_pixels: Callable[[], int],
        on_image: Callable[[str, Any, float], None],
        throttle: WarningThrottle,
    ):
        base = topics.image_of(name)
        below = {'compressed': topics.compressed_of(name), 'h264': topics.video_of(name)}
        self._topics = {'raw': node.resolve_topic_name(base)} | {
            each: qos.name_beside(node, topic, base, 'below') for each, topic in below.items()
        }
        info_topic = qos.name_beside(node, topics.info_of(name), base, 'sibling')
        self._node = node
        self.name = name
        self.transport = transport
        self._max_pixels = max_pixels
        self._on_image = on_image
        self._throttle = throttle
        self._lock = threading.Lock()  # the worker refuses, too, what cannot be decoded
        self.info: CameraInfo | None = None
        self.info_topic = info_topic
        self.counts: Counter = Counter()  # 'received', and refusals by cause
        self.last_refusal = ''
        self._video = VideoDecoder()
        kind = _type_of(name, transport)
        self.image = Source(node, kind, self._topics[transport], self._take_image, depth, throttle)
        self._info_source = Source(node, CameraInfo, info_topic, self._take_info, 1, throttle)

    def open(self) -> None:
        """Subscribe."""
        self._video = VideoDecoder()
        self.image.open()
        self._info_source.open()

    def close(self) -> None:
        """Unsubscribe."""
        self.image.close()
        self._info_source.close()

    def check(self) -> None:
        """Follow publishers that came, went or changed; cheap, to be called often."""
        self.image.check()
        self._info_source.check()

    def published_elsewhere(self) -> tuple[str, str]:
        """Return a topic and transport where the camera publishes instead, or ''; best one to be chosen."""
        below = self._topics['raw'] + '/'
        found = [name for name, _ in self._node.get_topic_names_and_types() if name.startswith(below)]
        offers = self._topics | {name.removeprefix(below): name for name in found}
        for transport, topic in offers.items():
            if topic != self.image.topic and self._node.count_publishers(topic):
                return topic, transport
        return '', ''

    def refuse(self, error: ImageError) -> None:
        """Count an image that cannot be used, and say why."""
        with self._lock:
            self.counts[error.cause] += 1
        self.last_refusal = f'{self.image.topic}: {error}'
        self._throttle.warn((self.name, error.cause), f'{self.last_refusal}; image refused')

    def _take_image(self, message: Any) -> None:
        now = time.monotonic()
        with self._lock:
            self.counts['received'] += 1
        try:
            conversions.check(message, self._max_pixels())
            codec = conversions.codec_of(message)
            if codec:
                message = self._frame(message, codec)
        except ImageError as error:
            self.refuse(error)
            return
        if not message.header.frame_id:
            self._throttle.warn(
                (self.name, 'frame_id'),
                f'{self.image.topic}: frame_id is empty: RViz and tf cannot place it; set it in the driver',
            )
        self._on_image(self.name, message, now)

    def _frame(self, message: Any, codec: str) -> Image:
        """Decode the next frame of a video: here, because each builds on the one before, paired or not."""
        pixels = self._video.decode(message.data, codec, self._max_pixels())
        image = conversions.to_image(pixels, 'bgr8', conversions.header_of(message))
        conversions.check(image, self._max_pixels())
        return image

    def _take_info(self, message: CameraInfo) -> None:
        self.info = message


def _type_of(camera: str, transport: str) -> type:
    if transport != 'h264':
        return {'raw': Image, 'compressed': CompressedImage}[transport]
    try:
        from foxglove_msgs.msg import CompressedVideo
    except ImportError as error:
        raise ValueError(
            f"'{camera}.transport' is 'h264': foxglove_msgs is not installed; it comes with a ROS "
            f"distribution (ros-$ROS_DISTRO-foxglove-msgs). Images of encoding h264 are taken with 'raw'"
        ) from error
    return CompressedVideo


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
            self._take if qos.GIVES_MESSAGE_INFO else self._callback,
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

    def _take(self, message: Any, info: dict[str, Any]) -> None:
        number, publisher = info.get('publication_sequence_number'), info.get('publisher_gid')
        # Jazzy does not tell the publishers apart
        if number and (publisher or self.publishers <= 1):
            key = publisher['data'] if publisher else b''
            gap = number - self._last_numbers.get(key, number - 1) - 1
            self._last_numbers[key] = number
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

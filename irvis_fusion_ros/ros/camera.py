"""What comes in: the images and the CameraInfo of a camera."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io.video_stream import VideoDecoder
from irvis_fusion_ros.ros import camera_info, conversions, qos, topics
from irvis_fusion_ros.ros.source import Source
from irvis_fusion_ros.ros.throttle import WarningThrottle, plain


class Camera:
    """
    The topics of one camera, 'thermal' or 'visible'.

    Images that cannot be used are refused at the door, counted and warned of; the others go to
    on_image(name, message, arrival), arrival in seconds of the steady clock. `info` is the last CameraInfo,
    the same object as long as it says the same; None if it was refused, then `info_problem` says why.
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
        self.info_problem = ''
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
        self.last_refusal = plain(f'{self.image.topic}: {error}')
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
        if self.info is not None and camera_info.same(message, self.info):
            return
        problem = camera_info.problem_of(message)
        if problem:
            self._throttle.warn(
                (self.name, 'info'),
                f'{self.info_topic} {problem}: it is not used; correct it in the driver',
            )
        self.info, self.info_problem = (None if problem else message), problem or ''


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

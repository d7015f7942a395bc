"""What goes out: one publisher for each output topic, and nothing made for those without subscribers."""

from collections import Counter
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from irvis_fusion_ros.imaging import color, deformation_color
from irvis_fusion_ros.predictor import FusionResult
from irvis_fusion_ros.ros import camera_info, conversions, qos
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.throttle import WarningThrottle
from irvis_fusion_ros.ros.topics import (
    DEFORMATION_COLOR,
    ENCODINGS,
    FUSED,
    FUSED_COMPRESSED,
    FUSED_INFO,
    OUTPUT_OF,
    REGISTERED,
    REGISTERED_INFO,
)


class Outputs:
    """The publishers. `counts` counts messages by topic; `names` are the full names of the topics."""

    def __init__(self, node: Node, depth: int, throttle: WarningThrottle):
        self._node = node
        self._throttle = throttle
        self.counts: Counter = Counter()
        names = {topic: node.resolve_topic_name(topic) for topic in OUTPUT_OF}
        names[FUSED_COMPRESSED] = qos.name_beside(node, FUSED_COMPRESSED, FUSED, 'below')
        names[FUSED_INFO] = qos.name_beside(node, FUSED_INFO, FUSED, 'sibling')
        names[REGISTERED_INFO] = qos.name_beside(node, REGISTERED_INFO, REGISTERED, 'sibling')
        types = {FUSED_COMPRESSED: CompressedImage, FUSED_INFO: CameraInfo, REGISTERED_INFO: CameraInfo}
        self.names = tuple(names.values())
        self._publishers: dict[str, Any] = {}
        try:
            for topic, name in names.items():
                self._publishers[topic] = self._publisher(types.get(topic, Image), name, depth)
        except Exception:
            self.destroy()
            raise

    def destroy(self) -> None:
        """Take the publishers down."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def wanted(self) -> frozenset[str]:
        """Return the topics that somebody is subscribed to."""
        return frozenset(t for t, publisher in self._publishers.items() if publisher.get_subscription_count())

    def publish(
        self,
        wanted: frozenset[str],
        result: FusionResult,
        header: Header,
        *,
        order: str,
        thermal_encoding: str,
        config: NodeConfig,
    ) -> None:
        """
        Publish what is wanted of a result, all with one header.

        order: of the colours of result.fused. thermal_encoding: of result.registered.
        """
        if result.fused is not None:
            self._publish_fused(wanted, result.fused, order, header, config)
        if result.registered is not None:
            self._send(REGISTERED, conversions.to_image(result.registered, thermal_encoding, header))
        if result.deformation is not None and DEFORMATION_COLOR in wanted:
            picture = deformation_color.colored(result.deformation)
            self._send(DEFORMATION_COLOR, conversions.to_image(picture, 'bgr8', header))
        for topic in wanted & ENCODINGS.keys():
            pixels = getattr(result, OUTPUT_OF[topic])
            if pixels is not None:  # not every system corrects what it fused
                self._send(topic, conversions.to_image(pixels, ENCODINGS[topic], header))

    def publish_info(
        self, wanted: frozenset[str], info: CameraInfo, shape: tuple[int, int], header: Header
    ) -> None:
        """Publish the visible camera's CameraInfo for images of shape (height, width)."""
        for topic in wanted & {FUSED_INFO, REGISTERED_INFO}:
            message = camera_info.for_image(info, shape)
            message.header = header
            self._send(topic, message)

    def _publish_fused(
        self, wanted, pixels: np.ndarray, order: str, header: Header, config: NodeConfig
    ) -> None:
        encoding = config.output_encoding
        pixels = color.in_encoding(pixels, order, encoding)
        if FUSED in wanted:
            self._send(FUSED, conversions.to_image(pixels, encoding, header))
        if FUSED_COMPRESSED in wanted:
            options = config.compressed
            message = conversions.to_compressed(
                pixels,
                encoding,
                header,
                kind=options.format,
                jpeg_quality=options.jpeg_quality,
                png_level=options.png_level,
            )
            self._send(FUSED_COMPRESSED, message)

    def _send(self, topic: str, message: Any) -> None:
        self._publishers[topic].publish(message)
        self.counts[topic] += 1

    def _publisher(self, message_type: type, topic: str, depth: int) -> Any:
        def on_incompatible(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._throttle.warn(
                ('qos', topic),
                f'{topic}: a subscriber asks for incompatible quality of service ({policy}) and receives '
                f'nothing; change it, or {qos.PREFIX}{topic}.publisher.{policy.lower()}',
            )

        return self._node.create_publisher(
            message_type,
            topic,
            qos.profile(depth, reliable=True),
            event_callbacks=qos.publisher_events(on_incompatible),
            qos_overriding_options=qos.options(self._node, topic, 'publisher'),
        )


def predictor_outputs(wanted: frozenset[str]) -> frozenset[str]:
    """Return what the predictor has to make for these topics."""
    return frozenset(OUTPUT_OF[topic] for topic in wanted & OUTPUT_OF.keys())

"""
A node downstream of fusion_node: runs a detector on fused/image and publishes what it finds.

It is an example to start from. It looks at the newest image and drops what came meanwhile; what it publishes
carries stamp and frame_id of that image.
"""

import json
import threading
import time
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import String

from irvis_fusion_ros.detection.detector import Detections, Detector
from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.imaging.color import in_encoding
from irvis_fusion_ros.io.images import MAX_PIXELS
from irvis_fusion_ros.ros import conversions, detection_messages, qos
from irvis_fusion_ros.ros.throttle import WarningThrottle, described

# Radiometric images that may wait for the fused one of their stamp to be looked at.
KEPT = 8
# Encodings whose values are temperatures; those of 16 bit are hundredths of a kelvin.
RADIOMETRIC = ('mono16', '16UC1', '32FC1')
DEGREES, ZERO = 0.01, -273.15
COLOUR = (64, 255, 64)


class DetectionNode(Node):
    """
    Subscribes fused/image; publishes detections/json, detections/image and, with its messages, detections.

    temperature: also subscribes registered/image and adds the highest temperature of each box, in degrees
    Celsius (32FC1: as it is; 16 bit: hundredths of a kelvin).
    """

    def __init__(self, detector: Detector, temperature: bool = False):
        super().__init__('detect')
        self._detector = detector
        self._warnings = WarningThrottle(self.get_logger())
        self._arrived = threading.Condition()
        self._newest: Image | None = None
        self._thermal: dict[tuple[int, int], Image] = {}
        self._ended = False
        self._make_array, kind = detection_messages.array_of()
        reliable = qos.profile(1, reliable=True)
        self._array = None if kind is None else self.create_publisher(kind, 'detections', reliable)
        self._json = self.create_publisher(String, 'detections/json', reliable)
        self._picture = self.create_publisher(Image, 'detections/image', reliable)
        self._subscriptions_kept = [self.create_subscription(Image, 'fused/image', self._on_fused, reliable)]
        if temperature:
            several = qos.profile(KEPT, reliable=True)
            self._subscriptions_kept.append(
                self.create_subscription(Image, 'registered/image', self._on_registered, several)
            )
        self._worker = threading.Thread(target=self._work, name='detect', daemon=True)
        self._worker.start()
        published = 'no messages for boxes are installed' if kind is None else kind.__name__
        self.get_logger().info(
            f'{self.resolve_topic_name("fused/image")}: looks for '
            f'{", ".join(detector.description.report or detector.description.classes[:5])} ({published})'
        )

    def stop(self) -> None:
        """End the work that is going on."""
        with self._arrived:
            self._ended = True
            self._arrived.notify()
        self._worker.join(timeout=5)

    def _on_fused(self, message: Image) -> None:
        with self._arrived:
            self._newest = message
            self._arrived.notify()

    def _on_registered(self, message: Image) -> None:
        with self._arrived:
            self._thermal[_stamp(message)] = message
            while len(self._thermal) > KEPT:
                del self._thermal[next(iter(self._thermal))]

    def _work(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._ended or self._newest is not None)
                if self._ended:
                    return
                message, self._newest = self._newest, None
            try:
                self._look_at(message)
            except ImageError as error:
                self._warnings.warn(('refused', error.cause), f'fused/image is left out: {error}')
            except Exception as error:  # no image may end the node
                if not self.context.ok():
                    return
                self._warnings.warn(('error', type(error).__name__), f'an image failed: {described(error)}')

    def _look_at(self, message: Image) -> None:
        started = time.monotonic()
        picture = conversions.to_picture(message, MAX_PIXELS)
        pixels = in_encoding(picture.pixels, picture.order, 'bgr8')
        found = self._detector(pixels)
        degrees = self._degrees(message, found)
        took = (time.monotonic() - started) * 1e3
        self._json.publish(String(data=json.dumps(_content(message, found, degrees, took))))
        if self._array is not None:
            self._array.publish(self._make_array(message.header, found, degrees))
        if self._picture.get_subscription_count():
            drawn = _drawn(pixels, found, degrees)
            self._picture.publish(conversions.to_image(drawn, 'bgr8', message.header))

    def _degrees(self, message: Image, found: Detections) -> list[float | None]:
        with self._arrived:
            thermal = self._thermal.pop(_stamp(message), None)
        if thermal is None or thermal.encoding not in RADIOMETRIC:
            return [None] * len(found)
        values = conversions.to_picture(thermal, MAX_PIXELS).pixels
        return [_hottest(values, box) for box in found.boxes]


def _hottest(values: np.ndarray, box: np.ndarray) -> float | None:
    x1, y1, x2, y2 = (int(v) for v in np.round(box))
    inside = values[max(y1, 0) : y2, max(x1, 0) : x2]
    if values.dtype.kind == 'f':
        inside = inside[np.isfinite(inside)]
    if not inside.size or (values.dtype.kind != 'f' and not inside.any()):
        return None
    highest = float(inside.max())
    return round(highest if values.dtype.kind == 'f' else highest * DEGREES + ZERO, 2)


def _content(message: Image, found: Detections, degrees: list[float | None], took: float) -> dict[str, Any]:
    """What detections/json holds: boxes are x1 y1 x2 y2 in pixels of fused/image."""
    stamp = message.header.stamp
    listed = []
    for box, score, name, hottest in zip(found.boxes, found.scores, found.names, degrees, strict=True):
        entry = {'box': [round(float(v), 1) for v in box], 'class': name, 'score': round(float(score), 3)}
        if hottest is not None:
            entry['celsius'] = hottest
        listed.append(entry)
    return {
        'stamp': {'sec': stamp.sec, 'nanosec': stamp.nanosec},
        'frame_id': message.header.frame_id,
        'size': [message.width, message.height],
        'milliseconds': round(took, 1),
        'detections': listed,
    }


def _drawn(pixels: np.ndarray, found: Detections, degrees: list[float | None]) -> np.ndarray:
    drawn = pixels.copy()
    for box, score, name, hottest in zip(found.boxes, found.scores, found.names, degrees, strict=True):
        x1, y1, x2, y2 = (int(v) for v in np.round(box))
        cv2.rectangle(drawn, (x1, y1), (x2, y2), COLOUR, 1)
        text = f'{name} {score:.2f}' + (f' {hottest:.1f} C' if hottest is not None else '')
        place = (x1, y1 - 4 if y1 > 14 else y2 + 12)
        cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, COLOUR, 1, cv2.LINE_AA)
    return drawn


def _stamp(message: Image) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec

"""
Record what the node publishes, as it was sent, into a bag.

usage: recorder.py BAG PATIENCE STAMP...

Prints 'ready' when the node is there, and ends after its input is closed.
Deformations, 2.6 MB each, are kept for the given stamps only.
"""

import struct
import sys
import threading
import time
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from irvis_fusion_ros.io.bags import BagWriter
from irvis_fusion_ros.ros import topics

DEFORMATION = topics.absolute(topics.DEFORMATION)
IMAGES = (*map(topics.absolute, (topics.FUSED, topics.REGISTERED, topics.VALID)), DEFORMATION)
# Longer than the period of the diagnostics, so that the last of them count everything.
SILENCE = 2.0


def main() -> int:
    """Record until there is nothing more to record."""
    path, patience, *stamps = sys.argv[1:]
    kept = {int(stamp) for stamp in stamps}
    rclpy.init()
    node = rclpy.create_node('recorder')
    last = [time.monotonic()]
    with BagWriter(Path(path)) as bag:

        def record(topic: str, type_name: str, cdr: bytes) -> None:
            if topic != topics.DIAGNOSTICS:
                last[0] = time.monotonic()
            if topic != DEFORMATION or _stamp(cdr) in kept:
                bag.write(topic, type_name, cdr, time.time_ns())

        def subscribe(message_class: type, topic: str) -> None:
            package = message_class.__module__.partition('.')[0]
            name = f'{package}/msg/{message_class.__name__}'
            node.create_subscription(
                message_class, topic, lambda cdr: record(topic, name, cdr), QoSProfile(depth=100), raw=True
            )

        for topic in IMAGES:
            subscribe(Image, topic)
        subscribe(DiagnosticArray, topics.DIAGNOSTICS)
        deadline = time.monotonic() + float(patience)
        while not all(node.count_publishers(topic) for topic in (*IMAGES, topics.DIAGNOSTICS)):
            if time.monotonic() > deadline:
                return 1
            rclpy.spin_once(node, timeout_sec=0.1)
        print('ready', flush=True)
        closed = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
        while not closed.is_set() or time.monotonic() - last[0] < SILENCE:
            rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


def _stamp(cdr: bytes) -> int:
    seconds, nanoseconds = struct.unpack_from('<iI' if cdr[1] & 1 else '>iI', cdr, 4)
    return seconds * 1_000_000_000 + nanoseconds


if __name__ == '__main__':
    sys.exit(main())

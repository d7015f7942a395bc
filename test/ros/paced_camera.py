"""A camera driver in a process of its own: images of one size at one rate, until it is terminated."""

import argparse
import array
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from irvis_fusion_ros import dds_profile

# Bytes of a pixel. A camera that has to start at once imports no more than it needs.
SIZES = {'mono8': 1, 'mono16': 2, 'bgr8': 3}


def picture(encoding, height, width, seed):
    """Return a message with patches of many sizes."""
    rng = np.random.default_rng(seed)
    patches = [np.kron(rng.random((height // n + 1, width // n + 1)), np.ones((n, n))) for n in (8, 32)]
    levels = (127 * sum(each[:height, :width] for each in patches)).astype(np.uint8)
    stored = levels * np.uint16(16) if encoding == 'mono16' else levels.repeat(SIZES[encoding], axis=1)
    message = Image(height=height, width=width, encoding=encoding, step=width * SIZES[encoding])
    message.data = array.array('B', stored.tobytes())
    return message


parser = argparse.ArgumentParser()
parser.add_argument('name')
parser.add_argument('topic')
parser.add_argument('--encoding', choices=SIZES, default='bgr8')
parser.add_argument('--size', type=int, nargs=2, default=(96, 128), metavar=('HEIGHT', 'WIDTH'))
parser.add_argument('--rate', type=float, default=30)
parser.add_argument('--frame-id', default='camera')
arguments = parser.parse_args()

dds_profile.apply()
rclpy.init(args=[])
node = rclpy.create_node(arguments.name)
publisher = node.create_publisher(Image, arguments.topic, QoSProfile(depth=5))
messages = [picture(arguments.encoding, *arguments.size, seed) for seed in range(3)]
sent, due = 0, time.monotonic()
while rclpy.ok():
    message = messages[sent % len(messages)]
    # cameras that are triggered together stamp alike
    period = round(1e9 / arguments.rate)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(
        time.time_ns() // period * period, 1_000_000_000
    )
    message.header.frame_id = arguments.frame_id
    publisher.publish(message)
    sent, due = sent + 1, due + 1 / arguments.rate
    time.sleep(max(0.0, due - time.monotonic()))

"""A camera driver in a process of its own: images of one size at one rate, until it is terminated."""

import argparse
import time

import rclpy
from rclpy.qos import QoSProfile
from rig import image

from irvis_fusion_ros import dds_profile

parser = argparse.ArgumentParser()
parser.add_argument('name')
parser.add_argument('topic')
parser.add_argument('--encoding', default='bgr8')
parser.add_argument('--size', type=int, nargs=2, default=(96, 128), metavar=('HEIGHT', 'WIDTH'))
parser.add_argument('--rate', type=float, default=30)
parser.add_argument('--frame-id', default='camera')
arguments = parser.parse_args()

dds_profile.apply()
rclpy.init(args=[])
node = rclpy.create_node(arguments.name)
publisher = node.create_publisher(type(image('mono8')), arguments.topic, QoSProfile(depth=5))
messages = [image(arguments.encoding, *arguments.size, seed=seed) for seed in range(3)]
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

"""
A subscriber in a process of its own: prints 'ready', then, once its input is closed, what it received.

usage: listener.py TOPIC=pkg/msg/Type ...   ->   one JSON line: [[topic, stamp ns, size, arrival s], ...]
"""

import importlib
import json
import sys
import threading
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

SILENCE = 0.5


def main():
    rclpy.init(args=[])
    node = rclpy.create_node('listener')
    received = []
    for argument in sys.argv[1:]:
        topic, type_name = argument.split('=')
        package, _, name = type_name.partition('/msg/')
        message_class = getattr(importlib.import_module(f'{package}.msg'), name)

        def callback(cdr, topic=topic, message_class=message_class):
            message = deserialize_message(cdr, message_class)
            stamp = message.header.stamp if hasattr(message, 'header') else message.clock
            received.append([topic, stamp.sec * 1_000_000_000 + stamp.nanosec, len(cdr), time.monotonic()])

        node.create_subscription(message_class, topic, callback, QoSProfile(depth=1000), raw=True)
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print('ready', flush=True)
    while not closed.is_set() or (received and time.monotonic() - received[-1][3] < SILENCE):
        executor.spin_once(timeout_sec=0.05)
    print(json.dumps(received), flush=True)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()

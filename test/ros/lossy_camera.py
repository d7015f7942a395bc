"""A camera driver as many are: best effort, large images, no Fast DDS profile. Runs until terminated."""

import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

rclpy.init(args=[])
node = rclpy.create_node('lossy_camera')
publisher = node.create_publisher(Image, 'visible/image_raw', qos_profile_sensor_data)
message = Image(height=1024, width=1280, encoding='bgr8', step=3 * 1280)
message.data = bytes(3 * 1280 * 1024)
while rclpy.ok():
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(1 / 30)

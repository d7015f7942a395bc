"""The ROS 2 node and what it is made of; nothing below this package imports ROS."""

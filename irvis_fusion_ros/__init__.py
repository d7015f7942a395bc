"""Time-synchronise, register and fuse a thermal and a visible camera, with or without ROS 2."""

__version__ = '0.1.0'

"""Bags to bags, without ROS and as fast as it computes: what `fuse_bag` is made of."""

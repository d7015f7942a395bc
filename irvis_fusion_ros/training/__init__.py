"""Training of systems that register and fuse: data, losses, recipes and the training loop. Needs no ROS."""

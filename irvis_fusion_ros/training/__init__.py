"""Teaching systems to register and to fuse: data, losses, recipes and the training loop. Needs no ROS."""

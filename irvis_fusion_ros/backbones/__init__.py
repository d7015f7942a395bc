"""Frozen fusion networks, which FusionRegister corrects and other presets fuse with."""

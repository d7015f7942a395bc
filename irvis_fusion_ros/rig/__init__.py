"""A rig: what it is, found from many frames, and what one frame adds to that."""

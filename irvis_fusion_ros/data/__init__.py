"""Data sets of image pairs, and protocols of known warps, shared by training and evaluation."""

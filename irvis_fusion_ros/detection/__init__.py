"""Runs detectors that others trained, from ONNX, on pictures."""

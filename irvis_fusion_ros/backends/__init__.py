"""Backends that run networks: devices and CUDA graphs, ONNX, TensorRT; and the cost of a network."""

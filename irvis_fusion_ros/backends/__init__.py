"""What runs networks: the device and its graphs, ONNX, TensorRT; and what a network costs."""

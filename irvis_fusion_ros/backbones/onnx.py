"""Runs a network of the user's own from an ONNX file, with onnxruntime (extra `onnx`)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from irvis_fusion_ros.backends import onnx
from irvis_fusion_ros.errors import FileError


class OnnxNetwork(nn.Module):
    """
    See `custom.FileNetwork`. Gradients do not pass through it.

    device: see `backends.onnx.open_session`. Raises FileError as that does, and for other types of tensors.
    """

    differentiable = False

    def __init__(self, file: Path, device: str):
        super().__init__()
        self._session = onnx.open_session(file, device)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        types = [each.type for each in (*inputs, *outputs)]
        if len(outputs) != 1 or set(types) != {'tensor(float)'}:
            raise FileError(
                f'{file}: expected inputs and one output of type tensor(float), found {", ".join(types)}'
            )
        self._names = [each.name for each in inputs]
        self.shapes = tuple(
            tuple(size if isinstance(size, int) else None for size in each.shape) for each in inputs
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Run the network; the result is on the device of the inputs."""
        arrays = (each.detach().cpu().numpy() for each in inputs)
        (output,) = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        return torch.from_numpy(output).to(inputs[0].device)

"""Runs a network of the user's own from an ONNX file, with onnxruntime (extra `onnx`)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from irvis_fusion_ros.backends import onnx
from irvis_fusion_ros.errors import FileError

# Types of inputs that images are converted to: networks exported in half precision take the second.
TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16}


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
        if not set(types) <= set(TYPES):
            raise FileError(
                f'{file}: expected inputs and outputs of type {" or ".join(TYPES)}, found {", ".join(types)}'
            )
        self._types = {each.name: TYPES[each.type] for each in inputs}
        self.shapes = tuple(
            tuple(size if isinstance(size, int) else None for size in each.shape) for each in inputs
        )

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        """Run the network; the results are on the device of the inputs."""
        arrays = {
            name: each.detach().cpu().numpy().astype(kind, copy=False)
            for (name, kind), each in zip(self._types.items(), inputs, strict=True)
        }
        outputs = self._session.run(None, arrays)
        return [torch.from_numpy(each).to(inputs[0].device, torch.float32) for each in outputs]

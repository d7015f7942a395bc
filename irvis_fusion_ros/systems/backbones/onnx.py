"""Runs a network of the user's own from an ONNX file, with onnxruntime (extra `onnx`)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from irvis_fusion_ros.imaging.files import FileError


class OnnxNetwork(nn.Module):
    """
    See `own.Network`. Gradients do not pass it.

    device: 'cuda:N' runs it there where onnxruntime-gpu is installed; otherwise it runs on the CPU.
    Raises FileError for a file that onnxruntime cannot run, and without onnxruntime.
    """

    differentiable = False

    def __init__(self, file: Path, device: str):
        super().__init__()
        try:
            import onnxruntime  # here, because only networks of users need it
        except ImportError as error:
            raise FileError(
                f"{file}: ONNX needs onnxruntime; install it with pip install 'irvis_fusion_ros[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        providers = ['CPUExecutionProvider']
        if device.startswith('cuda') and 'CUDAExecutionProvider' in onnxruntime.get_available_providers():
            index = int(device.partition(':')[2] or 0)
            providers.insert(0, ('CUDAExecutionProvider', {'device_id': index}))
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers)
        except Exception as error:  # a class of its own for each cause
            raise FileError(
                f'{file}: expected an ONNX network that onnxruntime {onnxruntime.__version__} runs '
                f'({" ".join(str(error).split())[:300]})'
            ) from error
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

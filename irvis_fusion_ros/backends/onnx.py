"""Opens ONNX files with onnxruntime (extra `onnx`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irvis_fusion_ros.errors import FileError


def open_session(file: Path, device: str) -> Any:
    """
    Return an onnxruntime.InferenceSession of a file.

    device: 'cuda:N' runs it there where onnxruntime-gpu is installed; otherwise it runs on the CPU.
    Raises FileError for a file that onnxruntime cannot run, and without onnxruntime.
    """
    try:
        import onnxruntime  # imported here, because only users of ONNX need it
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
        return onnxruntime.InferenceSession(str(file), options, providers)
    except Exception as error:  # onnxruntime has no common base class of errors
        raise FileError(
            f'{file}: expected an ONNX network that onnxruntime {onnxruntime.__version__} runs '
            f'({" ".join(str(error).split())[:300]})'
        ) from error


def runner(file: Path, device: str) -> Callable[..., list[Tensor]]:
    """Return a function that runs a file: tensors in, in its order, results on the CPU out."""
    session = open_session(file, device)
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        arrays = {name: each.cpu().numpy() for name, each in zip(names, inputs, strict=True)}
        return [torch.from_numpy(each) for each in session.run(None, arrays)]

    return run

"""
Runs ONNX files by TensorRT, for a Jetson or another NVIDIA GPU. It has not been run on one yet.

TensorRT first builds an engine from a file, which takes minutes, for one GPU and one version of TensorRT.
Engines are cached beside the ONNX file, whose folder belongs to one preset, its weights and a working size.
"""

import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import atomic

# The oldest version that has the interface used here, and whose GridSample follows the ONNX specification.
LEAST = '8.6'
# Parts that may run in half precision: the descriptions of images; comparing and fitting need single
# precision.
HALF = ('describe',)


def runner(file: Path, device: str) -> Callable[..., list[Tensor]]:
    """
    Return a function that runs an ONNX file of fixed sizes: tensors in, in its order, results on the CPU out.

    device: 'cuda:N'. Raises FileError without TensorRT, and for a file that it cannot build or read.
    """
    tensorrt = _import(file)
    precision = 'fp16' if file.stem in HALF else 'fp32'
    kept = engine_file(file, torch.cuda.get_device_name(device), tensorrt.__version__, precision)
    with torch.cuda.device(device):
        if not kept.exists():
            logging.getLogger(__name__).warning(
                'building a TensorRT engine of %s for this GPU: minutes, once', file
            )
            atomic.write(kept, _build(tensorrt, file, precision == 'fp16'))
        return _Runner(tensorrt, kept, device)


def engine_file(file: Path, gpu: str, version: str, precision: str) -> Path:
    """Return the path of an ONNX file's engine, which depends on its bytes, GPU, TensorRT and precision."""
    digest = hashlib.sha256()
    # ONNX stores large weights in a separate file
    for each in (file, file.with_name(file.name + '.data')):
        if each.exists():
            digest.update(each.read_bytes())
    name = re.sub(r'[^0-9a-z]+', '-', gpu.lower()).strip('-')
    return file.with_name(f'{file.stem}-{digest.hexdigest()[:12]}-{name}-trt{version}-{precision}.engine')


class _Runner:
    def __init__(self, tensorrt: Any, file: Path, device: str):
        runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
        engine = runtime.deserialize_cuda_engine(file.read_bytes())
        if engine is None:
            raise FileError(f'{file}: TensorRT {tensorrt.__version__} cannot read it; delete it')
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        self._inputs = [name for name in names if modes[name] == tensorrt.TensorIOMode.INPUT]
        self._shapes = {name: tuple(engine.get_tensor_shape(name)) for name in names}
        # keep references, because the engine needs the runtime and the context needs the engine
        self._runtime, self._engine, self._context = runtime, engine, engine.create_execution_context()
        self._device = torch.device(device)

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        given = dict(zip(self._inputs, inputs, strict=True))
        with torch.cuda.device(self._device):
            tensors = {
                name: given[name].to(self._device, torch.float32).contiguous()
                if name in given
                else torch.empty(shape, device=self._device)
                for name, shape in self._shapes.items()
            }
            for name, tensor in tensors.items():
                self._context.set_tensor_address(name, tensor.data_ptr())
            stream = torch.cuda.current_stream()
            if not self._context.execute_async_v3(stream.cuda_stream):
                raise RuntimeError('CUDA error: TensorRT did not run its engine')
            return [tensor.cpu() for name, tensor in tensors.items() if name not in given]


def _build(tensorrt: Any, file: Path, half: bool) -> bytes:
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(file)):
        errors = ' '.join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise FileError(f'{file}: TensorRT {tensorrt.__version__} cannot read it ({errors[:300]})')
    config = builder.create_builder_config()
    if half:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise FileError(
            f'{file}: TensorRT {tensorrt.__version__} built no engine of it, for the reason it printed; '
            'set backend to torch'
        )
    return bytes(engine)


def _import(file: Path) -> Any:
    try:
        import tensorrt  # imported here, because only users of this backend need it
    except ImportError as error:
        raise FileError(
            f'{file}: backend tensorrt needs TensorRT {LEAST} or later: on a Jetson, apt install '
            'python3-libnvinfer (virtual environments see it with --system-site-packages), elsewhere '
            'pip install tensorrt; or set backend to torch'
        ) from error
    return tensorrt

"""
Selects the device that a preset runs on, and prepares networks for a GPU.

The CUDA code was written without a GPU at hand: its logic is tested on a CPU, its speed is not known.
"""

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Environment variable: with `no`, networks run in single precision only.
HALF = 'IRVIS_HALF'
# Texts by which errors of a GPU are recognised; 'captur' belongs to those of recording a CUDA graph.
GPU_ERRORS = ('CUDA', 'cuDNN', 'CUDNN', 'cuBLAS', 'CUBLAS', 'cuFFT', 'CUFFT', 'captur')
# Number of CUDA graphs that are kept, one per set of sizes, and runs before one is recorded.
MOST_GRAPHS, WARM_UPS = 4, 3


def resolve_device(requested: str, supported: tuple[str, ...]) -> str:
    """
    Return the device to use ('cpu', 'cuda:0', ...) for a request: 'auto', 'cpu', 'cuda' or 'cuda:N'.

    supported: kinds of device the preset can run on, preferred first. A preset without a CUDA path
    runs on the CPU even when CUDA is requested; compare the result with the request to tell the user.
    Raises ValueError for a malformed request or a CUDA device that is not there.
    """
    if not re.fullmatch(r'auto|cpu|cuda(:\d+)?', requested):
        raise ValueError(f"unknown device '{requested}'; valid: auto, cpu, cuda, cuda:N")
    if requested == 'cpu' or ('cuda' not in supported and requested == 'auto'):
        return 'cpu'
    index = int(requested.partition(':')[2] or 0)
    count = _cuda_devices()
    if requested == 'auto':
        return 'cuda:0' if count and supported[0] == 'cuda' else 'cpu'
    if index >= count:
        found = f'{count} CUDA device(s) found' if count else 'no CUDA device found'
        raise ValueError(f"device '{requested}' is not available: {found}; use device auto or cpu")
    return f'cuda:{index}' if 'cuda' in supported else 'cpu'


def has_failed(device: str, error: RuntimeError) -> bool:
    """
    Return whether the device caused an error: out of memory, a lost or broken GPU, a library without CUDA.

    Errors of a network or of its inputs do not count: they would occur on any device.
    """
    if not device.startswith('cuda'):
        return False
    text = f'{type(error).__name__}: {error}'
    return any(sign in text for sign in ('OutOfMemoryError', 'AcceleratorError', *GPU_ERRORS))


class Recorded:
    """
    Runs a function of tensors; on a GPU it is recorded as a CUDA graph for each set of sizes, to save
    launches.

    function: takes tensors, or lists and tuples of them, and returns such; it must not copy values between
    host and device. device: on devices other than CUDA the function is simply called. The graphs of the last
    MOST_GRAPHS sets of sizes are kept, each with its memory. Raises the error of CUDA if the function cannot
    be recorded; `has_failed` recognises it.
    """

    def __init__(self, function: Callable[..., Any], device: str):
        self._function, self._device = function, device
        self._graphs: dict[tuple, tuple[list, Callable[[], None], Any]] = {}

    def __call__(self, *inputs: Any) -> Any:
        """Call the function."""
        if not self._device.startswith('cuda'):
            return self._function(*inputs)
        from torch import Tensor
        from torch.utils import _pytree as tree

        given, form = tree.tree_flatten(inputs)
        sizes = (str(form), *((each.shape, each.dtype) for each in given))
        if sizes not in self._graphs:
            while len(self._graphs) >= MOST_GRAPHS:
                self._graphs.pop(next(iter(self._graphs)))  # the least recently used
            own = [each.clone() for each in given]
            self._graphs[sizes] = (
                own,
                *_record(self._function, tree.tree_unflatten(own, form), self._device),
            )
        own, replay, results = self._graphs[sizes] = self._graphs.pop(sizes)
        for mine, new in zip(own, given, strict=True):
            mine.copy_(new, non_blocking=True)
        replay()
        # cloned, because the next call overwrites this memory
        return tree.tree_map_only(Tensor, Tensor.clone, results)


def prepare(network: Any, device: str) -> Any:
    """Return a network on a device in evaluation mode, on a GPU in the fastest memory layout."""
    network = network.to(device)
    if device.startswith('cuda'):
        channels_last(network)
    return network.eval()


def channels_last(network: Any) -> Any:
    """Store convolution kernels channels last; returns the network."""
    import torch

    for parameter in network.parameters():
        # network.to(memory_format=...) raises on the kernels of dynamic convolutions, which have five axes
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return network


def half_of(device: str) -> 'torch.dtype | None':
    """
    Return the half precision that a device computes faster than single precision, or None.

    With IRVIS_HALF=no in the environment it is always None.
    """
    import torch

    if os.environ.get(HALF) == 'no':
        return None
    if device.startswith('cuda'):
        return torch.float16
    return torch.bfloat16 if device == 'cpu' and _multiplies_bfloat16() else None


def precision_of(half: 'torch.dtype | None') -> str:
    """Return the name of a dtype from `half_of`: 'float16', 'bfloat16', or 'float32' for None."""
    return 'float32' if half is None else str(half).removeprefix('torch.')


def _multiplies_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16, and torch uses them."""
    import torch

    # releases of torch differ in which of these functions they have
    names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    capable = any(getattr(torch.cpu, name, bool)() for name in names)
    # These functions ask the processor. oneDNN, which runs convolutions, may be configured not to use the
    # instructions, and torch then falls back to loops that take eight times as long as single precision.
    return capable and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _record(function: Callable[..., Any], inputs: tuple, device: str) -> tuple[Callable[[], None], Any]:
    """Record a function; return a function that replays it on the same tensors, and its result tensors."""
    import torch

    with torch.cuda.device(device):
        # warm up on a side stream, so that libraries load and pick their algorithms before the recording
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                function(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = function(*inputs)
    return graph.replay, results


def _cuda_devices() -> int:
    try:
        import torch  # imported here, so that presets without a network start without it
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0

"""
Which device a preset runs on, and how networks run on a GPU.

What concerns CUDA was written without one at hand: its logic is tested on a CPU, its speed is not known.
"""

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# An environment variable: `no` keeps what torch runs in single precision.
HALF = 'IRVIS_HALF'
# What errors of a GPU begin with, or carry; 'captur' those of recording a graph.
GPU_ERRORS = ('CUDA', 'cuDNN', 'CUDNN', 'cuBLAS', 'CUBLAS', 'cuFFT', 'CUFFT', 'captur')
# Sets of sizes whose graphs are kept, and runs before one is recorded.
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
    Say whether an error is that of the device: memory used up, a lost or broken GPU, a library without it.

    Errors of a network or of its inputs are not: they would be the same anywhere.
    """
    if not device.startswith('cuda'):
        return False
    text = f'{type(error).__name__}: {error}'
    return any(sign in text for sign in ('OutOfMemoryError', 'AcceleratorError', *GPU_ERRORS))


class Recorded:
    """
    A function of tensors, recorded on a GPU as a CUDA graph for each set of sizes: one launch, not hundreds.

    function: takes tensors, or lists and tuples of them, and returns such; it may neither ask the host for a
    value nor bring one from there. device: on others than CUDA the function is called as it is. The graphs of
    the last MOST_GRAPHS sets of sizes are kept, each with the memory it needs. Raises what CUDA raises where
    something cannot be recorded; `has_failed` knows it.
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
                self._graphs.pop(next(iter(self._graphs)))  # unused for longest
            own = [each.clone() for each in given]
            self._graphs[sizes] = (
                own,
                *_record(self._function, tree.tree_unflatten(own, form), self._device),
            )
        own, replay, results = self._graphs[sizes] = self._graphs.pop(sizes)
        for mine, new in zip(own, given, strict=True):
            mine.copy_(new, non_blocking=True)
        replay()
        # the next call writes into the same memory
        return tree.tree_map_only(Tensor, Tensor.clone, results)


def placed(network: Any, device: str) -> Any:
    """Return a network on a device, to be run only; on a GPU laid out as that multiplies fastest."""
    network = network.to(device)
    if device.startswith('cuda'):
        channels_last(network)
    return network.eval()


def channels_last(network: Any) -> Any:
    """Lay kernels of convolutions out with the channels of a pixel side by side; returns the network."""
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
    """Return the name of what `half_of` returned: 'float16', 'bfloat16', or 'float32' for None."""
    return 'float32' if half is None else str(half).removeprefix('torch.')


def _multiplies_bfloat16() -> bool:
    """Say whether the processor has instructions for bfloat16, and torch uses them."""
    import torch

    # releases of torch differ in which of these they have
    names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    capable = any(getattr(torch.cpu, name, bool)() for name in names)
    # The above is what the processor says of itself. oneDNN, which convolves, may be kept from these
    # instructions, and torch then falls back to loops that take eight times as long as single precision.
    return capable and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _record(function: Callable[..., Any], inputs: tuple, device: str) -> tuple[Callable[[], None], Any]:
    """Return what runs the function again on the same tensors, and the results that it then writes."""
    import torch

    with torch.cuda.device(device):
        # libraries that load late, and measure which algorithm is fastest, do so before
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
        import torch  # here, so that presets without a network start without it
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0

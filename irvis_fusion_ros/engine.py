"""Which device a preset runs on."""

import re

# Names that errors of a GPU begin with, or carry.
GPU_LIBRARIES = ('CUDA', 'cuDNN', 'CUDNN', 'cuBLAS', 'CUBLAS', 'cuFFT', 'CUFFT')


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
    return any(sign in text for sign in ('OutOfMemoryError', 'AcceleratorError', *GPU_LIBRARIES))


def _cuda_devices() -> int:
    try:
        import torch  # here, so that presets without a network start without it
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0

"""
The few things that are checked and that no public door reaches: precision, recording and falling back.

Each is a context in which predictors are made and run. All of it is in `irvis_fusion_ros.backends.device`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

from irvis_fusion_ros import systems
from irvis_fusion_ros.backends import device as backend
from irvis_fusion_ros.systems import flow, matcher, post_fusion, tracking, weighted_fusion

# What uses the functions that are replaced below, so that it is loaded before they are.
USERS = (systems, flow, matcher, post_fusion, tracking, weighted_fusion)


@contextmanager
def _replaced(name: str, replacement: Any) -> Iterator[None]:
    """Replace a function of the backend in every module that has imported it by name."""
    original = getattr(backend, name)
    loaded = [module for key, module in sys.modules.items() if key.startswith('irvis_fusion_ros')]
    with ExitStack() as stack:
        for module in loaded:
            if getattr(module, name, None) is original:
                stack.enter_context(mock.patch.object(module, name, replacement))
        yield


@contextmanager
def single_precision() -> Iterator[None]:
    """Let networks compute in single precision, all of it: convolutions are not rounded to TF32 either."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with _replaced('half_of', lambda device: None):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def unrecorded() -> Iterator[None]:
    """Let networks run without CUDA graphs."""

    def plain(function: Callable[..., Any], device: str) -> Callable[..., Any]:
        return function

    with _replaced('Recorded', plain):
        yield


@contextmanager
def counted_recordings() -> Iterator[list]:
    """Yield a list that grows by an entry with every graph that is recorded."""
    made: list = []
    record = backend._record

    def counting(*arguments: Any) -> Any:
        made.append(arguments[-1])
        return record(*arguments)

    with _replaced('_record', counting):
        yield made


@contextmanager
def unforgiving() -> Iterator[None]:
    """Let an error of the GPU be seen, where a predictor would go on with the CPU."""
    with _replaced('has_failed', lambda device, error: False):
        yield


def half_of(device: str) -> torch.dtype | None:
    """Return the half precision that networks run in on a device, or None."""
    return backend.half_of(device)

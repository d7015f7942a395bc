"""
The few things that are checked and that no public door reaches: precision, recording and falling back.

Each is a context in which predictors are made and run. All of it is in `irvis_fusion_ros.engine`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch

from irvis_fusion_ros import engine


@contextmanager
def single_precision() -> Iterator[None]:
    """Let networks compute in single precision, all of it: convolutions are not rounded to TF32 either."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with mock.patch.object(engine, 'half_of', lambda device: None):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def unrecorded() -> Iterator[None]:
    """Let networks run without CUDA graphs."""

    def plain(function: Callable[..., Any], device: str) -> Callable[..., Any]:
        return function

    with mock.patch.object(engine, 'Recorded', plain):
        yield


@contextmanager
def counted_recordings() -> Iterator[list]:
    """Yield a list that grows by an entry with every graph that is recorded."""
    made: list = []
    record = engine._record

    def counting(*arguments: Any) -> Any:
        made.append(arguments[-1])
        return record(*arguments)

    with mock.patch.object(engine, '_record', counting):
        yield made


@contextmanager
def unforgiving() -> Iterator[None]:
    """Let an error of the GPU be seen, where a predictor would go on with the CPU."""
    with mock.patch.object(engine, 'has_failed', lambda device, error: False):
        yield


def half_of(device: str) -> torch.dtype | None:
    """Return the half precision that networks run in on a device, or None."""
    return engine.half_of(device)

"""
The state of a run in one file, `checkpoint.pt`: everything that the next step depends on.

It is written atomically (io/atomic.py), and reading it executes no code from the file.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import atomic, zip_file

FORMAT = 'irvis_fusion_ros checkpoint 1'
_LARGEST = 1 << 30


@dataclass
class Checkpoint:
    """
    system: name of the system. config: every option of the run that its curve depends on (plain
    dictionaries).

    step: number of steps done. model, averaged: state of the network and of its moving average. optimiser:
    state of the optimiser of the current stage, or None before its first step. sums: the losses since the
    last point of the curve, by name; skipped: consecutive steps whose gradient was not finite. There is no
    state of random generators, because each step seeds its own.
    """

    system: str
    config: dict
    step: int
    model: dict[str, Tensor]
    averaged: dict[str, Tensor]
    optimiser: dict | None
    sums: dict[str, list[float]]
    skipped: int


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint. Raises FileError if it cannot be written; the previous one stays intact."""
    buffer = io.BytesIO()
    torch.save({'format': FORMAT, **vars(checkpoint)}, buffer)
    atomic.write(path, buffer.getvalue())


def load(path: Path, system: str) -> Checkpoint:
    """
    Read a checkpoint of a system to the CPU; the caller's load_state_dict moves it to a device.

    Raises FileError if it is damaged, is no checkpoint, or belongs to another system.
    """
    try:
        with zip_file.opened(path, 'the checkpoint', _LARGEST) as (file, _):
            content = torch.load(file, map_location='cpu', weights_only=True)
        if content.pop('format', None) != FORMAT:
            raise ValueError('made by another program or version')
        checkpoint = Checkpoint(**content)
    except FileError:
        raise
    except Exception as error:  # unpickling a damaged file can raise anything
        reason = str(error).partition('\n')[0]
        raise FileError(
            f'{path}: not a checkpoint that can be used ({reason}); remove it, or choose another --out'
        ) from error
    if checkpoint.system != system:
        raise FileError(
            f"{path}: a checkpoint of system '{checkpoint.system}', not of '{system}'; choose another --out"
        )
    return checkpoint

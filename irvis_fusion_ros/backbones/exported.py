"""Runs a network of the user's own from an archive of `torch.export.save` (.pt2)."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from irvis_fusion_ros.errors import FileError


class ExportedNetwork(nn.Module):
    """
    See `custom.FileNetwork`. Gradients pass through it.

    Loading may run code that is in the archive: its maker has to be trusted. Raises FileError for an archive
    that torch cannot load.
    """

    differentiable = True

    def __init__(self, file: Path, device: str):
        super().__init__()
        try:
            if not zipfile.is_zipfile(file):  # torch would log where it failed, line by line
                raise ValueError('no archive, or not all of it')
            program = torch.export.load(file)
            if device != 'cpu':
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, device)
            module = program.module()
        except Exception as error:  # an archive of another torch version can raise anything
            raise FileError(
                f'{file}: expected an archive of torch.export.save that torch {torch.__version__} loads '
                f'({" ".join(str(error).split())[:300]}); export it with the torch that is installed'
            ) from error
        if _trains(program):
            raise FileError(
                f'{file}: the network was exported in training mode: its batch normalisation or dropout '
                'would depend on each image; call eval() on the outermost module before torch.export.export'
            )
        # an exported network raises an error when its training mode is changed
        module.train = lambda mode=True: module
        for part in module.modules():
            part.training = False
        self._module = module
        nodes = {node.name: node for node in program.graph.nodes if node.op == 'placeholder'}
        self.shapes = tuple(
            tuple(size if isinstance(size, int) else None for size in nodes[name].meta['val'].shape)
            for name in program.graph_signature.user_inputs
        )

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        """Run the network."""
        return [each.float() for each in _flat(self._module(*inputs))]


def _trains(program: torch.export.ExportedProgram) -> bool:
    """Return whether a network normalises by the statistics of each batch, not by learned ones."""
    for node in program.graph.nodes:
        name, arguments = str(node.target), node.args
        # the learned mean is the fourth argument, and there is none where a network never learns one
        if name.startswith('aten.batch_norm') and arguments[3] is not None and arguments[5]:
            return True
        if name.startswith('aten.dropout') and arguments[2]:
            return True
    return bool(program.graph_signature.buffers_to_mutate)


def _flat(outputs: Any) -> Iterator[Tensor]:
    """Yield the tensors of an output, of lists and tuples in them one after the other."""
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, Mapping):
        yield from _flat(tuple(outputs.values()))
    elif isinstance(outputs, Sequence):
        for each in outputs:
            yield from _flat(each)

"""Runs a network of the user's own from an archive of `torch.export.save` (.pt2)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from irvis_fusion_ros.backbones import archive
from irvis_fusion_ros.errors import FileError


class ExportedNetwork(nn.Module):
    """
    See `custom.FileNetwork`. Gradients pass through it.

    Raises FileError for an archive that is not plain (archive.py), or that torch cannot load.
    """

    differentiable = True

    def __init__(self, file: Path, device: str):
        super().__init__()
        copy = archive.safe_copy(file)
        try:
            program = torch.export.load(copy)
            if device != 'cpu':
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, device)
            module = program.module()
        except Exception as error:  # an archive of another torch version can raise anything
            raise FileError(
                f'{file}: torch {torch.__version__} cannot load it ({" ".join(str(error).split())[:300]}); '
                'export it with the torch that is installed'
            ) from error
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

    def forward(self, *inputs: Tensor) -> Tensor:
        """Run the network."""
        output = self._module(*inputs)
        return output if isinstance(output, Tensor) else output[0]

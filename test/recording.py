"""What a CUDA graph can record, told without a GPU: tensors on `meta` have no values to be asked for."""

import torch
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode


class NothingOfTheHost(TorchDispatchMode):
    """Refuses what a CUDA graph cannot record: values from the host, and values asked for by it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten.lift_fresh.default, 'a tensor was made of numbers of the host'
        tensors = [each for each in tree.tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        assert all(each.device.type == 'meta' for each in tensors), f'{func} takes a tensor of the host'
        return func(*args, **(kwargs or {}))

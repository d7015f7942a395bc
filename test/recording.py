"""What a CUDA graph can record, told without a GPU: tensors on `meta` have no values to be asked for."""

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode


class _NothingNew(TorchFunctionMode):
    """Refuses `Tensor.new_tensor`, of whose numbers a dispatch mode is not told."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func is not torch.Tensor.new_tensor, 'a tensor was made of numbers of the host'
        return func(*args, **(kwargs or {}))


class NothingOfTheHost(TorchDispatchMode):
    """Refuses what a CUDA graph cannot record: values from the host, and values asked for by it."""

    def __enter__(self):
        self._nothing_new = _NothingNew()
        self._nothing_new.__enter__()
        return super().__enter__()

    def __exit__(self, *raised):
        super().__exit__(*raised)
        self._nothing_new.__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten.lift_fresh.default, 'a tensor was made of numbers of the host'
        tensors = [each for each in tree.tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        assert all(each.device.type == 'meta' for each in tensors), f'{func} takes a tensor of the host'
        return func(*args, **(kwargs or {}))

"""The cost of a network: its parameters, and the multiplications of one run."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count(network: nn.Module, run: Callable[[], object]) -> tuple[int, float]:
    """
    Return the number of parameters, and the GMACs of the convolutions and matrix products of `run`.

    Additions, transforms and sampling are not counted, as usual.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() / 2e9

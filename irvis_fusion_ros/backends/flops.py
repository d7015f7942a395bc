"""What a network costs: parameters, and multiplications of one run."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count


def count(network: nn.Module, run: Callable[[], object]) -> tuple[int, float]:
    """
    Return the number of parameters, and the GMACs of the convolutions and matrix products of `run`.

    Additions, transforms and sampling are not counted, as usual.
    """
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_at_once()) as counter:
        run()
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() / 2e9


def _at_once() -> dict[object, Callable[..., int]]:
    """How to count what layers.py does in one pass, where this torch can."""

    def convolved(x: torch.Size, weight: torch.Size, *_: object, out_shape: torch.Size, **__: object) -> int:
        return conv_flop_count(x, weight, out_shape)

    def added(total: torch.Size, x: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
        return conv_flop_count(x, weight, total)

    def multiplied(x: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
        return 2 * x.numel() * weight[0]

    ways = {
        '_convolution_pointwise': convolved,
        '_convolution_pointwise_': added,
        '_linear_pointwise': multiplied,
    }
    ops = torch.ops.mkldnn
    return {getattr(ops, name): way for name, way in ways.items() if hasattr(ops, name)}

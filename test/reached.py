"""What a loss has reached of a network."""

import torch


def unreached(network: torch.nn.Module, biases: bool = True) -> list[str]:
    """
    Return the parameters that learn and whose gradient is missing, not finite or 0.

    biases: whether those of biases may not be 0; before instance normalisation they are normalised away.
    """
    return [
        name
        for name, p in network.named_parameters()
        if p.requires_grad
        and (
            p.grad is None
            or not p.grad.isfinite().all()
            or not (p.grad.any() or (not biases and name.endswith('bias')))
        )
    ]

"""
Perceptual losses: distances between the features of a frozen network instead of between pixels.

UMF-CMGR takes the features of VGG-19, whose weights are not ours to ship. Here they are those of the bus of
BusReF (models/busref.safetensors): trained on some hundred pairs of both cameras, not on a million
photographs, and four levels instead of five layers. Their size is not that of VGG's: distances are relative
to the second of two images, and weights of the paper have no meaning for them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.busref import BusReF
from irvis_fusion_ros.networks.matching import COARSEST
from irvis_fusion_ros.training.losses.basic import mean

# Weight of each level, finest first: those of the last four layers in the paper.
OMEGA = (1 / 16, 1 / 8, 1.0, 1.0)


def network(device: torch.device) -> nn.Module:
    """Return the frozen bus on a device. Raises FileError, with the remedy, where its weights are missing."""
    return weights.into(BusReF(), 'busref', 'busref').bus.requires_grad_(False).eval().to(device)


def features(bus: nn.Module, image: Tensor) -> list[Tensor]:
    """Return the features of B x 1 x H x W in [0, 1], finest first; sides are padded to multiples of 8."""
    image = layers.padded(image, COARSEST)
    with layers.exactly(image.device):
        return bus.encode(image.float(), layers.content(image.detach().float()))


def content(a: list[Tensor], b: list[Tensor], mask: Tensor | None = None, power: int = 2) -> Tensor:
    """
    Return L_pcp of UMF-CMGR (eq. 8), `sum w_j mean |psi_j(a) - psi_j(b)|^power`, of two images' features.

    Each mean is divided by that of `|psi_j(b)|^power`. With power 1 it is one term of L_sim (eq. 13). mask:
    B x 1 x H x W of the padded image, 1 where it counts.
    """
    return sum(w * _distance(*pair, mask, power) for w, *pair in zip(OMEGA, a, b, strict=True))


def style(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Return L_sty of UMF-CMGR (eq. 9), `sum w_j mean (gram psi_j(a) - gram psi_j(b))^2`, each relative."""
    grams = [(w, gram(x), gram(y)) for w, x, y in zip(OMEGA, a, b, strict=True)]
    return sum(w * F.mse_loss(x, y) / y.detach().square().mean() for w, x, y in grams)


def gram(maps: Tensor) -> Tensor:
    """Return the products of all pairs of channels, B x C x C, mean over pixels and divided by C."""
    flat = maps.flatten(2)
    return flat @ flat.mT / (flat.shape[1] * flat.shape[2])


def _distance(a: Tensor, b: Tensor, mask: Tensor | None, power: int) -> Tensor:
    difference = (a - b).abs().pow(power).mean(1, keepdim=True) / b.detach().abs().pow(power).mean()
    if mask is None:
        return difference.mean()
    stride = mask.shape[-1] // a.shape[-1]
    # a cell that sees beyond the edge does not count
    return mean(difference, (F.avg_pool2d(mask, stride) > 0.99).to(difference))

"""
Perceptual losses: distances between the features of a frozen network instead of between pixels.

UMF-CMGR uses features of VGG-19, whose weights we may not ship. Here they come from the bus of BusReF
(models/busref.safetensors), trained on some hundred pairs of both cameras instead of a million photographs,
with four levels instead of five layers. Their scale differs from VGG's. So distances are relative to the
second image, and the weights of the paper do not apply to them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.busref import BusReF
from irvis_fusion_ros.networks.matching import COARSEST
from irvis_fusion_ros.training.losses.basic import mean

# Weight of each level, finest first: the weights of the last four layers in the paper.
OMEGA = (1 / 16, 1 / 8, 1.0, 1.0)


def network(device: torch.device) -> nn.Module:
    """Return the frozen bus on a device. Raises FileError, with the remedy, where its weights are missing."""
    return weights.into(BusReF(), 'busref', 'busref').bus.requires_grad_(False).eval().to(device)


def features(bus: nn.Module, image: Tensor) -> list[Tensor]:
    """Return the features of B x 1 x H x W in [0, 1], finest first; sides are padded to multiples of 8."""
    image = layers.padded(image, COARSEST)
    with layers.single_precision(image.device):
        return bus.encode(image.float(), layers.content(image.detach().float()))


def content(a: list[Tensor], b: list[Tensor], mask: Tensor | None = None, power: int = 2) -> Tensor:
    """
    Return L_pcp of UMF-CMGR (eq. 8), `sum w_j mean |psi_j(a) - psi_j(b)|^power`, of the features of two
    images.

    Each mean is divided by that of `|psi_j(b)|^power`. With power 1 it is one term of L_sim (eq. 13). mask:
    B x 1 x H x W of the padded image, 1 where pixels count.
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
    # drop cells whose area is not completely inside the mask
    return mean(difference, (F.avg_pool2d(mask, stride) > 0.99).to(difference))

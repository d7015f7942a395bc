"""How the backbone `cnn` is trained: without a reference, by comparing the fused image with both sources."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.networks.cnn import Cnn
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage


@dataclass(frozen=True)
class CnnConfig:
    """Schedule, and the weights of the loss terms."""

    steps: int = option(600, 'Steps of the one stage.', minimum=1)
    lr: float = option(1e-2, 'Peak learning rate.', minimum=0)
    ssim: float = option(1.0, 'Weight of similarity of structure to both images.', minimum=0)
    detail: float = option(2.0, 'Weight of the stronger Laplacian of the two.', minimum=0)
    intensity: float = option(1.0, 'Weight of the mean distance from the brighter image.', minimum=0)


class CnnRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = CnnConfig

    def build(self) -> nn.Module:
        """Return the untrained network."""
        return Cnn()

    def stages(self) -> tuple[Stage, ...]:
        """Return one stage on aligned pairs."""
        return (Stage('fusion', self.config.steps, self.config.lr, mixture={'zero': 1.0}),)

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """
        Return L_wsim of BusReF (eq. 5), its L_grad (eq. 6) and the distance from the brighter image.

        gamma of L_grad is 1: a network this small cannot tell weak detail from noise.
        """
        c, fused = self.config, model(batch.visible, batch.thermal)
        return {
            'wsim': c.ssim * basic.weighted_ssim(fused, batch.visible, batch.thermal),
            'grad': c.detail * basic.fusion_gradient(fused, batch.visible, batch.thermal, gamma=1.0),
            'intensity': c.intensity * F.l1_loss(fused, torch.maximum(batch.visible, batch.thermal)),
        }

"""How `targets` is trained: by cross entropy and overlap with the warm part of targets, few pixels of all."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.networks.target_finder import TargetFinder, TargetFinderConfig
from irvis_fusion_ros.training.data.target_batches import TargetBatch
from irvis_fusion_ros.training.recipes.base import Recipe, Stage

# A target counts as if it had this many pixels, but by no factor below and above these.
PIXELS, FEW, FACTORS = 400, 60, (1.0, 6.0)


@dataclass(frozen=True)
class TargetsRecipeConfig:
    """Its size, steps and learning rate, the ground that targets are laid on, and a weight of the loss."""

    network: TargetFinderConfig = group(TargetFinderConfig)
    ground: tuple[str, ...] = option(
        (),
        'Images that show no target, each SET/PAIR or SET for all of a data set: targets are laid on them.',
    )
    held_out: bool = option(True, 'Leave the images of part val out, to measure on them.')
    steps: int = option(4000, 'Steps.', minimum=1)
    lr: float = option(3e-3, 'Peak learning rate.', minimum=0)
    overlap: float = option(0.2, 'Weight of the overlap (Dice) beside the cross entropy.', minimum=0)
    hard: float = option(
        3.0, 'How much more a place without a target counts that is surely taken for one.', minimum=0
    )


class TargetsRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = TargetsRecipeConfig
    aligned = False
    boxed = True

    def build(self) -> nn.Module:
        """Return the untrained network."""
        # a fifth faster on a processor
        return TargetFinder(self.config.network).to(memory_format=torch.channels_last)

    def stages(self) -> tuple[Stage, ...]:
        """Return the only stage."""
        return (Stage('all', self.config.steps, self.config.lr),)

    def losses(self, model: nn.Module, batch: TargetBatch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms: entropy and overlap."""
        logits, target, weight = model(batch.thermal).float(), batch.target, batch.weight
        pixels = target.sum((1, 2, 3), keepdim=True)
        factor = torch.where(target > 0, (PIXELS / (pixels + FEW)).clamp(*FACTORS), 1.0)
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
        found = torch.sigmoid(logits)
        factor = factor + self.config.hard * found.detach() * (target == 0)
        both = (found * target * weight).sum((1, 2, 3))
        either = ((found + target) * weight).sum((1, 2, 3))
        missed = (1 - (2 * both + 1) / (either + 1)) * (pixels.flatten() > 0)
        return {
            'entropy': (entropy * weight * factor).mean(),
            'overlap': self.config.overlap * missed.sum() / (pixels > 0).sum().clamp(min=1),
        }

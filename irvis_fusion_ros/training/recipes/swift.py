"""
How `swift` is trained: every measurement and every fitted field is compared with the known warp.

The steps start from the result of the search, or, where that is far off, from a random start near the truth.
Labels of real pairs are themselves wrong by a pixel or two; the likelihood of a Student t is robust against
such outliers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.networks import field_fit, layers
from irvis_fusion_ros.networks.swift import Measured, Swift, SwiftConfig
from irvis_fusion_ros.training.losses.known import Known
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage
from irvis_fusion_ros.tuning import ROBUST


@dataclass(frozen=True)
class SwiftRecipeConfig:
    """Its size, steps and learning rate, and the weights of the loss terms."""

    network: SwiftConfig = group(SwiftConfig)
    steps: int = option(30000, 'Steps.', minimum=1)
    lr: float = option(1e-3, 'Peak learning rate.', minimum=0)
    search: float = option(0.25, 'Weight of the cross entropy of the search.', minimum=0)
    match: float = option(0.25, 'Weight of the likelihood of the measurements.', minimum=0)
    field: float = option(1.0, 'Weight of the endpoint error of the fields.', minimum=0)
    early: float = option(0.4, 'Factor on the weight of a field for every step before the last.', minimum=0)


class SwiftRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = SwiftRecipeConfig

    def build(self) -> nn.Module:
        """Return the untrained network."""
        return Swift(self.config.network)

    def stages(self) -> tuple[Stage, ...]:
        """Return the only stage."""
        return (Stage('all', self.config.steps, self.config.lr),)

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms: search, match and field."""
        known = Known(batch)
        pyramids = model.descriptions(known.visible, known.moved)
        # as at inference: descriptions may be in half precision, comparing and fitting need single precision
        with layers.single_precision(known.visible.device):
            return self._compared(model, known, pyramids)

    def _compared(self, model: nn.Module, known: Known, pyramids: tuple) -> dict[str, Tensor]:
        c = self.config
        logits, best = model.search(pyramids[0][-1], pyramids[1][-1], known.affine)
        found = model.compare(*pyramids, start=known.starts_near(best))
        matches = [likelihood(known, seen) for seen in found.measured]
        errors = [known.endpoint_error(*step) for step in found.steps]
        factors = [c.early ** (len(errors) - 1 - index) for index in range(len(errors))]
        fields = sum(factor * error for factor, error in zip(factors, errors, strict=True))
        return {
            'search': c.search * known.search_loss(model.search, logits),
            'match': c.match * sum(matches) / len(matches),
            'field': c.field * fields / sum(factors),
        }

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """Return the field of the complete network, including its search."""
        return model.field(model.register(batch.visible, batch.moved), batch.visible.shape[-2:])


def likelihood(known: Known, seen: Measured) -> Tensor:
    """Return the negative log-likelihood (Student t) of a step's measurements, within its search range."""
    left, visible = known.remaining(seen.start, seen.reach)
    error = seen.shift - left
    distance = (field_fit.apply(seen.precision, error) * error).sum(-1)
    xx, yy, xy = seen.precision.unbind(-1)
    tail = ROBUST.tail
    spread = torch.log((xx * yy - xy * xy).clamp(min=1e-12))
    density = (tail + 2) / 2 * torch.log1p(distance / tail) - spread / 2
    return (density * visible).sum() / visible.sum().clamp(min=1)

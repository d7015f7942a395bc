"""
How BusReF is trained: bus, Affine Net, Deformable Net, fusion, and registration guided by fusion.

The stages `affine` and `deformable` learn from the known warp that moved the thermal image: it labels the
search, every measurement, the affine and the residual. The paper's loss of registration, L_MNCC and L_MG
(eq. 10 and 12), is that of the last stage alone, at a tenth of the learning rate: 300 of the 3850 steps of
the shipped weights, on top of the labels. `known: false` trains by it alone; so far only for a hundred steps,
from identity (config/ablation_busref.yaml; figures in models/busref.md).

The paper freezes the bus before it trains the registration nets. Here the bus trains along with them, with
its reconstruction loss kept, so that it remains one set of features; it is frozen from the fusion stage on.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.busref import BusReF, BusReFResult
from irvis_fusion_ros.networks.matching import COARSEST, Measured
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.losses.known import Known
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage

# Initial softmax temperature of dynamic convolutions in the affine stage, and steps until it is 1.
HOT, COOLING = 30.0, 500
REGISTRATION = ('describe', 'search', 'affine')


@dataclass(frozen=True)
class BusReFConfig:
    """Steps and learning rate of every stage, and the weights of the loss terms."""

    bus_steps: int = option(1000, 'Steps of the reconstruction stage.', minimum=1)
    affine_steps: int = option(6000, 'Steps of the coarse registration stage.', minimum=1)
    deformable_steps: int = option(6000, 'Steps of the fine registration stage.', minimum=1)
    fusion_steps: int = option(1500, 'Steps of the fusion stage.', minimum=1)
    guide_steps: int = option(1500, 'Steps of registration guided by fusion.', minimum=1)
    bus_lr: float = option(1e-3, 'Peak learning rate of the reconstruction stage.', minimum=0)
    lr: float = option(6e-4, 'Peak learning rate of the registration stages.', minimum=0)
    fusion_lr: float = option(1e-3, 'Peak learning rate of the fusion stage.', minimum=0)
    guide_lr: float = option(1e-4, 'Peak learning rate of the guided stage.', minimum=0)
    ssim: float = option(1.0, 'Lambda of eq. 4: SSIM in the reconstruction loss.', minimum=0)
    keep_bus: float = option(0.2, 'Weight of reconstruction while the bus learns to register.', minimum=0)
    sigma: float = option(1.0, 'Sigma of eq. 8: SSIM in the fusion loss.', minimum=0)
    epsilon: float = option(1.0, 'Epsilon of eq. 13: MNCC in the guided stage.', minimum=0)
    guide: float = option(
        1.0, 'Weight of the masked gradient loss (eq. 12), 0 for no fusion guide.', minimum=0
    )
    mask: bool = option(True, 'Mask the area that cannot be reconstructed; for the ablation of table 3.')
    train_bus: bool = option(True, 'Train the bus, or keep its initial weights; for the ablation of table 3.')
    known: bool = option(
        True,
        'Learn from the known warp, not in the paper; without it L_reg alone trains registration, for the '
        'steps of all three stages and without the global search, which it cannot train.',
    )


class BusReFRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = BusReFConfig

    def build(self) -> nn.Module:
        """Return the untrained network."""
        return BusReF()

    def stages(self) -> tuple[Stage, ...]:
        """Return bus, affine, deformable, fusion and guide; without the known warp bus, fusion and guide."""
        c = self.config
        bus = ('bus',) if c.train_bus else ()
        reconstruct = tuple(Stage(name, c.bus_steps, c.bus_lr, ('bus',)) for name in bus)
        fusion = Stage('fusion', c.fusion_steps, c.fusion_lr, ('gaf',))
        guided = ('describe', 'affine', 'deformable')
        if not c.known:
            steps = c.affine_steps + c.deformable_steps + c.guide_steps
            return (*reconstruct, fusion, Stage('guide', steps, c.lr, guided))
        return (
            *reconstruct,
            Stage('affine', c.affine_steps, c.lr, (*bus, *REGISTRATION)),
            Stage('deformable', c.deformable_steps, c.lr, (*bus, *REGISTRATION, 'deformable')),
            fusion,
            Stage('guide', c.guide_steps, c.guide_lr, guided),
        )

    def before_step(self, model: nn.Module, stage: Stage, step: int) -> None:
        """Lower the temperature of the dynamic convolutions."""
        share = min(step / COOLING, 1.0) if stage.name == 'affine' else 1.0
        for module in model.modules():
            if isinstance(module, layers.DynamicConv):
                module.temperature = HOT + (1 - HOT) * share

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of a stage."""
        if stage.name == 'bus':
            images = layers.padded(torch.cat([batch.visible, batch.moved]), COARSEST)
            features = model.bus.encode(images, layers.content(images))
            return {'reconstruction': self._reconstruction(model, features, images)}
        if stage.name == 'fusion':
            fused = model.fuse(batch.visible, batch.thermal)
            similar = basic.weighted_ssim(fused, batch.visible, batch.thermal)
            gradient = basic.fusion_gradient(fused, batch.visible, batch.thermal)
            return {'wsim': self.config.sigma * similar, 'grad': gradient}
        if not self.config.mask:
            batch = replace(batch, shown=torch.ones_like(batch.shown))
        known = Known(batch)
        images = torch.cat([known.visible, known.moved])
        support = layers.content(images)
        features = model.bus.encode(images, support)
        descriptions = model.described(features, support)
        # as at inference: descriptions may be in half precision, comparing and fitting need single precision
        with layers.single_precision(images.device):
            if self.config.known:
                found, terms = self._compared(model, known, descriptions, stage)
            else:
                found, terms = model.compare(*descriptions, start=torch.zeros_like(known.p)), {}
        if stage.name == 'guide':
            return terms | self._guide(model, batch, found)
        if not self.config.train_bus:
            return terms
        # one pair of the batch suffices to preserve the reconstruction
        kept = slice(0, None, len(batch.moved))
        terms['reconstruction'] = self.config.keep_bus * self._reconstruction(
            model, [f[kept] for f in features], images[kept]
        )
        return terms

    @staticmethod
    def _compared(
        model: nn.Module, known: Known, descriptions: tuple, stage: Stage
    ) -> tuple[BusReFResult, dict[str, Tensor]]:
        """Return the registration, and the terms that compare it with the known warp."""
        logits, best = model.search(descriptions[0][-1], descriptions[1][-1], known.affine)
        dense = stage.name != 'affine'
        found = model.compare(*descriptions, start=known.starts_near(best), dense=dense)
        terms = {
            'search': known.search_loss(model.search, logits),
            'match': sum(match_loss(known, seen) for seen in found.measured) / len(found.measured),
            'affine': sum(known.affine_loss(p) for p in found.affine_steps) / 4,
        }
        if dense:
            affine = found.affine.detach()
            residual = sum(known.endpoint_error(affine, step) for step in found.residual_steps)
            terms['residual'] = residual / 4 + known.endpoint_error(affine, found.residual)
        return found, terms

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """Return the field of the network so far, including its search, if that is trained."""
        if stage.name in ('bus', 'fusion'):
            return None
        start = None if self.config.known else batch.truth.new_zeros(len(batch.truth), 2, 3)
        found = model.register(batch.visible, batch.moved, start)
        return model.field(found, batch.visible.shape[-2:])

    def _reconstruction(self, model: nn.Module, features: list[Tensor], images: Tensor) -> Tensor:
        """Return L_re (eq. 4)."""
        return basic.reconstruction(model.bus.decode(features), images, weight=self.config.ssim)

    def _guide(self, model: nn.Module, batch: Batch, found: BusReFResult) -> dict[str, Tensor]:
        """Return L_MNCC and L_MG (eq. 10 and 12) of the registered image against the unmoved one."""
        with layers.single_precision(batch.moved.device):
            field = model.field(found, batch.visible.shape[-2:])
            registered = tensors.warp(batch.moved, field, 'zeros')
        terms = {'mncc': self.config.epsilon * basic.masked_ncc(registered, batch.thermal, batch.shown)}
        if self.config.guide:
            guided = model.fuse(batch.visible, registered)
            with torch.no_grad():
                target = model.fuse(batch.visible, batch.thermal)
            terms['mg'] = self.config.guide * basic.masked_laplacian(guided, target, batch.shown)
        return terms


def match_loss(known: Known, seen: Measured) -> Tensor:
    """Return the negative log-likelihood (Laplace) of a step's measurements, within its search range."""
    left, visible = known.remaining(seen.start, seen.reach)
    error = (seen.shift - left).abs().sum(-1)
    likelihood = error / seen.scale + 2 * torch.log(seen.scale)
    return (likelihood * visible).sum() / visible.sum().clamp(min=1) / 4

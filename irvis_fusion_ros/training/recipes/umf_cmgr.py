"""
How UMF-CMGR is trained: style transfer, registration, fusion, and fusion of registered images.

Both directions of CPSTN train on aligned pairs, with one critic each. All losses form one sum: the weights of
the critic are constant in the generator's loss, and the generated image in the critic's, so each term
trains only its own network and one optimiser updates both at once, where CycleGAN alternates. There is no
pool of earlier images, because steps must not depend on such a state.

Differences from the paper: perceptual features come from the bus of BusReF (perceptual.py). `paired` also
compares a generated image with the aligned one. `known` adds the known field to the registration loss, which
has no label in the paper, and supervises every level; without it registration learned nothing in 200 steps
(config/ablation_umf_cmgr.registration.yaml, models/umf_cmgr.md).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.matching import COARSEST
from irvis_fusion_ros.networks.umf_cmgr import Generator, NetworkConfig, UmfCmgr
from irvis_fusion_ros.training.losses import basic, perceptual, saliency
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage


@dataclass(frozen=True)
class UmfCmgrConfig:
    """The network, steps and learning rates, and the weights of the loss terms."""

    network: NetworkConfig = group(NetworkConfig)
    critic: int = option(16, 'Channels of a critic at half size; 64 in the paper.', minimum=4, maximum=64)
    style_steps: int = option(12000, 'Steps of the style transfer stage.', minimum=1)
    registration_steps: int = option(20000, 'Steps of the registration stage.', minimum=1)
    fusion_steps: int = option(3000, 'Steps of the fusion stage, on aligned pairs.', minimum=1)
    joint_steps: int = option(1000, 'Steps of fusion on what the network has registered.', minimum=1)
    style_lr: float = option(2e-4, 'Peak learning rate of style transfer.', minimum=0)
    registration_lr: float = option(1e-3, 'Peak learning rate of registration.', minimum=0)
    fusion_lr: float = option(1e-3, 'Peak learning rate of fusion.', minimum=0)
    style_batch: int = option(8, 'Pairs in a batch of style transfer.', minimum=1)
    style_crop: int = option(128, 'Side of a crop of style transfer.', minimum=32, unit='pixels')
    cycle: float = option(10.0, 'Weight of the cycle: brightness and L_pst (eq. 10).', minimum=0)
    content: float = option(0.05, 'Lambda_p of eq. 10, of relative distances: 1 in the paper.', minimum=0)
    gram: float = option(0.05, 'Lambda_s of eq. 10, likewise: 100 in the paper.', minimum=0)
    cross: float = option(8.0, 'Lambda_c and lambda_e of eq. 12: cross regularisation.', minimum=0)
    paired: float = option(
        8.0, 'Weight of the same distance from the aligned image; not in the paper, 0 there.', minimum=0
    )
    adversarial: float = option(1.0, 'Weight of the adversarial loss; 0 leaves the critics out.', minimum=0)
    perceptual: float = option(1.0, 'Weight of the forward similarity of features (eq. 13).', minimum=0)
    reverse: float = option(0.2, 'Lambda_rev of eq. 13: the backward one.', minimum=0)
    smooth: float = option(10.0, 'Lambda_sm of eq. 15: smoothness of the field.', minimum=0)
    known: float = option(1.0, 'Weight of the known field; not in the paper, 0 there.', minimum=0)
    early: float = option(0.5, 'Factor on the known field of each level before the last.', minimum=0)
    ssim: float = option(1.0, 'Lambda_ssim of eq. 19.', minimum=0)
    salient: float = option(
        20.0,
        'Lambda_svs of eq. 19, as the released code has it; the paper swaps it with the next.',
        minimum=0,
    )
    gradient: float = option(5.0, 'Lambda_JG of eq. 19.', minimum=0)


class Critic(nn.Module):
    """PatchGAN critic: rates for every patch whether it comes from a camera or from a generator."""

    def __init__(self, width: int):
        super().__init__()
        self.enter = layers.conv(1, width, 4, 2)
        self.middle = nn.Sequential(*(_normed(wide, 2 * wide) for wide in (width, 2 * width)))
        self.out = nn.Conv2d(4 * width, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return B x 1 x H/8 x W/8 from B x 1 x H x W: 1 for a real image, 0 for a generated one."""
        return self.out(self.middle(self.enter(image)))


class TrainingNetworks(nn.Module):
    """The network, and what only training uses: the generator from thermal to visible, and two critics."""

    def __init__(self, config: UmfCmgrConfig):
        super().__init__()
        self.network = UmfCmgr(config.network)
        if config.network.pseudo:
            self.back = Generator(config.network.width, config.network.blocks)
            self.critics = nn.ModuleDict({name: Critic(config.critic) for name in ('visible', 'thermal')})


class UmfCmgrRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = UmfCmgrConfig

    def __init__(self, config: UmfCmgrConfig):
        super().__init__(config)
        # not an attribute of the network, so that it is not saved with it
        self._bus: nn.Module | None = None

    def build(self) -> nn.Module:
        """Return the untrained network with the parts that only training uses."""
        return TrainingNetworks(self.config)

    def runs(self, model: nn.Module) -> nn.Module:
        """Return the network without the reverse generator and the critics."""
        return model.network

    def stages(self) -> tuple[Stage, ...]:
        """Return style, registration, fusion and joint; without CPSTN there is no style stage."""
        c, aligned = self.config, {'zero': 1.0}
        learning = ('network.cpstn', 'back', 'critics') if c.adversarial else ('network.cpstn', 'back')
        crop = (c.style_crop, c.style_crop)
        style = Stage(
            'style', c.style_steps, c.style_lr, learning, mixture=aligned, batch=c.style_batch, crop=crop
        )
        return (
            *((style,) if c.network.pseudo else ()),
            Stage('registration', c.registration_steps, c.registration_lr, ('network.mrrn',)),
            Stage('fusion', c.fusion_steps, c.fusion_lr, ('network.difn',), mixture=aligned),
            Stage('joint', c.joint_steps, c.fusion_lr / 10, ('network.difn',)),
        )

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of a stage."""
        if stage.name == 'style':
            return self._style(model, batch)
        if stage.name == 'registration':
            return self._registration(model.network, batch)
        visible, thermal = batch.visible, batch.thermal
        if stage.name == 'joint':
            with torch.no_grad():
                thermal = tensors.warp(batch.moved, model.network.field(visible, batch.moved))
        visible, thermal = (layers.padded(image, COARSEST) for image in (visible, thermal))
        return self._fusion(model.network.difn(visible, thermal), visible, thermal)

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """Return the field of the network in the registration stage."""
        return model.network.field(batch.visible, batch.moved) if stage.name == 'registration' else None

    @torch.no_grad()
    def measures(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, float]:
        """
        Return what tells runs of different weights apart.

        Of style, the correlation of pseudo-infrared and visible images with the thermal one, and that of the
        edges of the pseudo-infrared image with those of the visible one. Of fusion, its terms unweighted.
        """
        if stage.name not in ('style', 'fusion'):
            return {}
        visible, thermal = (layers.padded(image, COARSEST) for image in (batch.visible, batch.thermal))
        if stage.name == 'fusion':
            terms = saliency.terms(model.network.difn(visible, thermal), visible, thermal)
            return {f'{name} unweighted': float(term) for name, term in terms.items()}
        pseudo = model.network.reference(visible)
        pairs = {
            'pseudo_ncc': (pseudo, thermal),
            'visible_ncc': (visible, thermal),
            'pseudo_edges': tuple(basic.steepness(image) for image in (pseudo, visible)),
        }
        return {name: 1 - float(basic.masked_ncc(*pair)) for name, pair in pairs.items()}

    def _features(self, image: Tensor) -> list[Tensor]:
        if self._bus is None:
            self._bus = perceptual.network(image.device)
        return perceptual.features(self._bus, image)

    def _style(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return L_pst, L_cross and L_GAN (eq. 10, 12 and 20)."""
        c = self.config
        true = {'visible': batch.visible, 'thermal': batch.thermal}
        true = {name: layers.padded(image, COARSEST) for name, image in true.items()}
        to = {'visible': model.back, 'thermal': model.network.cpstn}
        made = {'visible': to['visible'](true['thermal']), 'thermal': to['thermal'](true['visible'])}
        again = {'visible': to['visible'](made['thermal']), 'thermal': to['thermal'](made['visible'])}
        names = tuple(true)
        pairs = [(self._features(again[name]), self._features(true[name])) for name in names]
        terms = {
            'cycle': c.cycle * sum(F.l1_loss(again[name], true[name]) for name in names),
            'content': c.cycle * c.content * sum(perceptual.content(*pair) for pair in pairs),
            'gram': c.cycle * c.gram * sum(perceptual.style(*pair) for pair in pairs),
            'cross': c.cross * sum(_cross(made[name], again[name]) for name in names),
        }
        if c.paired:
            terms['paired'] = c.paired * sum(_cross(made[name], true[name]) for name in names)
        if c.adversarial:
            critics = model.critics
            terms['fool'] = c.adversarial * sum(generator_loss(critics[name], made[name]) for name in names)
            terms['critics'] = c.adversarial * sum(
                ((critics[name](true[name]) - 1) ** 2).mean() / 2
                + (critics[name](made[name].detach()) ** 2).mean() / 2
                for name in names
            )
        return terms

    def _registration(self, network: UmfCmgr, batch: Batch) -> dict[str, Tensor]:
        """Return L_reg (eq. 13 to 15), and the loss of the known field."""
        c, shape = self.config, batch.visible.shape[-2:]
        visible, moved = (layers.padded(image, COARSEST) for image in (batch.visible, batch.moved))
        reference, found = network.register(visible, moved)
        levels = [
            [layers.on_grid(field, visible.shape[-2:])[:, : shape[0], : shape[1]] for field in level]
            for level in found
        ]
        field = levels[-1][-1]
        terms = {'smooth': c.smooth * basic.smoothness(field)}
        if c.known:
            factors = [c.early ** (len(levels) - 1 - index) for index in range(len(levels))]
            errors = [
                factor * basic.known_field(each, batch.truth, batch.shown)
                for factor, level in zip(factors, levels, strict=True)
                for each in level
            ]
            terms['known'] = c.known * sum(errors) / (2 * sum(factors))
        if c.perceptual:
            reference = reference[..., : shape[0], : shape[1]]
            # only one pair of a batch: these terms cost as much as three pairs without them
            one = slice(0, 1)
            terms |= self._similarity(batch.moved[one], reference[one], field[one], batch.shown[one])
        return terms

    def _similarity(
        self, moved: Tensor, reference: Tensor, field: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """Return L_sim (eq. 13), forward, and backward by the negated field, about the inverse."""
        c, padded = self.config, layers.padded
        registered, back = tensors.warp(moved, field), tensors.warp(reference, -field)
        pairs = {'forward': (registered, reference), 'backward': (back, moved)}
        weight = {'forward': c.perceptual, 'backward': c.perceptual * c.reverse}
        moved_content = layers.content(moved)
        masks = {'forward': shown * tensors.warp(moved_content, field), 'backward': moved_content}
        return {
            name: weight[name]
            * perceptual.content(
                *(self._features(image) for image in pair), padded(masks[name], COARSEST), power=1
            )
            for name, pair in pairs.items()
        }

    def _fusion(self, fused: Tensor, visible: Tensor, thermal: Tensor) -> dict[str, Tensor]:
        """Return L_fus (eq. 19)."""
        terms = saliency.terms(fused, visible, thermal)
        return {name: getattr(self.config, name) * term for name, term in terms.items()}


def generator_loss(critic: nn.Module, made: Tensor) -> Tensor:
    """Return the least-squares loss `mean (D(made) - 1)^2` without a gradient for the critic's weights."""
    frozen = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    return ((torch.func.functional_call(critic, frozen, made) - 1) ** 2).mean()


def _cross(made: Tensor, wanted: Tensor) -> Tensor:
    """Return L_con + L_edge (eq. 11) between a generated image and its target."""
    return F.l1_loss(made, wanted) + basic.charbonnier(basic.laplacian(made), basic.laplacian(wanted))


def _normed(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(into, out, 4, 2, 1), nn.InstanceNorm2d(out), nn.LeakyReLU(layers.SLOPE))

"""
How B-SR is trained: on unaligned pairs, without an aligned reference or a known field (algorithm 1).

Phase 1 trains registration and reconstruction together, on the pair and on its proxy. Phase 2 freezes all but
the decoder, which learns to reconstruct the content of both images. A batch holds a known warp for the
validation curve; the losses use neither that warp nor the unmoved thermal image.

`structure` is our addition: the correlation of structure maps, which contain edge directions; the edges of
L_nda do not. It teaches most of the registration: the losses of the paper alone, with weights of one, leave
3.6 of 5.0 px where it leaves 2.3, and with the weights below hardly register (models/bsr.md, three seeds).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.bsr import STRIDES, Bsr, BsrConfig
from irvis_fusion_ros.training.data.proxy import Proxy
from irvis_fusion_ros.training.losses import basic, neighbourhood
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage


@dataclass(frozen=True)
class BsrRecipeConfig:
    """Steps and learning rates of both phases, and the weights of the loss terms; 0 leaves a term out."""

    network: BsrConfig = group(BsrConfig)
    steps: int = option(40000, 'Steps of phase 1, registration and reconstruction.', minimum=1)
    fusion_steps: int = option(6000, 'Steps of phase 2, fusion.', minimum=1)
    lr: float = option(1e-3, 'Peak learning rate of phase 1.', minimum=0)
    fusion_lr: float = option(1e-3, 'Peak learning rate of phase 2.', minimum=0)
    patches: int = option(2, 'N of the proxy data generator: patches along a side.', minimum=1, maximum=8)
    band: int = option(8, 'Pixels beside the seams of patches that are not compared.', minimum=0)
    nda: float = option(0.2, 'Weight of neighbourhood dynamic alignment (eq. 5).', minimum=0)
    sobel: float = option(
        0.0, 'Weight of the distance of Sobel edges, for Exp. I of table 4, which has no nda.', minimum=0
    )
    epr: float = option(0.05, 'Weight of edge pixel retention (eq. 7).', minimum=0)
    ss: float = option(0.2, 'Weight of self-supervision by proxies (eq. 8); 0 leaves proxies out.', minimum=0)
    proxies: float = option(
        1.0, 'Share of the steps that also learn from proxies; they cost as much again.', minimum=0, maximum=1
    )
    smooth: float = option(10.0, 'Weight of smoothness (eq. 9).', minimum=0)
    structure: float = option(3.0, 'Weight of the correlation of structure maps, ours.', minimum=0)
    reconstruction: float = option(0.5, 'Weight of reconstruction (eq. 11).', minimum=0)
    decomposition: float = option(0.2, 'Weight of decomposition (eq. 12).', minimum=0)
    both: bool = option(True, 'Register both ways; for the ablation of table 4.')


# Sides of the cells on which structure is compared, pixels; larger cells attract edges from further away.
SCALES = (2, 4, 8)
# w1 and w2 of eq. 8
ABSOLUTE, SQUARED = 5.0, 1.0


class BsrRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = BsrRecipeConfig
    aligned = False

    def build(self) -> nn.Module:
        """Return the untrained network."""
        return Bsr(self.config.network)

    def stages(self) -> tuple[Stage, ...]:
        """Return both phases."""
        c = self.config
        return (
            Stage('register', c.steps, c.lr),
            Stage('fuse', c.fusion_steps, c.fusion_lr, ('fusion.decoder',)),
        )

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of a phase."""
        visible, thermal = (layers.padded(image, STRIDES[-1]) for image in (batch.visible, batch.moved))
        if stage.name == 'fuse':
            return self._fusion(model, visible, thermal)
        branch = Branch(model, visible, thermal, self.config)
        terms = branch.terms(self.config)
        if self.config.ss and torch.rand(()) < self.config.proxies:
            count = self.config.patches
            proxy = Proxy.draw(len(visible), count, visible.shape[-1] == visible.shape[-2])
            other = Branch(model, proxy.apply_images(visible), proxy.apply_images(thermal), self.config)
            for name, value in other.terms(self.config).items():
                terms[name] = (terms[name] + value) / 2
            terms['ss'] = self.config.ss * _consistency(branch, other, proxy, self.config.band)
        return terms

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """Return phi_p for the validation curve."""
        return model.field(batch.visible, batch.moved) if stage.name == 'register' else None

    def _fusion(self, model: nn.Module, visible: Tensor, thermal: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            field = model.unet(visible, thermal)
            registered = tensors.warp(thermal, field)
            shown = tensors.warp(layers.content(thermal), field, 'zeros')
        fused = model.fusion(visible, registered)
        brightness, gradient = basic.strongest(fused, visible, registered, shown)
        return {'brightness': brightness, 'gradient': gradient}


class Branch:
    """
    One pair and the outputs of the network for it: both fields, the aligned and the reconstructed images.

    Supports are 1 where an image has content. The second half of each doubled batch is the other direction: V
    aligned to T.
    """

    def __init__(self, model: nn.Module, visible: Tensor, thermal: Tensor, config: BsrRecipeConfig):
        self.fixed, self.moving = visible, thermal
        support = layers.content(thermal)
        ones = torch.ones_like(support)
        self.supports = ones, support
        if config.both:
            self.field = torch.cat(model.unet.both(visible, thermal))
            self.fixed, self.moving = torch.cat([visible, thermal]), torch.cat([thermal, visible])
            self.supports = torch.cat([ones, support]), torch.cat([support, ones])
        else:
            self.field = model.unet(visible, thermal)
        # float32, because half precision cannot represent a tenth of a pixel
        self.field = self.field.float()
        self.aligned = tensors.warp(self.moving, self.field)
        self.shown = tensors.warp(self.supports[1], self.field, 'zeros')
        # one pair of a batch suffices to train the reconstruction
        self.pair = torch.cat([visible[:1], self.aligned[:1]])
        self.features = model.fusion.encode(self.pair)
        self.reconstructed = model.fusion.decode(*self.features)

    def terms(self, config: BsrRecipeConfig) -> dict[str, Tensor]:
        """Return the losses of this branch alone, with their weights applied."""
        edges = [
            neighbourhood.edge_strength(image, support)
            for image, support in (
                (self.fixed, self.supports[0]),
                (self.moving, self.supports[1]),
                (self.aligned, self.shown),
            )
        ]
        (visible_base, thermal_base), (visible_detail, thermal_detail) = (x.chunk(2) for x in self.features)
        found = {
            'nda': config.nda * neighbourhood.dynamic_alignment(*edges),
            'sobel': config.sobel * basic.mean((edges[2] - edges[0]).abs(), None),
            'epr': config.epr * neighbourhood.edge_retention(*edges),
            'structure': config.structure * self._structure(),
            'smooth': config.smooth * basic.smoothness(self.field),
            'reconstruction': config.reconstruction * basic.reconstruction(self.reconstructed, self.pair),
            'decomposition': config.decomposition
            * basic.decomposition(visible_base, thermal_base, visible_detail, thermal_detail),
        }
        return {name: value for name, value in found.items() if getattr(config, name)}

    def _structure(self) -> Tensor:
        """Return 1 minus the correlation of the structure maps of V and the aligned T, mean over SCALES."""
        with layers.single_precision(self.field.device):
            pairs = ((self.fixed, self.supports[0]), (self.aligned, self.shown))
            maps = [layers.structure(image.float(), support.float())[:, 1:] for image, support in pairs]
            total = 0.0
            for cell in SCALES:
                fixed, aligned = (
                    layers.description(F.avg_pool2d(each, cell), F.avg_pool2d(support, cell))
                    for each, (_, support) in zip(maps, pairs, strict=True)
                )
                both = F.avg_pool2d(self.supports[0] * self.shown, cell)
                fixed, aligned = fixed * both, aligned * both
                power = (fixed**2).sum((1, 2, 3)) * (aligned**2).sum((1, 2, 3))
                total = total + (1 - (fixed * aligned).sum((1, 2, 3)) / (power + 1e-6).sqrt()).mean()
            return total / len(SCALES)


def _consistency(branch: Branch, other: Branch, proxy: Proxy, band: int) -> Tensor:
    """
    Return L_ss (eq. 8): the outputs for the proxy, mapped back, against those for the pair, away from seams.

    Fields are in units of half the image width, as for a spatial transformer.
    """
    inner = proxy.inner(branch.fixed, band)
    operations = proxy.repeat_for(len(branch.field) // len(proxy.flips))
    first = Proxy(proxy.flips[:1], proxy.turns[:1]).repeat_for(2)
    half = inner.shape[-1] / 2
    compared = (
        (branch.aligned, operations.invert_images(other.aligned)),
        (branch.reconstructed, first.invert_images(other.reconstructed)),
        (branch.field.movedim(-1, 1) / half, operations.invert_fields(other.field).movedim(-1, 1) / half),
    )
    total = 0.0
    for one, two in compared:
        mask = inner.expand_as(one)
        total = total + ABSOLUTE * basic.mean((one - two).abs(), mask)
        total = total + SQUARED * basic.mean((one - two) ** 2, mask)
    return total

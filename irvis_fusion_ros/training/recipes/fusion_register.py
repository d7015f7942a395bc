"""
How FusionRegister is trained: grafted on frozen backbones, it learns to make of a fused moved pair what the
same backbone makes of the aligned one.

Two classes make up a batch, by the shares of the protocols: `zero` pairs, which must stay as they are, and
moved ones. Where it compares the sources itself, that is learned first and alone: it takes many pairs, and
costs a tenth of the whole. Then the warped images alone learn to be right, so that what moved is moved back
and not painted over; in the end everything learns. In both of these stages the known warp says what field and
M are to be. From pictures alone neither was learned: a field that is wrong by more than the width of an edge
has no slope that leads to the right one, and any M goes with another sign of the field. In a share of the
batches the evidence is withheld, so that it learns to do without. The released code compares the first image
of a batch with all of its targets, and overwrites the mask of what can be known: here every image has its own
target, and the mask counts.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.data.displaced import DISPLACED, area_under_curve
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.networks import layers, misregistration
from irvis_fusion_ros.networks.fusion_register import STEEPNESS, Corrected, FusionRegister, NetworkConfig
from irvis_fusion_ros.networks.swift import SwiftResult
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.losses.known import Known
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage
from irvis_fusion_ros.training.recipes.swift import likelihood

# The detail loss looks where M is among its largest and smallest values: that share of the pixels each.
EXTREME = 0.05
# Pixels that gaps of that region are closed over, and those at the border that are left out.
CLOSING, BORDER = 4, 10
# PSNR above which a difference does not count.
IMPERCEPTIBLE = 50.0
# What learns, first from the warped images alone: the evidence is as it comes.
WARPED = ('fused', 'visible', 'thermal', 'localise', 'up')
RETAINED = ('retain', 'bias')


@dataclass(frozen=True)
class FusionRegisterConfig:
    """What it is grafted on, steps, and the weights of the loss terms."""

    network: NetworkConfig = group(NetworkConfig)
    backbones: tuple[str, ...] = option(
        ('average', 'max'), 'Fusion networks to learn on; each image of a batch is given to the next one.'
    )
    compare_steps: int = option(
        3000, 'Steps of the stage that learns to compare the sources, where it does.', minimum=1
    )
    compare_batch: int = option(48, 'Pairs in a batch of that stage.', minimum=1)
    compare_lr: float = option(1e-3, 'Peak learning rate of that stage.', minimum=0)
    warp_steps: int = option(6000, 'Steps of the stage that learns from the warped images alone.', minimum=1)
    steps: int = option(24000, 'Steps of the stage that learns everything.', minimum=1)
    lr: float = option(2e-4, 'Peak learning rate.', minimum=0)
    edge: float = option(10.0, 'Lambda 1 of eq. 12: edges.', minimum=0)
    spatial: float = option(1.0, 'Lambda 2 of eq. 12: brightness.', minimum=0)
    frequency: float = option(
        25.6,
        'Lambda 3 of eq. 12: spectrum. The 0.1 of the paper, whose transform is not normalised, at its crops '
        'of 256 pixels a side.',
        minimum=0,
    )
    detail: float = option(10.0, 'Lambda 4 of eq. 12: gradients where M is decided.', minimum=0)
    sharpness: float = option(
        20.0, 'Weight of how much detail there is, wherever it lies; not in the paper.', minimum=0
    )
    known: float = option(1.0, 'Weight of the known field; not in the paper.', minimum=0)
    mask: float = option(2.0, 'Weight of what M is to be by the known warp; not in the paper.', minimum=0)
    compare: float = option(
        1.0, 'Weight of the known warp for what it compares itself, where it does.', minimum=0
    )
    withheld: float = option(
        0.5, 'Share of the batches that evidence is withheld from.', minimum=0, maximum=1
    )
    smooth: float = option(
        0.01, 'Weight of the squared differences of the effective field; not in the paper.', minimum=0
    )


@dataclass(frozen=True)
class Task:
    """
    What is to be made of what, B x 1 x H x W each: `target` of `before`, where `shown`.

    truth: B x H x W x 2, where the thermal image belongs. displaced: likewise, by how much what the fused
    image shows has to be moved.
    """

    visible: Tensor
    moved: Tensor
    before: Tensor
    target: Tensor
    shown: Tensor
    truth: Tensor
    displaced: Tensor


class FusionRegisterRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = FusionRegisterConfig
    added = ('compare.', '.far')

    def __init__(self, config: FusionRegisterConfig):
        """Raise FileError for backbones that cannot be had."""
        super().__init__(config)
        if not config.backbones:
            raise FileError("'recipe.backbones' is empty: name one or more fusion networks")
        try:
            for name in config.backbones:
                backbones.check(name)
        except ValueError as error:
            raise FileError(f"'recipe.backbones': {error}") from error
        # beside the network, so that they are not saved with it
        self._backbones: list[Backbone] = []

    def build(self) -> nn.Module:
        """Return the untrained network."""
        network = FusionRegister(self.config.network)
        if self.config.network.evidence:
            network.evidence.load()
        # a quarter faster so on a CPU, and no slower elsewhere
        return network.to(memory_format=torch.channels_last)

    def stages(self) -> tuple[Stage, ...]:
        """Return compare, where it does so, warp, and all."""
        c = self.config
        warped = WARPED + (('compare',) if c.network.compare else ())
        first = Stage('compare', c.compare_steps, c.compare_lr, ('compare',), batch=c.compare_batch)
        after = Stage('warp', c.warp_steps, c.lr, warped), Stage('all', c.steps, c.lr, warped + RETAINED)
        return (first, *after) if c.network.compare else after

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of eq. 12, each over what the moved image still shows, and those of the warp."""
        c = self.config
        if stage.name == 'compare':
            return {'compare': c.compare * self._comparison(self._compared(model, batch), batch)}
        task = self._task(model, batch)
        target, shown = task.target, task.shown
        alone = bool(torch.rand(()) < c.withheld)
        found = model(task.before, task.visible, task.moved, every_scale=True, alone=alone)
        drawn = [found.fused] if stage.name == 'all' else []
        pairs = [(image, target, shown) for image in drawn]
        for scale, image in enumerate(found.warped):
            whole = (F.avg_pool2d(shown, 1 << scale) > 0.99).to(shown)
            pairs.append((image, F.avg_pool2d(target, 1 << scale), whole))
        best = found.fused if drawn else found.warped[0]
        compared = {}
        if self.config.network.compare:
            compared['compare'] = c.compare * self._comparison(found.compared, batch)
        return compared | {
            'known': c.known * basic.known_field(found.effective, task.displaced, shown),
            'mask': c.mask * misplacement(found.odds, task.truth, shown, two_way=model.config.two_way),
            'edge': c.edge * sum(basic.edges(*pair) for pair in pairs),
            'spatial': c.spatial * sum(basic.charbonnier(*pair) for pair in pairs),
            'frequency': c.frequency * basic.spectrum(best, target, shown),
            'detail': c.detail * basic.gradient(best, target, shown * decided(found)),
            'sharpness': c.sharpness * basic.sharpness(best, target, shown),
            'smooth': c.smooth * basic.smoothness(found.effective),
        }

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """Return what it compared, where it does, in any stage."""
        if not self.config.network.compare:
            return None
        return model.compare.field(self._compared(model, batch), batch.visible.shape[-2:])

    @torch.no_grad()
    def measures(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, float]:
        """
        Return how the corrected image and the one before compare with the fused aligned pair, and why.

        psnr, and psnr_before. moved_error and moved_before, pixels: how far the effective field is from the
        known one, and a field of nothing is. mask_auc: how well M tells pixels of DISPLACED sources. Where
        there is evidence, so without it: alone_psnr, alone_moved_error, alone_mask_auc.
        """
        if stage.name == 'compare':
            return {}
        task = self._task(model, batch)
        measured = {'psnr_before': _psnr(task.before, task)}
        still = torch.zeros_like(task.displaced)
        measured['moved_before'] = float(basic.known_field(still, task.displaced, task.shown))
        for prefix in ('', 'alone_')[: 1 + model.config.evidence]:
            found = model(task.before, task.visible, task.moved, alone=bool(prefix))
            after = found.fused if stage.name == 'all' else found.warped[0]
            error = basic.known_field(found.effective, task.displaced, task.shown)
            measured[f'{prefix}psnr'] = _psnr(after, task)
            measured[f'{prefix}moved_error'] = float(error)
            shown = task.shown[:, 0] > 0
            apart = task.truth.norm(dim=-1)[shown] > DISPLACED
            measured[f'{prefix}mask_auc'] = area_under_curve(found.mask[:, 0][shown], apart)
        return measured

    @staticmethod
    def _compared(model: nn.Module, batch: Batch) -> SwiftResult:
        return model.compared(
            *(layers.padded(image, model.multiple) for image in (batch.visible, batch.moved))
        )

    @staticmethod
    def _comparison(found: SwiftResult, batch: Batch) -> Tensor:
        """Return how far what it compared is from the known warp, as `swift` learns."""
        known = Known(batch)
        with layers.exactly(batch.truth.device):
            errors = [known.endpoint_error(*step) for step in found.steps]
            matches = [likelihood(known, seen) for seen in found.measured]
            return sum(errors) / len(errors) + sum(matches) / len(matches) / 4

    @torch.no_grad()
    def _task(self, model: nn.Module, batch: Batch) -> Task:
        visible, thermal, moved = (
            layers.padded(image, model.multiple) for image in (batch.visible, batch.thermal, batch.moved)
        )
        height, width = visible.shape[-2:]
        shown = F.pad(batch.shown, (0, width - batch.shown.shape[-1], 0, height - batch.shown.shape[-2]))
        # a batch may be smaller than the mixture of backbones
        first = int(torch.randint(len(self.config.backbones), ()))
        before, target = (self.fused(visible, image, first) for image in (moved, thermal))
        truth = layers.padded(batch.truth.movedim(-1, 1), model.multiple).movedim(1, -1)
        with layers.exactly(visible.device):
            # what is thermal is to be moved where the thermal image was, and what is visible is to stay
            displaced, _ = misregistration.shown(before, visible, moved, truth)
        return Task(visible, moved, before, target, shown, truth, displaced)

    def fused(self, visible: Tensor, thermal: Tensor, first: int = 0) -> Tensor:
        """Fuse image k of a batch by backbone `first` + k, the first one again after the last."""
        if not self._backbones:
            device = str(visible.device)
            self._backbones = [backbones.build(name, device) for name in self.config.backbones]
        count = len(self._backbones)
        out = torch.empty_like(visible)
        with layers.exactly(visible.device):
            for k in range(min(count, len(visible))):
                backbone = self._backbones[(k + first) % count]
                out[k::count] = backbone(visible[k::count], thermal[k::count])
        return out


@basic.in_float32
def misplacement(odds: Tensor, truth: Tensor, mask: Tensor, *, two_way: bool = True) -> Tensor:
    """
    Return the mean divergence of M, given by its log-odds, from what it is to be, over the mask.

    `KL(m | M)` with `m = sigmoid(STEEPNESS |truth|)`: 1/2 where the sources lie on each other (see
    networks/fusion_register.py). Where only one direction is used M is how much is moved: `2 m - 1`.
    """
    wanted = torch.sigmoid(STEEPNESS * truth.norm(dim=-1)[:, None])
    wanted = wanted if two_way else 2 * wanted - 1
    own = torch.special.entr(wanted) + torch.special.entr(1 - wanted)
    cross = F.binary_cross_entropy_with_logits(odds, wanted, reduction='none')
    return basic.mean(cross - own, mask)


@torch.no_grad()
def decided(found: Corrected) -> Tensor:
    """
    Return where a pixel is said most clearly to move one way or the other, B x 1 x H x W, 1 or 0.

    The largest and the smallest EXTREME of M of each image, gaps closed, without the border.
    """
    mask = found.mask.float()
    count = max(1, round(EXTREME * mask[0].numel()))
    flat = mask.flatten(1)
    high = flat.topk(count).values[:, -1].view(-1, 1, 1, 1)
    low = flat.topk(count, largest=False).values[:, -1].view(-1, 1, 1, 1)
    region = ((mask >= high) | (mask <= low)).to(mask)
    closed = -layers.largest(-layers.largest(region, CLOSING), CLOSING)
    inner = torch.zeros_like(closed)
    inner[..., BORDER:-BORDER, BORDER:-BORDER] = 1
    return closed * inner


def _psnr(image: Tensor, task: Task) -> float:
    """Mean over the images of a batch, of what is shown; at most IMPERCEPTIBLE."""
    squares = (image.float().clamp(0, 1) - task.target) ** 2 * task.shown
    mean = squares.sum((1, 2, 3)) / task.shown.sum((1, 2, 3)).clamp(min=1)
    return float((-10 * torch.log10(mean)).clamp(max=IMPERCEPTIBLE).mean())

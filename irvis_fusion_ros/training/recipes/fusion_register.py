"""
How FusionRegister is trained. A frozen backbone fuses a moved pair and the aligned pair; the network learns
to turn the first result into the second.

The protocols of warps define two classes of pairs in a batch: `zero` pairs, which must stay unchanged, and
moved ones. If the network compares the sources itself, that part trains first and alone, because it needs
many pairs and costs a tenth of the whole. Then only the warped images are trained, so that displacements are
corrected by warping and not by painting over; at the end everything trains. In these two stages the known
warp supervises the field and M. Images alone taught neither: a field that is wrong by more than the width of
an edge gets no useful gradient, and M is undetermined up to the sign of the field. In a share of the batches
the evidence is withheld, so that the network also works without it. The released code compares the first
image of a batch with all targets, and overwrites the mask of valid pixels; here every image has its own
target, and the mask is used.
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

# The detail loss covers the pixels with the largest and the smallest values of M: this share of the pixels
# each.
EXTREME = 0.05
# Pixels over which gaps in that region are closed, and width of the border that is left out.
CLOSING, BORDER = 4, 10
# PSNR, dB, at which a difference is invisible; larger values are clamped.
IMPERCEPTIBLE = 50.0
# Parameters that train in the stage of warped images; those of the evidence are frozen.
WARPED = ('fused', 'visible', 'thermal', 'localise', 'up')
RETAINED = ('retain', 'bias')


@dataclass(frozen=True)
class FusionRegisterConfig:
    """The network, its backbones, the steps, and the weights of the loss terms."""

    network: NetworkConfig = group(NetworkConfig)
    backbones: tuple[str, ...] = option(
        ('average', 'max'), 'Fusion networks to train on; the images of a batch go to them in turn.'
    )
    compare_steps: int = option(
        3000,
        'Steps of the stage that trains the comparison of the sources, if the network compares.',
        minimum=1,
    )
    compare_batch: int = option(48, 'Pairs in a batch of that stage.', minimum=1)
    compare_lr: float = option(1e-3, 'Peak learning rate of that stage.', minimum=0)
    warp_steps: int = option(6000, 'Steps of the stage that trains on the warped images alone.', minimum=1)
    steps: int = option(24000, 'Steps of the stage that trains everything.', minimum=1)
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
        20.0, 'Weight of the amount of local detail, regardless of its position; not in the paper.', minimum=0
    )
    known: float = option(1.0, 'Weight of the known field; not in the paper.', minimum=0)
    mask: float = option(2.0, 'Weight of the target of M from the known warp; not in the paper.', minimum=0)
    compare: float = option(
        1.0, 'Weight of the known warp as target of the comparison, if the network compares.', minimum=0
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
    Inputs and targets, B x 1 x H x W each: the network turns `before` into `target`, where `shown` is 1.

    truth: B x H x W x 2, the displacement of the thermal image. displaced: B x H x W x 2, the displacement of
    the content of the fused image.
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
        """Raise FileError for backbones that are not available."""
        super().__init__(config)
        if not config.backbones:
            raise FileError("'recipe.backbones' is empty: name one or more fusion networks")
        try:
            for name in config.backbones:
                backbones.check(name)
        except ValueError as error:
            raise FileError(f"'recipe.backbones': {error}") from error
        # not attributes of the network, so that they are not saved with it
        self._backbones: list[Backbone] = []

    def build(self) -> nn.Module:
        """Return the untrained network."""
        network = FusionRegister(self.config.network)
        if self.config.network.evidence:
            network.evidence.load()
        # channels_last saves a quarter of the time on a CPU, and costs nothing elsewhere
        return network.to(memory_format=torch.channels_last)

    def stages(self) -> tuple[Stage, ...]:
        """Return compare, if the network compares, then warp, and all."""
        c = self.config
        warped = WARPED + (('compare',) if c.network.compare else ())
        first = Stage('compare', c.compare_steps, c.compare_lr, ('compare',), batch=c.compare_batch)
        after = Stage('warp', c.warp_steps, c.lr, warped), Stage('all', c.steps, c.lr, warped + RETAINED)
        return (first, *after) if c.network.compare else after

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of eq. 12, each where the moved image is defined, and those of the known warp."""
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
            'mask': c.mask * mask_divergence(found.odds, task.truth, shown, two_way=model.config.two_way),
            'edge': c.edge * sum(basic.edges(*pair) for pair in pairs),
            'spatial': c.spatial * sum(basic.charbonnier(*pair) for pair in pairs),
            'frequency': c.frequency * basic.spectrum(best, target, shown),
            'detail': c.detail * basic.gradient(best, target, shown * decisive_region(found)),
            'sharpness': c.sharpness * basic.sharpness(best, target, shown),
            'smooth': c.smooth * basic.smoothness(found.effective),
        }

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """Return the field of the comparison, in every stage, if the network compares."""
        if not self.config.network.compare:
            return None
        return model.compare.field(self._compared(model, batch), batch.visible.shape[-2:])

    @torch.no_grad()
    def measures(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, float]:
        """
        Return the quality of the corrected image and of the image before, against the fused aligned pair.

        psnr, and psnr_before. moved_error and moved_before, pixels: distance of the effective field, and of
        zero motion, from the known field. mask_auc: how well M separates pixels whose sources are DISPLACED.
        With evidence, also the values without it: alone_psnr, alone_moved_error, alone_mask_auc.
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
        """Return the loss of the comparison against the known warp, as for `swift`."""
        known = Known(batch)
        with layers.single_precision(batch.truth.device):
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
        # rotate the backbones, because a batch may be smaller than their number
        first = int(torch.randint(len(self.config.backbones), ()))
        before, target = (self.fused(visible, image, first) for image in (moved, thermal))
        truth = layers.padded(batch.truth.movedim(-1, 1), model.multiple).movedim(1, -1)
        with layers.single_precision(visible.device):
            # thermal content must move by the truth, visible content must stay
            displaced, _ = misregistration.content_displacement(before, visible, moved, truth)
        return Task(visible, moved, before, target, shown, truth, displaced)

    def fused(self, visible: Tensor, thermal: Tensor, first: int = 0) -> Tensor:
        """Fuse image k of a batch by backbone `first` + k, cycling through the backbones."""
        if not self._backbones:
            device = str(visible.device)
            self._backbones = [backbones.build(name, device) for name in self.config.backbones]
        count = len(self._backbones)
        out = torch.empty_like(visible)
        with layers.single_precision(visible.device):
            for k in range(min(count, len(visible))):
                backbone = self._backbones[(k + first) % count]
                out[k::count] = backbone(visible[k::count], thermal[k::count])
        return out


@basic.in_float32
def mask_divergence(odds: Tensor, truth: Tensor, mask: Tensor, *, two_way: bool = True) -> Tensor:
    """
    Return the mean divergence between M, given by its log-odds, and its target, over the mask.

    It is `KL(m | M)` with `m = sigmoid(STEEPNESS |truth|)`, which is 1/2 where the sources are aligned (see
    networks/fusion_register.py). With one direction only, M is the share that is moved, and its target is `2
    m - 1`.
    """
    wanted = torch.sigmoid(STEEPNESS * truth.norm(dim=-1)[:, None])
    wanted = wanted if two_way else 2 * wanted - 1
    own = torch.special.entr(wanted) + torch.special.entr(1 - wanted)
    cross = F.binary_cross_entropy_with_logits(odds, wanted, reduction='none')
    return basic.mean(cross - own, mask)


@torch.no_grad()
def decisive_region(found: Corrected) -> Tensor:
    """
    Return the region where M decides most clearly for one direction, B x 1 x H x W, 1 or 0.

    It holds the EXTREME largest and smallest values of M of each image, with gaps closed, without the border.
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
    """Return the mean PSNR of the images of a batch where `shown` is 1; at most IMPERCEPTIBLE."""
    squares = (image.float().clamp(0, 1) - task.target) ** 2 * task.shown
    mean = squares.sum((1, 2, 3)) / task.shown.sum((1, 2, 3)).clamp(min=1)
    return float((-10 * torch.log10(mean)).clamp(max=IMPERCEPTIBLE).mean())

"""
How FusionRegister is trained: grafted on frozen backbones, it learns to make of a fused moved pair what the
same backbone makes of the aligned one.

Two classes make up a batch, by the shares of the protocols: `zero` pairs, which must stay as they are, and
moved ones. First the warped images alone learn to be right, so that what moved is moved back and not painted
over; then everything learns. The released code compares the first image of a batch with all of its targets,
and overwrites the mask of what can be known: here every image has its own target, and the mask counts.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.backbones.base import Backbone
from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.fusion_register import Corrected, FusionRegister, NetworkConfig
from irvis_fusion_ros.networks.misregistration import thermal_share
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.recipes.base import Batch, Recipe, Stage

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
    known: float = option(
        0.1, 'Weight, in the stage of the warped images, of the known field; not in the paper.', minimum=0
    )
    smooth: float = option(
        0.01, 'Weight of the squared differences of the effective field; not in the paper.', minimum=0
    )


@dataclass(frozen=True)
class Task:
    """What is to be made of what, B x 1 x H x W each: `target` of `before`, where `shown`."""

    visible: Tensor
    moved: Tensor
    before: Tensor
    target: Tensor
    shown: Tensor


class FusionRegisterRecipe(Recipe):
    """See `training.recipes.base.Recipe`."""

    Config = FusionRegisterConfig

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
        """Return warp, and all."""
        c = self.config
        return (Stage('warp', c.warp_steps, c.lr, WARPED), Stage('all', c.steps, c.lr, WARPED + RETAINED))

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of eq. 12, each over what the moved image still shows."""
        c = self.config
        task = self._task(model, batch)
        target, shown = task.target, task.shown
        found = model(task.before, task.visible, task.moved, every_scale=True)
        drawn = [found.fused] if stage.name == 'all' else []
        pairs = [(image, target, shown) for image in drawn]
        for scale, image in enumerate(found.warped):
            known = (F.avg_pool2d(shown, 1 << scale) > 0.99).to(shown)
            pairs.append((image, F.avg_pool2d(target, 1 << scale), known))
        best = found.fused if drawn else found.warped[0]
        known = {}
        if not drawn:
            truth = layers.padded(batch.truth.movedim(-1, 1), model.multiple).movedim(1, -1)
            # what is thermal is to be moved where the thermal image was, and what is visible is to stay
            share = thermal_share(task.before, task.visible, task.moved, truth).movedim(1, -1)
            known['known'] = c.known * basic.known_field(found.effective, share * truth, shown)
        return known | {
            'edge': c.edge * sum(basic.edges(*pair) for pair in pairs),
            'spatial': c.spatial * sum(basic.charbonnier(*pair) for pair in pairs),
            'frequency': c.frequency * basic.spectrum(best, target, shown),
            'detail': c.detail * basic.gradient(best, target, shown * decided(found)),
            'sharpness': c.sharpness * basic.sharpness(best, target, shown),
            'smooth': c.smooth * basic.smoothness(found.effective),
        }

    @torch.no_grad()
    def measures(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, float]:
        """Return the PSNR to the fused aligned pair, of the corrected image and of the one before."""
        task = self._task(model, batch)
        found = model(task.before, task.visible, task.moved)
        after = found.fused if stage.name == 'all' else found.warped[0]
        return {'psnr': _psnr(after, task), 'psnr_before': _psnr(task.before, task)}

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
        return Task(visible, moved, before, target, shown)

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

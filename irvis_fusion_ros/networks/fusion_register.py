"""
The network of FusionRegister ("FusionRegister: Every Infrared and Visible Image Fusion Deserves
Registration", CVPR 2026): corrects an image that any network fused, where it is misregistered.

Where the notes of the paper and its released code differ, or fall short:

- The field is refined by addition, `phi = found + 2 up(phi below)`; the notes' product is garbled.
- Misregistration is localised from the fused image and both sources (paper); the code sees the fused alone.
  A displacement can hardly be guessed from ghosts: the field of ours starts from a measurement. It is told
  what a registration network finds (misregistration.py), or compares its features of both sources itself
  (comparison.py), or, in the plain form of the paper, does neither.
- M is learned from the known warp. It is 1/2 where the sources lie on each other, where both directions show
  the same, and rises to 1 with the pixels that they are apart (STEEPNESS): there the forward direction is the
  right one. The losses of the paper alone leave open what M means: with another sign of the field any M gives
  the same picture as 1 - M.
- The output is `warped + bias`; the code stretches it to its minimum and maximum, which flickers in a video.
- Images are luminance: colours are those of the visible image and are not moved (imaging/color.py).
- Images are sampled bicubically, features bilinearly: the code samples both bilinearly, which blurs all that
  is moved by parts of a pixel.
- Beyond its edge an image goes on with its edge values; zeros darken the border.
- Sizes are halved by the mean of four pixels and doubled edge to edge, so that no cell is off its place; the
  code takes the nearest pixel.
- Over-parameterised convolutions (DO-Conv) are plain here: that is what they fold into.

A field is B x H x W x 2, (dx, dy) in pixels of its own scale, backward: `moved(x) = image(x + d(x))`.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.networks import layers, misregistration
from irvis_fusion_ros.networks.comparison import Comparison
from irvis_fusion_ros.networks.misregistration import Evidence
from irvis_fusion_ros.networks.retention import ChannelAttention, Retention, SpatialAttention
from irvis_fusion_ros.networks.swift import SwiftResult

# Log-odds of M before anything is learned. At even odds both directions cancel: nothing would be learned; and
# what is moved the other way is a ghost.
FORWARD = 4.0
# Pixels that fields are predicted in: in single ones they would be learned much slower than all else.
UNIT = 8.0
# Log-odds of M for each pixel that the sources are apart: 0.95 at two pixels. As steep as may be without a
# ghost of what is a pixel off, and not so steep that M no longer tells two pixels from four.
STEEPNESS = 1.5


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of the network; all but `width` and `blocks` are for the ablations of table 2."""

    width: int = option(
        16, 'Channels at full size: 16 as released, 32 as in the paper.', minimum=4, maximum=64
    )
    blocks: int = option(12, 'Residual blocks of each stage.', minimum=1, maximum=24)
    scales: int = option(2, 'Scales, each half the size of the one before.', minimum=2, maximum=3)
    retention: bool = option(True, 'Give back texture after warping (MRB).')
    two_way: bool = option(True, 'Warp in both directions, not in one.')
    evidence: bool = option(
        True, 'Tell it how far the sources are apart (misregistration.py); not in the paper.'
    )
    compare: bool = option(
        False, 'Let it compare the sources itself, without evidence (comparison.py); not in the paper.'
    )


@dataclass(frozen=True)
class Corrected:
    """
    What became of a fused image, B x 1 x H x W.

    fused: warped[0] plus what retention adds, not clamped. warped: the moved image of each scale, finest
    first; only the finest, unless all were asked for. field, B x H x W x 2, and mask, B x 1 x H x W in
    [0, 1]: phi and M of the finest scale. effective: (2 M - 1) phi, B x H x W x 2, the mean displacement of
    what a pixel shows; M phi where only one direction is used. odds: the log-odds of M. compared: what it
    found when it compared the sources, None where it was told or does not compare.
    """

    fused: Tensor
    warped: tuple[Tensor, ...]
    field: Tensor
    mask: Tensor
    effective: Tensor
    odds: Tensor
    compared: SwiftResult | None = None


class FusionRegister(nn.Module):
    """
    Localisation, location registration and modality retention.

    Untrained it moves what its evidence says, or its own comparison, and without either nothing.
    """

    def __init__(self, config: NetworkConfig = NetworkConfig()):
        super().__init__()
        self.config = config
        width, scales, blocks = config.width, config.scales, config.blocks
        # 1, 2, 3 times as wide: with three scales the paper counts 7.32 M parameters at width 32
        widths = [width * (scale + 1) for scale in range(scales)]
        self.fused = Pyramid(widths, blocks)
        self.visible = _encoder(width, blocks)
        self.thermal = _encoder(width, blocks)
        self.localise = nn.ModuleList(
            Localise(own * (2 if scale + 1 < scales else 1) + 2 * width, own, config)
            for scale, own in enumerate(widths)
        )
        if config.evidence:
            self.evidence = Evidence()
        if config.compare:
            self.compare = Comparison(width)
        self.up = nn.ModuleList(Up(coarse, fine) for fine, coarse in pairwise(widths))
        if config.retention:
            self.retain_visible = Retention(width, ChannelAttention(width))
            self.retain_thermal = Retention(width, SpatialAttention(width))
            self.bias = separable(width, 1)
            layers.zeroed(self.bias[1])

    @property
    def multiple(self) -> int:
        """What both sides of an image have to be multiples of."""
        return 1 << (self.config.scales - 1)

    def with_features_in(self, kind: torch.dtype | None) -> 'FusionRegister':
        """Compute features in another precision, None for none other; what measures does so in single."""
        for name, part in self.named_children():
            part.to(torch.float32 if name in ('evidence', 'compare') else kind)
        return self

    def compared(self, visible: Tensor, thermal: Tensor) -> SwiftResult:
        """Return what it finds when it compares the sources, and nothing else (config.compare)."""
        kind = self.localise[0].merge.weight.dtype
        features = self.visible(visible.to(kind)).float(), self.thermal(thermal.to(kind)).float()
        return self.compare((visible, thermal), features)

    def forward(
        self,
        fused: Tensor,
        visible: Tensor,
        thermal: Tensor,
        misplaced: Tensor | None = None,
        every_scale: bool = False,
        alone: bool = False,
    ) -> Corrected:
        """
        Correct a fused image by its sources, B x 1 x H x W in [0, 1] each, sides in multiples of `multiple`.

        misplaced: what `evidence.measure` says of the sources, if it was asked before. every_scale: for the
        losses warp the image at the coarser scales, too, and compare although it is told. alone: withhold the
        evidence.
        """
        # features may be in half precision; images, fields and what is sampled by them are not
        kind = self.localise[0].merge.weight.dtype
        features = self.fused(fused.to(kind))
        of_visible, of_thermal = self.visible(visible.to(kind)), self.thermal(thermal.to(kind))
        images, warped, above, refined = _halved(fused, len(features)), [], (), None
        told = self.config.evidence and not alone
        measured = compared = far = None
        if self.config.compare:
            if not told or every_scale:
                compared = self.compare((visible, thermal), (of_visible.float(), of_thermal.float()))
            if not told:
                # it is taught by the known warp, not by what is made of it, and rests as evidence does
                with layers.exactly(visible.device):
                    misplaced = self.compare.field(compared, visible.shape[-2:]).detach()
            elif misplaced is None:
                with layers.exactly(visible.device):
                    misplaced = self.evidence.measure(visible, thermal)
            far = _halved(misplaced.norm(dim=-1)[:, None], len(features))
        elif self.config.evidence and alone:
            misplaced = fused.new_zeros((*fused.shape[:1], *fused.shape[-2:], 2), dtype=torch.float32)
        if self.config.evidence or self.config.compare:
            measured = self._measured(fused, visible, thermal, misplaced, told, len(features))
        for scale in reversed(range(len(features))):
            seen = [
                F.avg_pool2d(source, 1 << scale) if scale else source for source in (of_visible, of_thermal)
            ]
            if measured is not None:
                seen.append(measured[scale].to(kind))
            apart = None if far is None else far[scale]
            z, step, odds, believed = self.localise[scale]((features[scale], *above, *seen), apart)
            mask = torch.sigmoid(odds)
            # a coarse pixel is two fine ones long
            refined = step if refined is None else step + 2 * layers.on_grid(refined, step.shape[1:3])
            field = refined
            if measured is not None:
                field = refined + (believed * UNIT * measured[scale][:, :2]).movedim(1, -1)
            shown = every_scale or scale == 0
            # sampling cuts planes apart
            moved_z = self._warp(z.contiguous().float(), field, mask).to(z.dtype)
            if shown:
                warped.append(self._warp(images[scale], field, mask, 'bicubic'))
            if scale:
                above = (self.up[scale - 1](torch.cat([z, moved_z], 1)),)
        out = warped[-1]
        if self.config.retention:
            retained = self.retain_visible(moved_z, of_visible)
            retained = retained + self.retain_thermal(moved_z, of_thermal)
            out = out + self.bias(retained.add_(moved_z)).float()
        share = 2 * mask - 1 if self.config.two_way else mask
        effective = share.movedim(1, -1) * field
        return Corrected(out, tuple(reversed(warped)), field, mask, effective, odds, compared)

    def _measured(
        self,
        fused: Tensor,
        visible: Tensor,
        thermal: Tensor,
        misplaced: Tensor | None,
        told: bool,
        count: int,
    ) -> list[Tensor]:
        """Return what is measured, every scale, finest first, B x 3 x h x w: displacement in UNIT, share."""
        if told:
            field, share = self.evidence(fused, visible, thermal, misplaced)
        else:
            with torch.no_grad(), layers.exactly(fused.device):
                field, share = misregistration.shown(fused, visible, thermal, misplaced)
        scales = [torch.cat([field.movedim(-1, 1) / UNIT, share], 1)]
        while len(scales) < count:
            # a coarse pixel is two fine ones long
            moved, share = F.avg_pool2d(scales[-1], 2).split((2, 1), 1)
            scales.append(torch.cat([moved / 2, share], 1))
        return scales

    def _warp(self, image: Tensor, field: Tensor, mask: Tensor, between: str = 'bilinear') -> Tensor:
        """Return `M BW(image, field) + (1 - M) BW(image, -field)` (eq. 3 and 4)."""
        if not self.config.two_way:
            return torch.lerp(image, sample(image, field, between), mask)
        twice = image[None].expand(2, *image.shape).flatten(0, 1)
        both = sample(twice, torch.cat([field, -field]), between)
        forward, backward = both.chunk(2)
        return torch.lerp(backward, forward, mask)


class Pyramid(nn.Module):
    """Features of the fused image at every scale, each knowing of the others, as in MIMO-UNet."""

    def __init__(self, widths: list[int], blocks: int):
        super().__init__()
        self.first = _encoder(widths[0], blocks)
        self.down = nn.ModuleList(separable(fine, coarse, stride=2) for fine, coarse in pairwise(widths))
        self.look = nn.ModuleList(Look(coarse) for coarse in widths[1:])
        self.attend = nn.ModuleList(_conv(coarse, coarse) for coarse in widths[1:])
        self.blocks = nn.ModuleList(_blocks(coarse, blocks) for coarse in widths[1:])
        self.mix = nn.ModuleList(nn.Conv2d(sum(widths), own, 1, bias=False) for own in widths)
        self.smooth = nn.ModuleList(_conv(own, own) for own in widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features of each scale, finest first, of B x 1 x H x W."""
        features = [self.first(image)]
        stages = zip(self.down, self.look, self.attend, self.blocks, strict=True)
        for scale, (down, look, attend, blocks) in enumerate(stages, 1):
            z = F.relu(down(features[-1]), inplace=True)
            # feature attention: the image itself, seen anew at this scale
            z = z + attend(z * look(F.avg_pool2d(image, 1 << scale)))
            features.append(blocks(z))
        widths = [feature.shape[1] for feature in features]
        return [
            smooth(F.relu(self._mixed(features, mix.weight.split(widths, 1), scale), inplace=True))
            for scale, (mix, smooth) in enumerate(zip(self.mix, self.smooth, strict=True))
        ]

    @staticmethod
    def _mixed(features: list[Tensor], weights: tuple[Tensor, ...], scale: int) -> Tensor:
        """Mix the features of all scales by a 1 x 1 convolution, computed before they are made larger."""
        total = F.conv2d(features[scale], weights[scale])
        for other, (feature, weight) in enumerate(zip(features, weights, strict=True)):
            if other < scale:
                total = total + F.conv2d(F.avg_pool2d(feature, 1 << (scale - other)), weight)
            elif other > scale:
                total = total + _resized(F.conv2d(feature, weight), total.shape[-2:])
        return total


class Look(nn.Module):
    """Shallow features of a reduced image (SCM of MIMO-UNet)."""

    def __init__(self, width: int):
        super().__init__()
        half = width // 2
        self.layers = nn.Sequential(
            _conv(1, half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, width - 1, 1, bias=False),
        )
        self.last = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return B x C x H x W of B x 1 x H x W."""
        return self.last(torch.cat([image, self.layers(image)], 1))


class Localise(nn.Module):
    """Misregistration localisation at one scale: features, a step of the field, M, and what to believe."""

    def __init__(self, into: int, width: int, config: NetworkConfig):
        super().__init__()
        measured = config.evidence or config.compare
        self.merge = nn.Conv2d(into + 3 * measured, width, 1, bias=False)
        self.blocks = _blocks(width, config.blocks)
        self.field = separable(width, 2)
        self.mask = separable(width, 1)
        self.odds = nn.Parameter(torch.tensor(FORWARD))
        layers.zeroed(self.field[1])
        if measured:
            self.believe = separable(width, 1)
            layers.zeroed(self.believe[1])
        if config.compare:
            # of a pair that lies right, and of each pixel that it is apart
            self.far = nn.Parameter(torch.tensor((-FORWARD, STEEPNESS)) / UNIT)

    def forward(
        self, seen: tuple[Tensor, ...], far: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """
        Return features B x C x H x W, the step B x H x W x 2 in pixels, log-odds of M, and a belief.

        The latter two are B x 1 x H x W; the belief, a factor of what is measured, lies in [0, 2] and is None
        where nothing is. far: how many pixels the sources are apart, B x 1 x H x W, if they are compared.
        """
        z = self.blocks(layers.conv_of_all(seen, self.merge.weight))
        step = UNIT * self.field(z).float().movedim(1, -1)
        odds = self.mask(z).float() + self.odds.float()
        if far is not None:
            # as fields: in single units they would hardly be learned
            none, each = (UNIT * self.far.float()).unbind()
            odds = odds + none + each * far
        believed = 2 * torch.sigmoid(self.believe(z).float()) if hasattr(self, 'believe') else None
        return z, step, odds, believed


class Up(nn.Module):
    """From features and warped features of a scale to those of the next finer one."""

    def __init__(self, coarse: int, fine: int):
        super().__init__()
        self.join = separable(2 * coarse, coarse)
        self.spread = _conv(coarse, 4 * fine)

    def forward(self, x: Tensor) -> Tensor:
        """Return B x `fine` x 2H x 2W of B x 2 `coarse` x H x W."""
        x = F.relu(self.join(x), inplace=True)
        # as pixel_shuffle, but the channels of a pixel come out side by side and are moved at once
        weight = self.spread.weight.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1)
        cells = F.conv2d(x, weight, padding=1).movedim(1, -1).unflatten(-1, (2, 2, -1))
        return cells.transpose(2, 3).flatten(1, 2).flatten(2, 3).movedim(-1, 1)


class Block(nn.Module):
    """Two 3x3 convolutions and a skip."""

    def __init__(self, width: int):
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return self.second(F.relu(self.first(x), inplace=True)).add_(x)


def separable(into: int, out: int, stride: int = 1) -> nn.Sequential:
    """
    Depthwise and pointwise convolution, without bias.

    With stride 2 the depthwise kernel is 4x4: its cells lie midway between pixels, as those of a mean.
    """
    size = 3 if stride == 1 else 4
    return nn.Sequential(
        nn.Conv2d(into, into, size, stride, 1, groups=into, bias=False),
        nn.Conv2d(into, out, 1, bias=False),
    )


def sample(image: Tensor, field: Tensor, between: str = 'bilinear') -> Tensor:
    """Return `image(x + field(x))`, continued by its edge values; float32 both. between: as grid_sample."""
    # what is traced must not be kept: it holds no numbers. On a GPU it is made in no time, and a graph that
    # was recorded would go on reading it when it is kept no longer.
    kept = field.device.type == 'cpu' and not torch.compiler.is_compiling()
    grid_of = _grid if kept else _grid.__wrapped__
    grid, scale = grid_of(*field.shape[1:3], field.device)
    points = torch.addcmul(grid, field, scale)
    return F.grid_sample(image, points, mode=between, padding_mode='border', align_corners=True)


@lru_cache(maxsize=32)
def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where pixels lie for `grid_sample`, 1 x H x W x 2 from -1 to 1, and what a pixel measures there."""
    # whoever asks first may be in inference mode; training needs ordinary tensors
    with torch.inference_mode(False):
        x, y = (torch.linspace(-1, 1, side, device=device) for side in (width, height))
        grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)[None]
        # no list of numbers: a GPU that records cannot take them from the host
        scale = [torch.full((), 2 / max(side - 1, 1), device=device) for side in (width, height)]
        return grid, torch.stack(scale)


def _halved(image: Tensor, count: int) -> list[Tensor]:
    images = [image.float()]
    while len(images) < count:
        images.append(F.avg_pool2d(images[-1], 2))
    return images


def _resized(image: Tensor, shape: tuple[int, int]) -> Tensor:
    return F.interpolate(image, shape, mode='bilinear', align_corners=False)


def _encoder(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*separable(1, width), nn.ReLU(inplace=True), *_blocks(width, blocks))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))


def _conv(into: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, padding=1, bias=False)

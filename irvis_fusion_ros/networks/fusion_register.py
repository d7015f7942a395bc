"""
The network of FusionRegister ("FusionRegister: Every Infrared and Visible Image Fusion Deserves
Registration", CVPR 2026). It corrects the misregistration in an image that any fusion network produced.

Differences from the notes of the paper and from its released code:

- The field is refined by addition, `phi = found + 2 up(phi below)`; the notes' product is garbled.
- Misregistration is localised from the fused image and both sources, as in the paper; the code uses the fused
  image alone. A network can hardly infer a displacement from ghosts, so our field starts from a measurement.
  Either a registration network provides it (misregistration.py), or the network compares its own features of
  both sources (comparison.py). The plain form of the paper does neither.
- M is learned from the known warp. It is 1/2 where the sources are aligned, where both directions give the
  same result, and rises to 1 with the distance between the sources in pixels (STEEPNESS), where the forward
  direction is correct. The losses of the paper alone leave M undetermined: M with a field and 1 - M with the
  opposite field give the same image.
- The output is `warped + bias`; the code stretches it to its minimum and maximum, which flickers in a video.
- Images are luminance: colours are those of the visible image and are not warped (imaging/color.py).
- Images are sampled bicubically, features bilinearly. The code samples both bilinearly, which blurs every
  displacement by a fraction of a pixel.
- Samples beyond the border take the value of the nearest border pixel, because zeros darken the border.
- Images are halved by the mean of four pixels and doubled edge to edge, which keeps cells centred; the code
  takes the nearest pixel.
- Over-parameterised convolutions (DO-Conv) are plain here: they fold into plain ones.

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

# Initial log-odds of M. At even odds the two directions cancel and give no gradient, and warping in the
# backward direction produces a ghost.
FORWARD = 4.0
# Fields are predicted in units of this many pixels: in units of one they would train much more slowly.
UNIT = 8.0
# Log-odds of M per pixel of distance between the sources: M is 0.95 at two pixels. A lower value leaves
# ghosts of objects one pixel off; with a higher one M no longer separates two pixels from four.
STEEPNESS = 1.5


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of the network; all but `width` and `blocks` are for the ablations of table 2."""

    width: int = option(
        16, 'Channels at full size: 16 as released, 32 as in the paper.', minimum=4, maximum=64
    )
    blocks: int = option(12, 'Residual blocks of each stage.', minimum=1, maximum=24)
    scales: int = option(2, 'Scales, each half the size of the one before.', minimum=2, maximum=3)
    retention: bool = option(True, 'Restore texture after warping (MRB).')
    two_way: bool = option(True, 'Warp in both directions, not in one.')
    evidence: bool = option(
        True, 'Give it a measurement of the misregistration (misregistration.py); not in the paper.'
    )
    compare: bool = option(
        False, 'Let it compare the sources itself, without evidence (comparison.py); not in the paper.'
    )


@dataclass(frozen=True)
class Corrected:
    """
    Result of the correction of a fused image, B x 1 x H x W.

    fused: warped[0] plus the output of retention, not clamped. warped: the warped image of each scale, finest
    first; only the finest, unless all were requested. field, B x H x W x 2, and mask, B x 1 x H x W in [0,
    1]: phi and M of the finest scale. effective: (2 M - 1) phi, B x H x W x 2, the mean displacement of a
    pixel's content; M phi where only one direction is used. odds: the log-odds of M. compared: the result of
    comparing the sources, None where evidence was given or the network does not compare.
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

    Untrained, it moves the image by its evidence or its own comparison; without either it moves nothing.
    """

    def __init__(self, config: NetworkConfig = NetworkConfig()):
        super().__init__()
        self.config = config
        width, scales, blocks = config.width, config.scales, config.blocks
        # channels grow 1, 2, 3 times per scale: with three scales the paper counts 7.32 M parameters at width
        # 32
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
        """The number that both sides of an image must be multiples of."""
        return 1 << (self.config.scales - 1)

    def with_features_in(self, kind: torch.dtype | None) -> 'FusionRegister':
        """Compute features in dtype `kind` (None changes nothing); measurements stay in single precision."""
        for name, part in self.named_children():
            part.to(torch.float32 if name in ('evidence', 'compare') else kind)
        return self

    def encode_sources(self, visible: Tensor, thermal: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of both sources, B x C x H x W each."""
        kind = self.localise[0].merge.weight.dtype
        return self.visible(visible.to(kind)), self.thermal(thermal.to(kind))

    def compared(self, visible: Tensor, thermal: Tensor) -> SwiftResult:
        """Return only the comparison of the sources (config.compare)."""
        features = self.encode_sources(visible, thermal)
        return self.compare((visible, thermal), tuple(each.float() for each in features))[0]

    def measure(self, visible: Tensor, thermal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Return the displacement of the thermal image by comparison (config.compare), and the features used.

        The displacement is B x H x W x 2 in pixels, 0 where it gains nothing. `forward` takes all three.
        """
        features = self.encode_sources(visible, thermal)
        found, worth = self.compare((visible, thermal), tuple(each.float() for each in features))
        with layers.single_precision(visible.device):
            field = self.compare.field(found, visible.shape[-2:]) * worth[:, None, None, None]
        return field, *features

    def forward(
        self,
        fused: Tensor,
        visible: Tensor,
        thermal: Tensor,
        misplaced: Tensor | None = None,
        of_visible: Tensor | None = None,
        of_thermal: Tensor | None = None,
        every_scale: bool = False,
        alone: bool = False,
    ) -> Corrected:
        """
        Correct a fused image by its sources, B x 1 x H x W in [0, 1] each, sides in multiples of `multiple`.

        misplaced: the result of `evidence.measure`, or with of_visible and of_thermal that of `measure`, for
        the sources, where the caller has it already. every_scale: also warp the image at the coarser scales,
        and compare even when evidence is given; the losses need both. alone: run without evidence.
        """
        # features may be in half precision; images, fields and sampling stay in single precision
        kind = self.localise[0].merge.weight.dtype
        features = self.fused(fused.to(kind))
        if of_visible is None or of_thermal is None:
            of_visible, of_thermal = self.encode_sources(visible, thermal)
        images, warped, above, refined = _halved(fused, len(features)), [], (), None
        uses_evidence = self.config.evidence and not alone
        measured = compared = distances = None
        if self.config.compare:
            needs_comparison = not uses_evidence and misplaced is None
            if needs_comparison or every_scale:
                sources = (of_visible.float(), of_thermal.float())
                compared, worth = self.compare((visible, thermal), sources)
            if needs_comparison:
                # no gradient: the known warp trains the comparison, the losses of the image do not
                with layers.single_precision(visible.device):
                    field = self.compare.field(compared, visible.shape[-2:])
                    misplaced = (field * worth[:, None, None, None]).detach()
            elif misplaced is None:
                with layers.single_precision(visible.device):
                    misplaced = self.evidence.measure(visible, thermal)
            distances = _halved(misplaced.norm(dim=-1)[:, None], len(features))
        elif self.config.evidence and alone:
            misplaced = fused.new_zeros((*fused.shape[:1], *fused.shape[-2:], 2), dtype=torch.float32)
        if self.config.evidence or self.config.compare:
            measured = self._measured(fused, visible, thermal, misplaced, uses_evidence, len(features))
        for scale in reversed(range(len(features))):
            sources = [
                F.avg_pool2d(source, 1 << scale) if scale else source for source in (of_visible, of_thermal)
            ]
            if measured is not None:
                sources.append(measured[scale].to(kind))
            distance = None if distances is None else distances[scale]
            z, step, odds, trust = self.localise[scale]((features[scale], *above, *sources), distance)
            mask = torch.sigmoid(odds)
            # a displacement of one coarse pixel is two fine ones
            refined = step if refined is None else step + 2 * layers.on_grid(refined, step.shape[1:3])
            field = refined
            if measured is not None:
                field = refined + (trust * UNIT * measured[scale][:, :2]).movedim(1, -1)
            # grid_sample needs channels as separate planes
            moved_z = self._warp(z.contiguous().float(), field, mask).to(z.dtype)
            if every_scale or scale == 0:
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
        uses_evidence: bool,
        count: int,
    ) -> list[Tensor]:
        """Return the measurement at every scale, finest first, B x 3 x h x w: displacement in UNIT, share."""
        if uses_evidence:
            field, share = self.evidence(fused, visible, thermal, misplaced)
        else:
            with torch.no_grad(), layers.single_precision(fused.device):
                field, share = misregistration.content_displacement(fused, visible, thermal, misplaced)
        scales = [torch.cat([field.movedim(-1, 1) / UNIT, share], 1)]
        while len(scales) < count:
            # a displacement of one coarse pixel is two fine ones
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
    """Features of the fused image at every scale, mixed across scales as in MIMO-UNet."""

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
            # feature attention: features of the reduced image itself weigh those from the finer scale
            z = z + attend(z * look(F.avg_pool2d(image, 1 << scale)))
            features.append(blocks(z))
        widths = [feature.shape[1] for feature in features]
        return [
            smooth(F.relu(self._mixed(features, mix.weight.split(widths, 1), scale), inplace=True))
            for scale, (mix, smooth) in enumerate(zip(self.mix, self.smooth, strict=True))
        ]

    @staticmethod
    def _mixed(features: list[Tensor], weights: tuple[Tensor, ...], scale: int) -> Tensor:
        """Mix the features of all scales by a 1 x 1 convolution, applied before upsampling to save time."""
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
    """Misregistration localisation at one scale: features, a field step, M, and trust in the measurement."""

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
            # log-odds of M for an aligned pair, and per pixel of distance between the sources
            self.far = nn.Parameter(torch.tensor((-FORWARD, STEEPNESS)) / UNIT)

    def forward(
        self, maps: tuple[Tensor, ...], distance: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """
        Return features B x C x H x W, the field step B x H x W x 2 in pixels, log-odds of M, and a trust.

        The latter two are B x 1 x H x W. The trust, a factor of the measurement, lies in [0, 2]; it is None
        where nothing is measured. distance: that between the sources in pixels, B x 1 x H x W, where they are
        compared.
        """
        z = self.blocks(layers.conv_concatenated(maps, self.merge.weight))
        step = UNIT * self.field(z).float().movedim(1, -1)
        odds = self.mask(z).float() + self.odds.float()
        if distance is not None:
            # in UNIT, as fields are: in single pixels they would hardly train
            aligned, per_pixel = (UNIT * self.far.float()).unbind()
            odds = odds + aligned + per_pixel * distance
        trust = 2 * torch.sigmoid(self.believe(z).float()) if hasattr(self, 'believe') else None
        return z, step, odds, trust


class Up(nn.Module):
    """Turns features and warped features of one scale into features of the next finer scale."""

    def __init__(self, coarse: int, fine: int):
        super().__init__()
        self.join = separable(2 * coarse, coarse)
        self.spread = _conv(coarse, 4 * fine)

    def forward(self, x: Tensor) -> Tensor:
        """Return B x `fine` x 2H x 2W of B x 2 `coarse` x H x W."""
        x = F.relu(self.join(x), inplace=True)
        # like pixel_shuffle, but the channels of a pixel stay contiguous and are moved at once
        weight = self.spread.weight.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1)
        cells = F.conv2d(x, weight, padding=1).movedim(1, -1).unflatten(-1, (2, 2, -1))
        return cells.transpose(2, 3).flatten(1, 2).flatten(2, 3).movedim(-1, 1)


class Block(nn.Module):
    """Two 3x3 convolutions and a skip connection."""

    def __init__(self, width: int):
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return self.second(F.relu(self.first(x), inplace=True)).add_(x)


def separable(into: int, out: int, stride: int = 1) -> nn.Sequential:
    """
    Depthwise and pointwise convolution, without bias.

    With stride 2 the depthwise kernel is 4x4: its cells are centred between pixels, like those of a mean.
    """
    size = 3 if stride == 1 else 4
    return nn.Sequential(
        nn.Conv2d(into, into, size, stride, 1, groups=into, bias=False),
        nn.Conv2d(into, out, 1, bias=False),
    )


def sample(image: Tensor, field: Tensor, between: str = 'bilinear') -> Tensor:
    """Return `image(x + field(x))` with replicated border, float32 both. between: mode of grid_sample."""
    # The grid is cached on a CPU only. A traced tensor holds no numbers and must not be cached. On a GPU the
    # grid costs nothing, and a recorded CUDA graph would keep reading it after the cache dropped it.
    kept = field.device.type == 'cpu' and not torch.compiler.is_compiling()
    grid_of = _grid if kept else _grid.__wrapped__
    grid, scale = grid_of(*field.shape[1:3], field.device)
    points = torch.addcmul(grid, field, scale)
    return F.grid_sample(image, points, mode=between, padding_mode='border', align_corners=True)


@lru_cache(maxsize=32)
def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return pixel coordinates for `grid_sample`, 1 x H x W x 2 from -1 to 1, and the length of a pixel."""
    # the first caller may be in inference mode, but training needs ordinary tensors
    with torch.inference_mode(False):
        x, y = (torch.linspace(-1, 1, side, device=device) for side in (width, height))
        grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)[None]
        # torch.full instead of a list of numbers, which a CUDA graph under capture cannot copy from the host
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

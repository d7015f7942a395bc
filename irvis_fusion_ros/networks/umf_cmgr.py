"""
The networks of UMF-CMGR (Wang et al., "Unsupervised misaligned infrared and visible image fusion via
cross-modality image generation and registration", IJCAI 2022). CPSTN generates a pseudo-infrared image from
the visible one, MRRN registers the thermal image to it, and DIFN fuses the two.

The shipped weights are without CPSTN, and MRRN registers to the visible image: the same training registers
better so (models/umf_cmgr.md).

Differences from the paper:

- The networks are small enough to train on a CPU: the paper's generator alone has 11 million parameters, all
  of ours together a third of a million.
- The match cost of the paper is one channel without a search range, which covers about a pixel of each level.
  With `reach`, a level compares every shift of a few cells instead, there is an additional level at stride 8,
  and each measurement is averaged over its neighbours, weighted by confidence. Without `reach` it is the
  paper's.
- Images are compared by structure maps (layers.structure) and features learned from them, not by brightness.
- Fields are in pixels of the finest grid at every level, so that upsampling needs no factor of two.
- The fused image is the two-map mixture of the images plus the output of DIFN.
- Images are luminance: colours are those of the visible image (imaging/color.py).

Registration works on a reduced image, as in all networks here; DIFN fuses images of full size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.layers import conv
from irvis_fusion_ros.networks.matching import COARSEST

# Stride and search radius, in its cells, of each level of MRRN, coarsest first: ours, then the paper's.
LEVELS = ((8, 4), (4, 3), (2, 2))
PAPER_LEVELS = ((4, 0), (2, 0))
# By stride: channels of edges that a level gets, how many of them an untrained level compares (means, where
# fewer), and channels of its description.
EDGES = {2: 3, 4: 12, 8: 48}
KEPT = {2: 3, 4: 12, 8: 12}
DESCRIBED = {2: 8, 4: 20, 8: 32}
# Channels of the three convolutions of a coarse estimate; channels and dilations of a refinement.
COARSE = (48, 32, 16)
REFINED, DILATIONS = (24, 24, 16), (1, 2, 4)
# Gain of the similarity before a softmax, for a learned factor of 1, and blur of correlation, in cells.
GAIN, CORRELATION_BLUR = 8.0, 1.0
# Variance of a shift that is measured to the nearest cell, in squared cells.
LEAST_VARIANCE = 0.1
# Side of the square of pixels that DIFN folds into one cell.
FOLD = 2
# Blur that averages shifts over their neighbours, in cells.
SPREAD = 4.0


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of the networks; `pseudo` and `refined` are for the ablation of table 4."""

    width: int = option(12, 'Channels of CPSTN at full size; 64 in the paper.', minimum=4, maximum=64)
    blocks: int = option(4, 'Residual blocks of CPSTN; 9 in the paper.', minimum=1, maximum=16)
    features: int = option(16, 'Channels of MRRN at half size.', minimum=4, maximum=64)
    fused: int = option(12, 'Channels of DIFN; 64 in the paper.', minimum=4, maximum=64)
    pixels: int = option(256 * 320, 'Pixels of its input images when it runs as a system.', minimum=64 * 64)
    pseudo: bool = option(True, 'Register to the pseudo-infrared image of CPSTN, not to the visible one.')
    refined: bool = option(True, 'Refine the coarse field of each level.')
    reach: bool = option(True, 'Compare every shift of a few cells, also at 1/8; not in the paper.')


class Generator(nn.Module):
    """
    One direction of CPSTN: generates the image of the other camera, B x 1 x H x W in [0, 1].

    It goes down to a quarter of the size, through residual blocks, and up again by interpolation, which keeps
    cells centred, with instance normalisation. Skip connections keep edges in place. Sides must be multiples
    of 4.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.enter = _normed(nn.Conv2d(1, width, 7, padding=3), width)
        self.down = nn.ModuleList(
            _normed(nn.Conv2d(wide, 2 * wide, 4, 2, 1), 2 * wide) for wide in (width, 2 * width)
        )
        self.blocks = nn.Sequential(*(NormedResidual(4 * width) for _ in range(blocks)))
        self.up = nn.ModuleList(
            _normed(nn.Conv2d(2 * wide, wide, 3, padding=1), wide) for wide in (2 * width, width)
        )
        self.out = nn.Conv2d(width, 1, 7, padding=3)

    def forward(self, image: Tensor) -> Tensor:
        """Return an image of the same shape."""
        full = self.enter(image)
        half = self.down[0](full)
        x = self.blocks(self.down[1](half))
        for up, skip in zip(self.up, (half, full), strict=True):
            x = F.interpolate(up(x), scale_factor=2, mode='bilinear', align_corners=False) + skip
        return torch.sigmoid(self.out(x))


class NormedResidual(nn.Module):
    """Two 3x3 convolutions with instance normalisation, and a skip connection."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = _normed(nn.Conv2d(channels, channels, 3, padding=1), channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return x + self.norm(self.second(self.first(x)))


class Features(nn.Module):
    """Shared multi-level features (SM-FE) of B x 1 x H x W; sides must be multiples of the largest stride."""

    def __init__(self, features: int, strides: tuple[int, ...]):
        super().__init__()
        self.strides = strides
        # no wider at stride 8 than at stride 4, because the coarser level adds little information
        widths = {1: 4, 2: features, 4: 2 * features, 8: 2 * features}
        self.width = {stride: widths[stride] for stride in strides}
        finest_first = sorted(strides)
        self.down = nn.ModuleList(
            nn.Sequential(conv(widths[s // 2], widths[s], 4, 2), conv(widths[s], widths[s]))
            for s in finest_first
        )
        self.heads = nn.ModuleList(
            layers.description_head(widths[s], EDGES[s], DESCRIBED[s], KEPT[s]) for s in finest_first
        )

    def forward(self, image: Tensor, support: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """Return, by stride, the features and their description (layers.description)."""
        x = layers.structure(image, support)
        edges = F.avg_pool2d(x[:, 1:], 2)
        found = {}
        for stride, down, head in zip(sorted(self.strides), self.down, self.heads, strict=True):
            x = down(x)
            if stride > 2:
                edges = F.pixel_unshuffle(edges, 2)
            inside = F.avg_pool2d(support, stride)
            found[stride] = x, layers.description(head(torch.cat([x, edges], 1)), inside)
        return found


class Estimate(nn.Module):
    """
    Coarse-to-fine field estimation of one level (C2F-DFE, eq. 1 and 2).

    The coarse estimate takes the match cost, the features of the reference and the field of the coarser
    level. The refinement takes only the field, and returns a correction of it. Untrained, the estimate
    follows the correlation alone, and without reach it is zero motion.
    """

    def __init__(self, features: int, stride: int, radius: int, refined: bool):
        super().__init__()
        self.stride, self.radius = stride, radius
        costs = (2 * radius + 1) ** 2
        widths = (costs + features + 2, *COARSE)
        self.coarse = nn.Sequential(*(conv(into, out) for into, out in zip(widths, COARSE, strict=False)))
        # with reach: logits of the shifts and their confidence; without: the shift
        self.head = layers.zeroed(nn.Conv2d(COARSE[-1], costs + 1 if radius else 2, 3, padding=1))
        if radius:
            self.gain, self.pull = nn.Parameter(torch.ones(())), nn.Parameter(torch.tensor(-4.0))
        self.refine = _refinement() if refined else None

    def forward(
        self, reference: tuple[Tensor, Tensor], moving: tuple[Tensor, Tensor], start: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Return the coarse and the refined field, B x h x w x 2 in pixels.

        reference, moving: features and descriptions of this level. start: the field found so far.
        """
        features, description = reference
        # features may be in half precision, which cannot represent pixel coordinates
        points = layers.centres(description, self.stride) + start
        moved = layers.sample(moving[1], points, self.stride)
        if self.radius:
            cost = layers.local_correlation(description, moved, self.radius)
        else:
            cost = (description - moved).abs().mean(1, keepdim=True)
        known = start.movedim(-1, 1) / self.stride
        out = self.head(self.coarse(torch.cat([cost, features, known], 1)))
        # fields and variances need single precision
        with layers.single_precision(cost.device):
            coarse = known + (self._expected(cost.float(), out.float()) if self.radius else out.float())
            refined = coarse if self.refine is None else coarse + self.refine(coarse)
        return tuple(field.movedim(1, -1) * self.stride for field in (coarse, refined))

    def _expected(self, cost: Tensor, out: Tensor) -> Tensor:
        """Return the expected shift, B x 2 x h x w in cells, averaged over neighbours by confidence."""
        share = torch.softmax(GAIN * self.gain * layers.blur(cost, CORRELATION_BLUR) + out[:, :-1], 1)
        at = layers.shifts(self.radius, share)
        shift = torch.einsum('bnhw,nc->bchw', share, at)
        square = torch.einsum('bnhw,n->bhw', share, (at * at).sum(1))[:, None]
        variance = square - (shift * shift).sum(1, keepdim=True)
        weight = torch.exp(4 * torch.tanh(out[:, -1:] / 4)) / (variance + LEAST_VARIANCE)
        return layers.spread(shift, weight, SPREAD, self.pull)


class Mrrn(nn.Module):
    """Multi-level refinement registration (section 2.3): thermal to pseudo-infrared."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        levels = LEVELS if config.reach else PAPER_LEVELS
        self.features = Features(config.features, tuple(stride for stride, _ in levels))
        self.levels = nn.ModuleList(
            Estimate(self.features.width[stride], stride, radius, config.refined) for stride, radius in levels
        )

    def forward(self, reference: Tensor, thermal: Tensor, support: Tensor) -> list[tuple[Tensor, Tensor]]:
        """
        Return the coarse and the refined field of every level, coarsest first, B x h x w x 2 in pixels.

        support: layers.content of reference and thermal image, concatenated.
        """
        found = self.features(torch.cat([reference, thermal]), support)
        pairs = {
            stride: tuple(zip(*(maps.chunk(2) for maps in both), strict=True))
            for stride, both in found.items()
        }
        height, width = reference.shape[-2:]
        fields, field = [], reference.new_zeros(len(reference), 2, 2, 2)
        for level in self.levels:
            # the gradient of a level does not pass through the coarser ones
            start = layers.on_grid(field.detach(), (height // level.stride, width // level.stride))
            coarse, field = level(*pairs[level.stride], start)
            fields.append((coarse, field))
        return fields


class Difn(nn.Module):
    """
    Dual-path interaction fusion (section 2.4): a residual dense block for each camera, and the interaction.

    The paper has 1x1 convolutions for query and key, its code 3x3; ours are 1x1. As in the code, two learned
    maps mix the gated features. Four pixels are folded into one cell with four times as many maps, which
    halves the time.
    """

    def __init__(self, width: int):
        super().__init__()
        self.paths = nn.ModuleDict({name: Dense(width) for name in ('visible', 'thermal')})
        self.query, self.key = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.mix = layers.zeroed(nn.Conv2d(2 * width, 2 * FOLD**2, 3, padding=1))
        self.join = conv(2 * width, width)
        self.out = layers.zeroed(nn.Conv2d(width, FOLD**2, 3, padding=1))

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """
        Fuse registered images, B x 1 x H x W in [0, 1], sides in multiples of FOLD.

        The result may leave that range.
        """
        seen, warm = self.paths['visible'](visible), self.paths['thermal'](thermal)
        gate = 1 + torch.sigmoid(self.query(warm) * self.key(seen))
        both = torch.cat([seen * gate, warm * gate], 1)
        shares = torch.softmax(F.pixel_shuffle(self.mix(both), FOLD), 1)
        weights = F.avg_pool2d(shares, FOLD).repeat_interleave(seen.shape[1], 1)
        drawn = F.pixel_shuffle(self.out(self.join(both * weights)), FOLD)
        return (shares * torch.cat([visible, thermal], 1)).sum(1, keepdim=True) + torch.tanh(drawn)


class Dense(nn.Module):
    """One path of DIFN: a convolution and a residual dense block of three layers."""

    def __init__(self, width: int):
        super().__init__()
        self.enter = conv(FOLD**2, width)
        self.layers = nn.ModuleList(conv(count * width, width) for count in (1, 2, 3))
        self.join = nn.Conv2d(4 * width, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return features, B x width x H / FOLD x W / FOLD, of an image."""
        maps = self.enter(F.pixel_unshuffle(image, FOLD))
        first = maps
        for layer in self.layers:
            maps = torch.cat([maps, layer(maps)], 1)
        return first + self.join(maps)


class UmfCmgr(nn.Module):
    """The networks that run at inference: CPSTN from visible to pseudo-infrared, MRRN and DIFN."""

    def __init__(self, config: NetworkConfig = NetworkConfig()):
        super().__init__()
        self.pixels = config.pixels
        self.cpstn = Generator(config.width, config.blocks) if config.pseudo else None
        self.mrrn = Mrrn(config)
        # channels_last halves the time on a CPU
        self.difn = Difn(config.fused).to(memory_format=torch.channels_last)

    def reference(self, visible: Tensor) -> Tensor:
        """Return the reference image, B x 1 x H x W: pseudo-infrared, or visible without CPSTN."""
        return visible if self.cpstn is None else self.cpstn(visible)

    def register(self, visible: Tensor, thermal: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """
        Return the reference image and the fields of `Mrrn`; images are B x 1 x H x W in [0, 1].

        Sides must be multiples of matching.COARSEST.
        """
        reference = self.reference(visible)
        return reference, self.mrrn(reference, thermal, layers.content(torch.cat([visible, thermal])))

    def field(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return the deformation, B x H x W x 2 in pixels, of images of any size."""
        shape = visible.shape[-2:]
        visible, thermal = layers.padded(visible, COARSEST), layers.padded(thermal, COARSEST)
        _, fields = self.register(visible, thermal)
        return layers.on_grid(fields[-1][1], visible.shape[-2:])[:, : shape[0], : shape[1]]


def _normed(layer: nn.Conv2d, channels: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.InstanceNorm2d(channels, affine=True), nn.LeakyReLU(layers.SLOPE))


def _refinement() -> nn.Sequential:
    """Return dilated convolutions of a field, B x 2 x h x w, which return 0 before training."""
    steps = [
        nn.Sequential(nn.Conv2d(into, out, 3, padding=wide, dilation=wide), nn.LeakyReLU(layers.SLOPE))
        for into, out, wide in zip((2, *REFINED), REFINED, DILATIONS, strict=False)
    ]
    return nn.Sequential(*steps, layers.zeroed(nn.Conv2d(REFINED[-1], 2, 3, padding=1)))

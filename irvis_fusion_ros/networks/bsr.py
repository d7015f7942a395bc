"""
The network of B-SR (Li et al., "Bi-directional self-registration for misaligned infrared-visible image
fusion", 2025): a U-Net that registers either image to the other, and an auto-encoder that fuses.

We differ where the paper is silent, or where its choice does not learn to match. Two images that are merely
concatenated teach a network the mean motion of its training set. Our U-Net therefore also sees structure
maps, which both cameras share, and its decoder compares the images by correlation, coarse to fine, each step
starting from the field of the previous one. One network, run in both directions, gives phi_p and phi_n, where
the paper has one head of four channels: at run time only the needed direction is computed. The auto-encoder
has convolutions only, where the paper has attention and invertible blocks.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.networks import layers

# Strides of the U-Net, and its channels.
STRIDES = (2, 4, 8, 16)
CHANNELS = (16, 32, 32, 32)
# Steps of the decoder: the stride whose cells are compared, the search radius in these cells, the stride of
# the field that the step returns, the blur of correlation in cells of that field, and the initial gain of
# correlation before the softmax.
STEPS = ((4, 5, 8, 6.0, 20.0), (4, 3, 8, 2.0, 12.0), (4, 3, 4, 3.0, 10.0), (2, 2, 4, 2.0, 10.0))
FINEST = 4
SLOPE = 0.2
# Channels of the decoder.
HIDDEN = 24
# Channels of edges at the two strides that are compared, finest first, and of their descriptions.
EDGES = (3, 12)
DESCRIPTION = (8, 16)
# Standard deviation of the initial weights of a flow head (VoxelMorph).
HEAD_DEVIATION = 1e-5
# How far training can change the gain, as a power of e in either direction.
GAIN_RANGE = 3.0
# Energy (squared length) below which a description counts as empty.
EMPTY_ENERGY = 0.05
# The sides of images to fuse must be multiples of this.
MULTIPLE = 8


@dataclass(frozen=True)
class BsrConfig:
    """Sizes of the network."""

    pixels: int = option(256 * 320, 'Pixels of its input images when it runs as a system.', minimum=64 * 64)
    width: int = option(12, 'Channels of the detail and of the base features.', minimum=4, maximum=64)


@dataclass(frozen=True)
class Encoded:
    """Output of the encoder for one image: features of every stride, descriptions of the compared strides."""

    features: dict[int, Tensor]
    descriptions: dict[int, Tensor]

    def to_single(self) -> 'Encoded':
        """Return a copy in single precision."""
        return Encoded({s: maps.float() for s, maps in self.features.items()}, self.descriptions)

    def batch_with(self, other: 'Encoded') -> 'Encoded':
        """Return both as one batch."""
        ours, theirs = (self.features, self.descriptions), (other.features, other.descriptions)
        joined = ({s: torch.cat([a[s], b[s]]) for s in a} for a, b in zip(ours, theirs, strict=True))
        return Encoded(*joined)


class UNet(nn.Module):
    """
    Registers `moving` to `reference`, B x 1 x H x W each, sides in multiples of the last stride.

    The encoder describes each image. Each step of the decoder measures the displacement that remains.
    """

    def __init__(self):
        super().__init__()
        into = (4 * 5, *CHANNELS[:-1])
        self.down = nn.ModuleList(
            layers.conv(a, b, *((3, 1) if level == 0 else (4, 2)), slope=SLOPE)
            for level, (a, b) in enumerate(zip(into, CHANNELS, strict=True))
        )
        self.same = nn.ModuleList(layers.conv(own, own, slope=SLOPE) for own in CHANNELS)
        self.heads = nn.ModuleList(
            layers.description_head(own, edges, out, edges)
            for own, edges, out in zip(CHANNELS, EDGES, DESCRIPTION, strict=False)
        )
        self.context = layers.conv(2 * CHANNELS[-1], HIDDEN, slope=SLOPE)
        self.up = nn.ModuleList(Up(*step) for step in STEPS)

    def forward(self, reference: Tensor, moving: Tensor) -> Tensor:
        """Return the deformation, B x H x W x 2: backward, (dx, dy) in pixels."""
        return self.compare(*self.describe(reference, moving))

    def both(self, visible: Tensor, thermal: Tensor) -> tuple[Tensor, Tensor]:
        """Return phi_p, which warps thermal to visible, and phi_n, which warps visible to thermal."""
        visible_maps, thermal_maps = self.describe(visible, thermal)
        positive, negative = self.compare(
            visible_maps.batch_with(thermal_maps), thermal_maps.batch_with(visible_maps)
        ).chunk(2)
        return positive, negative

    def describe(self, first: Tensor, second: Tensor) -> tuple[Encoded, Encoded]:
        """Return the encoder's output for either image."""
        images = torch.cat([first, second])
        support = layers.content(images)
        structure = layers.structure(images, support)
        edges = F.avg_pool2d(structure[:, 1:], 2)
        x = F.pixel_unshuffle(torch.cat([images, structure], 1), 2)
        features, descriptions = {}, {}
        for level, stride in enumerate(STRIDES):
            x = features[stride] = self.same[level](self.down[level](x))
            if level < len(self.heads):
                described = self.heads[level](torch.cat([x, edges], 1))
                descriptions[stride] = layers.description(described, F.avg_pool2d(support, stride))
                edges = F.pixel_unshuffle(edges, 2)
        half = len(first)
        return (
            Encoded(*({s: maps[:half] for s, maps in each.items()} for each in (features, descriptions))),
            Encoded(*({s: maps[half:] for s, maps in each.items()} for each in (features, descriptions))),
        )

    def compare(self, reference: Encoded, moving: Encoded) -> Tensor:
        """Register two outputs of `describe`, in single precision, which fields need."""
        with layers.single_precision(reference.features[STRIDES[-1]].device):
            return self._decode(reference.to_single(), moving.to_single())

    def _decode(self, reference: Encoded, moving: Encoded) -> Tensor:
        deepest = [image.features[STRIDES[-1]] for image in (reference, moving)]
        batch, _, height, width = deepest[0].shape
        field, hidden = deepest[0].new_zeros(batch, height, width, 2), self.context(torch.cat(deepest, 1))
        for up in self.up:
            field, hidden = up(reference, moving, field, hidden)
        height, width = field.shape[1:3]
        return layers.on_grid(field, (height * FINEST, width * FINEST))


class Up(nn.Module):
    """One step of the decoder: measures the residual flow from correlation and features."""

    def __init__(self, stride: int, radius: int, found: int, blur: float, gain: float):
        super().__init__()
        self.stride, self.radius, self.found = stride, radius, found
        self.blur, self.gain = blur, gain
        count = (2 * radius + 1) ** 2
        features = CHANNELS[STRIDES.index(found)]
        self.enter = layers.conv(count + features + HIDDEN + 2, HIDDEN, slope=SLOPE)
        self.wide = layers.conv(HIDDEN, HIDDEN, slope=SLOPE)
        self.head = nn.Conv2d(HIDDEN, count + 3, 3, padding=1)
        nn.init.normal_(self.head.weight, 0, HEAD_DEVIATION)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, reference: Encoded, moving: Encoded, field: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Return the field, pixels, and hidden features, both at the stride `found`.

        field, hidden: those of the previous step.
        """
        features = reference.features[self.found]
        shape = features.shape[-2:]
        field = layers.on_grid(field, shape)
        described = (image.descriptions[self.stride] for image in (reference, moving))
        volume = self._volume(*described, field)
        hidden = F.interpolate(hidden, size=shape, mode='bilinear', align_corners=False)
        x = self.enter(torch.cat([volume, features, hidden, field.movedim(-1, 1) / self.stride], 1))
        x = x + self.wide(x)
        out = self.head(x)
        # expected shift (soft-argmax): 0 where both images are empty; the weight of correlation is learned
        gain = self.gain * torch.exp(GAIN_RANGE * torch.tanh(out[:, -3:-2] / GAIN_RANGE))
        share = torch.softmax(gain * volume + out[:, :-3], 1)
        shift = torch.einsum('bnhw,nc->bchw', share, layers.shifts(self.radius, share)) + out[:, -2:]
        return field + self.stride * shift.movedim(1, -1), x

    def _volume(self, reference: Tensor, moving: Tensor, field: Tensor) -> Tensor:
        """Return the correlation volume around each cell of the field, normalised over the common support."""
        fine = layers.on_grid(field, reference.shape[-2:])
        moving = layers.sample(moving, layers.centres(reference, self.stride) + fine, self.stride)
        volume = self._averaged(layers.local_correlation(reference, moving, self.radius))
        with torch.no_grad():
            # without this norm, shifts towards stronger edges or away from the border would always score
            # higher
            energies = [(each**2).sum(1, keepdim=True) for each in (reference, moving)]
            supports = [(energy > 0).to(energy) for energy in energies]
            one, other = (
                self._averaged(layers.local_correlation(*pair, self.radius))
                for pair in ((energies[0], supports[1]), (supports[0], energies[1]))
            )
            norm = (one.clamp(min=0) * other.clamp(min=0) + EMPTY_ENERGY**2).sqrt()
        return volume / norm

    def _averaged(self, volume: Tensor) -> Tensor:
        """Return the mean correlation around each cell of the field, since neighbours move alike."""
        if self.found > self.stride:
            volume = F.avg_pool2d(volume, self.found // self.stride)
        return layers.blur(volume, self.blur)


class AutoEncoder(nn.Module):
    """
    Splits an image into base and detail features, and reconstructs it (section 3.3).

    Base features are computed at a quarter of the working stride, detail features at the working stride. Both
    are returned on the grid of 2 x 2 pixels. One encoder serves both cameras. Sides must be multiples of
    MULTIPLE.
    """

    def __init__(self, width: int):
        super().__init__()
        self.enter = layers.conv(4, width, slope=SLOPE)
        self.detail = nn.Sequential(layers.conv(width, width, slope=SLOPE), nn.Conv2d(width, width, 3, 1, 1))
        self.base = nn.Sequential(
            layers.conv(width, width, 4, 2, slope=SLOPE),
            layers.conv(width, width, 4, 2, slope=SLOPE),
            nn.Conv2d(width, width, 3, 1, 1),
        )
        self.decoder = nn.Sequential(
            layers.conv(2 * width, 2 * width, slope=SLOPE),
            layers.conv(2 * width, width, slope=SLOPE),
            nn.Conv2d(width, 4, 3, 1, 1),
        )

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return base and detail features, B x width x H/2 x W/2, of brightness B x 1 x H x W."""
        x = self.enter(F.pixel_unshuffle(image, 2))
        base = F.interpolate(self.base(x), size=x.shape[-2:], mode='bilinear', align_corners=False)
        return base, self.detail(x)

    def decode(self, base: Tensor, detail: Tensor) -> Tensor:
        """Return the image that the features encode, B x 1 x H x W, about [0, 1]."""
        return 0.5 + F.pixel_shuffle(self.decoder(torch.cat([base, detail], 1)), 2)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse registered brightness, B x 1 x H x W, by decoding the sum of the features (algorithm 1)."""
        features = self.encode(torch.cat([visible, thermal]))
        return self.decode(*(sum(each.chunk(2)) for each in features))


class Bsr(nn.Module):
    """The complete network: registration and fusion."""

    def __init__(self, config: BsrConfig = BsrConfig()):
        super().__init__()
        self.pixels = config.pixels
        self.unet = UNet()
        self.fusion = AutoEncoder(config.width)

    def field(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return phi_p; see `systems.flow.FlowNetwork`."""
        shape = visible.shape[-2:]
        found = self.unet(*(layers.padded(image, STRIDES[-1]) for image in (visible, thermal)))
        return found[:, : shape[0], : shape[1]]

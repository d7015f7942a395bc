"""
The network of B-SR (Li et al., "Bi-directional self-registration for misaligned infrared-visible image
fusion", 2025): a U-Net that registers either image to the other, and an auto-encoder that fuses.

Ours where the paper is silent, or where its choice does not learn to match: the U-Net sees what both cameras
have in common (structure maps) beside brightness, and its way up compares both images by correlation, coarse
to fine, each step after the field of the one before, because two images that are only laid upon each other
teach a network the mean motion of its training set, not to match. One network, asked both ways, gives phi_p
and phi_n, instead of one head of four channels: only the way that is needed is computed when it runs. The
auto-encoder is convolutions alone, where the paper has attention and invertible blocks.
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
# Steps of the way up: the stride whose cells are compared and how far, in these cells; the stride of the
# field that it finds, the blur of correlation in cells of that, and the gain of correlation before a softmax,
# at first.
STEPS = ((4, 5, 8, 6.0, 20.0), (4, 3, 8, 2.0, 12.0), (4, 3, 4, 3.0, 10.0), (2, 2, 4, 2.0, 10.0))
FINEST = 4
SLOPE = 0.2
# Channels of the way up.
HIDDEN = 24
# Channels of edges at the strides that are compared, the finest, and those of their descriptions.
EDGES = (3, 12)
DESCRIPTION = (8, 16)
# Deviation of the weights of a flow head at first (VoxelMorph).
STILL = 1e-5
# How far the gain is learned to be another, in powers of e.
SHARPER = 3.0
# Energy of a description, its square, that is as good as none.
NOTHING = 0.05
# What the sides of images that are fused must be multiples of.
MULTIPLE = 8


@dataclass(frozen=True)
class BsrConfig:
    """Sizes of the network."""

    pixels: int = option(
        256 * 320, 'Pixels of the images it registers, when it runs as a system.', minimum=64 * 64
    )
    width: int = option(12, 'Channels of the detail and of the base features.', minimum=4, maximum=64)


@dataclass(frozen=True)
class Seen:
    """What the way down says of an image: features of every stride, and descriptions of those compared."""

    features: dict[int, Tensor]
    descriptions: dict[int, Tensor]

    def exact(self) -> 'Seen':
        """Return it in single precision."""
        return Seen({s: maps.float() for s, maps in self.features.items()}, self.descriptions)

    def and_of(self, other: 'Seen') -> 'Seen':
        """Return one batch of both."""
        ours, theirs = (self.features, self.descriptions), (other.features, other.descriptions)
        joined = ({s: torch.cat([a[s], b[s]]) for s in a} for a, b in zip(ours, theirs, strict=True))
        return Seen(*joined)


class UNet(nn.Module):
    """
    Registers `moving` to `reference`, B x 1 x H x W each, sides in multiples of the last stride.

    The way down describes each image; the way up looks, at each step, for what the field so far has left.
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
        """Return phi_p, which lays the thermal image on the visible one, and phi_n, the other way."""
        seen, drawn = self.describe(visible, thermal)
        positive, negative = self.compare(seen.and_of(drawn), drawn.and_of(seen)).chunk(2)
        return positive, negative

    def describe(self, first: Tensor, second: Tensor) -> tuple[Seen, Seen]:
        """Return what is to be seen in either image."""
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
            Seen(*({s: maps[:half] for s, maps in each.items()} for each in (features, descriptions))),
            Seen(*({s: maps[half:] for s, maps in each.items()} for each in (features, descriptions))),
        )

    def compare(self, reference: Seen, moving: Seen) -> Tensor:
        """Register by what `describe` returns, in single precision: fields need it."""
        with layers.exactly(reference.features[STRIDES[-1]].device):
            return self._compared(reference.exact(), moving.exact())

    def _compared(self, reference: Seen, moving: Seen) -> Tensor:
        deepest = [image.features[STRIDES[-1]] for image in (reference, moving)]
        batch, _, height, width = deepest[0].shape
        field, hidden = deepest[0].new_zeros(batch, height, width, 2), self.context(torch.cat(deepest, 1))
        for up in self.up:
            field, hidden = up(reference, moving, field, hidden)
        height, width = field.shape[1:3]
        return layers.on_grid(field, (height * FINEST, width * FINEST))


class Up(nn.Module):
    """One step of the way up: what is left after the field so far, from correlation and features."""

    def __init__(self, stride: int, radius: int, found: int, blur: float, gain: float):
        super().__init__()
        self.stride, self.radius, self.found = stride, radius, found
        self.blur, self.gain = blur, gain
        count = (2 * radius + 1) ** 2
        features = CHANNELS[STRIDES.index(found)]
        self.enter = layers.conv(count + features + HIDDEN + 2, HIDDEN, slope=SLOPE)
        self.wide = layers.conv(HIDDEN, HIDDEN, slope=SLOPE)
        self.head = nn.Conv2d(HIDDEN, count + 3, 3, padding=1)
        nn.init.normal_(self.head.weight, 0, STILL)
        nn.init.zeros_(self.head.bias)

    def forward(self, reference: Seen, moving: Seen, field: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return the field, pixels, and hidden features, both of the stride `found`.

        field, hidden: of the step before.
        """
        seen = reference.features[self.found]
        shape = seen.shape[-2:]
        field = layers.on_grid(field, shape)
        described = (image.descriptions[self.stride] for image in (reference, moving))
        volume = self._volume(*described, field)
        hidden = F.interpolate(hidden, size=shape, mode='bilinear', align_corners=False)
        x = self.enter(torch.cat([volume, seen, hidden, field.movedim(-1, 1) / self.stride], 1))
        x = x + self.wide(x)
        out = self.head(x)
        # the expected shift: none where nothing is to be seen; how far to believe in correlation is learned
        gain = self.gain * torch.exp(SHARPER * torch.tanh(out[:, -3:-2] / SHARPER))
        share = torch.softmax(gain * volume + out[:, :-3], 1)
        shift = torch.einsum('bnhw,nc->bchw', share, layers.shifts(self.radius, share)) + out[:, -2:]
        return field + self.stride * shift.movedim(1, -1), x

    def _volume(self, reference: Tensor, moving: Tensor, field: Tensor) -> Tensor:
        """Correlation of descriptions around each cell of the field, normalised over what both show."""
        fine = layers.on_grid(field, reference.shape[-2:])
        moving = layers.sample(moving, layers.centres(reference, self.stride) + fine, self.stride)
        volume = self._around(layers.local_correlation(reference, moving, self.radius))
        with torch.no_grad():
            # without it a shift towards stronger edges, or away from the border, is always the better one
            energies = [(each**2).sum(1, keepdim=True) for each in (reference, moving)]
            there = [(energy > 0).to(energy) for energy in energies]
            one, other = (
                self._around(layers.local_correlation(*pair, self.radius))
                for pair in ((energies[0], there[1]), (there[0], energies[1]))
            )
            norm = (one.clamp(min=0) * other.clamp(min=0) + NOTHING**2).sqrt()
        return volume / norm

    def _around(self, volume: Tensor) -> Tensor:
        """Mean of what is around each cell of the field: it moves with it."""
        if self.found > self.stride:
            volume = F.avg_pool2d(volume, self.found // self.stride)
        return layers.blur(volume, self.blur)


class AutoEncoder(nn.Module):
    """
    Parts an image into base and detail features, and draws it again (section 3.3).

    Base features are what is left at a quarter of the working stride, detail features are beside them; both
    are on the grid of 2 x 2 pixels. One encoder for both cameras. Sides must be multiples of MULTIPLE.
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
        """Return the image that features show, B x 1 x H x W, about [0, 1]."""
        return 0.5 + F.pixel_shuffle(self.decoder(torch.cat([base, detail], 1)), 2)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse registered brightness, B x 1 x H x W: draw the sum of the features (algorithm 1)."""
        features = self.encode(torch.cat([visible, thermal]))
        return self.decode(*(sum(each.chunk(2)) for each in features))


class Bsr(nn.Module):
    """The whole of it."""

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

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
from irvis_fusion_ros.systems import layers

# Strides of the U-Net, and its channels.
STRIDES = (2, 4, 8, 16)
CHANNELS = (16, 32, 32, 32)
# Steps of the way up: the stride whose cells are compared, how far it looks, in these cells, and the stride
# of the field that it finds.
STEPS = ((16, 2, 16), (8, 3, 8), (4, 3, 4), (2, 2, 4))
FINEST = 4
# Blur of correlation in cells of the field: what is around a cell moves with it.
SHARED = {16: 1.0, 8: 2.0, 4: 3.0}
SLOPE = 0.2
# Channels of the way up.
HIDDEN = 24
# Channels of edges at each stride, and those of a description.
EDGES = (3, 12, 48, 48)
DESCRIPTION = (8, 16, 48, 48)
# Deviation of the weights of a flow head at first (VoxelMorph).
STILL = 1e-5
# Gain of the similarity before a softmax, and how far it is learned to be another, in powers of e.
GAIN, SHARPER = 8.0, 3.0
# What the sides of images that are fused must be multiples of.
MULTIPLE = 8


@dataclass(frozen=True)
class BsrConfig:
    """Sizes of the network."""

    pixels: int = option(
        256 * 320, 'Pixels of the images it registers, when it runs as a system.', minimum=64 * 64
    )
    width: int = option(12, 'Channels of the detail and of the base features.', minimum=4, maximum=64)


class UNet(nn.Module):
    """
    Registers `moving` to `reference`, B x 1 x H x W each, sides in multiples of the last stride.

    The way down describes each image; the way up looks, at each stride, for what the field so far has left.
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
            for own, edges, out in zip(CHANNELS, EDGES, DESCRIPTION, strict=True)
        )
        self.up = nn.ModuleList(Up(*step) for step in STEPS)

    def forward(self, reference: Tensor, moving: Tensor) -> Tensor:
        """Return the deformation, B x H x W x 2: backward, (dx, dy) in pixels."""
        return self.compare(*self.describe(reference, moving))

    def both(self, visible: Tensor, thermal: Tensor) -> tuple[Tensor, Tensor]:
        """Return phi_p, which lays the thermal image on the visible one, and phi_n, the other way."""
        seen, drawn = self.describe(visible, thermal)
        there, back = [], []
        for (a, b), (c, d) in zip(seen, drawn, strict=True):
            there.append((torch.cat([a, c]), torch.cat([b, d])))
            back.append((torch.cat([c, a]), torch.cat([d, b])))
        positive, negative = self.compare(there, back).chunk(2)
        return positive, negative

    def describe(
        self, first: Tensor, second: Tensor
    ) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
        """Return features and descriptions of both images at every stride, finest first."""
        images = torch.cat([first, second])
        support = layers.content(images)
        structure = layers.structure(images, support)
        x = F.pixel_unshuffle(torch.cat([images, structure], 1), 2)
        halved = F.avg_pool2d(structure[:, 1:], 2)
        quartered = F.avg_pool2d(halved, 2)
        folded = (
            halved,
            *(F.pixel_unshuffle(edges, n) for edges, n in ((halved, 2), (halved, 4), (quartered, 4))),
        )
        found = []
        for level, (stride, edges) in enumerate(zip(STRIDES, folded, strict=True)):
            x = self.same[level](self.down[level](x))
            described = self.heads[level](torch.cat([x, edges], 1))
            found.append((x, layers.description(described, F.avg_pool2d(support, stride))))
        half = len(first)
        return [(x[:half], d[:half]) for x, d in found], [(x[half:], d[half:]) for x, d in found]

    def compare(self, reference: list[tuple[Tensor, Tensor]], moving: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Register by what `describe` returns."""
        batch, _, height, width = reference[-1][0].shape
        field = reference[-1][0].new_zeros(batch, height, width, 2)
        hidden = reference[-1][0].new_zeros(batch, HIDDEN, height, width)
        for up in self.up:
            field, hidden = up(reference, moving, field, hidden)
        height, width = field.shape[1:3]
        return layers.on_grid(field, (height * FINEST, width * FINEST))


class Up(nn.Module):
    """One step of the way up: what is left after the field so far, from correlation and features."""

    def __init__(self, stride: int, radius: int, found: int):
        super().__init__()
        self.level, self.stride, self.radius = STRIDES.index(stride), stride, radius
        self.at, self.found = STRIDES.index(found), found
        count = (2 * radius + 1) ** 2
        self.enter = layers.conv(count + CHANNELS[self.at] + HIDDEN + 2, HIDDEN, slope=SLOPE)
        self.wide = layers.conv(HIDDEN, HIDDEN, slope=SLOPE)
        self.head = nn.Conv2d(HIDDEN, count + 3, 3, padding=1)
        nn.init.normal_(self.head.weight, 0, STILL)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        reference: list[tuple[Tensor, Tensor]],
        moving: list[tuple[Tensor, Tensor]],
        field: Tensor,
        hidden: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """
        Return the field, pixels, and hidden features, both of the stride `found`.

        reference, moving: what `UNet.describe` returns. field, hidden: of the step before.
        """
        seen = reference[self.at][0]
        shape = seen.shape[-2:]
        field = layers.on_grid(field, shape)
        volume = self._volume(reference[self.level][1], moving[self.level][1], field)
        hidden = F.interpolate(hidden, size=shape, mode='bilinear', align_corners=False)
        x = self.enter(torch.cat([volume * 4, seen, hidden, field.movedim(-1, 1) / self.stride], 1))
        x = x + self.wide(x)
        out = self.head(x)
        # the expected shift: none where nothing is to be seen; how far to believe in correlation is learned
        gain = GAIN * torch.exp(SHARPER * torch.tanh(out[:, -3:-2] / SHARPER))
        share = torch.softmax(gain * volume + out[:, :-3], 1)
        shift = torch.einsum('bnhw,nc->bchw', share, layers.shifts(self.radius, share)) + out[:, -2:]
        return field + self.stride * shift.movedim(1, -1), x

    def _volume(self, reference: Tensor, moving: Tensor, field: Tensor) -> Tensor:
        """Correlation of descriptions around each cell of the field."""
        fine = layers.on_grid(field, reference.shape[-2:])
        moving = layers.sample(moving, layers.centres(reference, self.stride) + fine, self.stride)
        volume = layers.local_correlation(reference, moving, self.radius)
        if self.found > self.stride:
            volume = F.avg_pool2d(volume, self.found // self.stride)
        return layers.blur(volume, SHARED[self.found])


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
        """Return phi_p; see `systems.direct.Network`."""
        shape = visible.shape[-2:]
        found = self.unet(*(layers.padded(image, STRIDES[-1]) for image in (visible, thermal)))
        return found[:, : shape[0], : shape[1]]

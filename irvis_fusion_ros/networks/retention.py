"""
Modality retention of FusionRegister: restores the texture and contrast that warping removes (eq. 5 to 10).

Feature maps are B x C x H x W, of any size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irvis_fusion_ros.networks import layers

# Sides of the windows within which positions are mixed; the released code adds 5 to the paper's 1 and 3.
WINDOWS = (1, 3, 5)
# Reach of the correlation, p of eq. 5, in pixels.
REACH = 1
SLOPE = 0.2
DROPOUT = 0.2
REDUCTION = 4


class Retention(nn.Module):
    """One branch: what the features of one source add to the warped features of the fused image."""

    def __init__(self, width: int, attention: nn.Module):
        super().__init__()
        maps = (2 * REACH + 1) ** 2
        # input: warped features, features of the source, and their correlation
        self.compress = nn.Conv2d(2 * width + maps, width, 3, padding=1, bias=False)
        self.mix = WindowMlp(width)
        self.attention = attention

    def forward(self, warped: Tensor, source: Tensor) -> Tensor:
        """Return B x C x H x W from warped features and features of the source, of that shape."""
        # eq. 5: the mean over channels of the products at every shift, which needs channels as separate
        # planes
        planes = warped.contiguous(), source.contiguous()
        correlation = layers.local_correlation(*planes, REACH) / warped.shape[1]
        maps = [each.contiguous(memory_format=torch.channels_last) for each in (warped, source, correlation)]
        x = layers.conv_concatenated(maps, self.compress.weight, padding=1)
        return self.attention(self.mix(x)).add_(x)


class WindowMlp(nn.Module):
    """
    gMLP in windows of several sizes, weighted against each other per channel (eq. 6 and 7).

    As in the released code, the gate is `u (G v + 1)` with neither norm nor ReLU. v is 0 beyond the image.
    The 1 x 1 window is a perceptron for every pixel.
    """

    def __init__(self, width: int, windows: tuple[int, ...] = WINDOWS):
        super().__init__()
        self.windows = windows
        count = len(windows)
        # u of every window comes first, then v of every window
        self.expand = nn.Linear(width, 2 * width * count)
        self.gates = nn.ModuleList(nn.Linear(side**2, side**2) for side in windows)
        self.project = nn.Parameter(torch.empty(count, width, width))
        self.project_bias = nn.Parameter(torch.zeros(count, width))
        self.weigh = nn.Sequential(
            nn.Linear(width, max(1, width // REDUCTION)),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(max(1, width // REDUCTION), width * count),
        )
        self.out = nn.Linear(width, width)
        for matrix in self.project:
            nn.init.kaiming_uniform_(matrix, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape, channels last; fastest when the input is channels last, too."""
        batch, width, height, wide = x.shape
        count = len(self.windows)
        pixels = x.movedim(1, -1).contiguous()
        weights = self.expand.weight.view(2, count, width, width)
        biases = self.expand.bias.view(2, count, width)
        gated = []
        for k, (gate, side) in enumerate(zip(self.gates, self.windows, strict=True)):
            u, v = (F.gelu(F.linear(pixels, weights[i, k], biases[i, k])) for i in (0, 1))
            gated.append(_gate(v, gate, side).mul_(u))
        # The rest is linear except for the weights of the windows, which depend on means only. So one matrix
        # per window does its projection, its share of the weighted sum and the last layer at once.
        means = torch.stack([_mean(part) for part in gated], 1)
        projected = torch.einsum('koi,bki->bo', self.project, means) + self.project_bias.sum(0)
        share = self.weigh(count * _mean(pixels) + projected).view(batch, count, width).softmax(1)
        last = self.out.weight
        matrices = torch.einsum('po,bko,koi->bkip', last, share, self.project)
        offset = torch.einsum('po,bko,ko->bp', last, share, self.project_bias) + self.out.bias
        skip = (last + torch.eye(width, dtype=last.dtype, device=last.device)).T.expand(batch, -1, -1)
        total = torch.baddbmm(offset[:, None], pixels.flatten(1, 2), skip)
        for matrix, part in zip(matrices.unbind(1), gated, strict=True):
            # concatenating the windows first takes longer
            total = torch.baddbmm(total, part.flatten(1, 2), matrix)
        return total.view(batch, height, wide, width).movedim(-1, 1)


class ChannelAttention(nn.Module):
    """Attention of the visible branch: a weight per channel from its spatial mean (eq. 8)."""

    def __init__(self, width: int):
        super().__init__()
        hidden = max(1, width // REDUCTION)
        self.body = _body(width)
        self.squeeze = nn.Conv2d(width, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        y = self.body(x)
        mean = _mean(y.movedim(1, -1).contiguous())
        share = torch.sigmoid(self.excite(F.relu(self.squeeze(mean[..., None, None]))))
        return torch.addcmul(x, y, share)


class SpatialAttention(nn.Module):
    """Attention of the thermal branch: a weight per pixel from the maximum and mean over channels (eq. 9)."""

    def __init__(self, width: int):
        super().__init__()
        self.body = _body(width)
        self.look = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        y = self.body(x)
        planes = y.contiguous()
        seen = torch.cat([planes.amax(1, keepdim=True), planes.mean(1, keepdim=True)], 1)
        return torch.addcmul(x, y, torch.sigmoid(self.look(seen)))


def _body(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
    )


def _gate(v: Tensor, gate: nn.Linear, side: int) -> Tensor:
    """Return `G v + 1`, B x H x W x C; G mixes the positions of a window, the same for all channels."""
    bias = gate.bias + 1
    if side == 1:
        return (v * gate.weight).add_(bias)
    batch, height, wide, width = v.shape
    if height % side or wide % side:
        v = F.pad(v, (0, 0, 0, -wide % side, 0, -height % side))
    rows, columns = v.shape[1] // side, v.shape[2] // side
    # one matrix per row of windows: positions in a window are its rows, windows and channels its columns
    windows = v.view(batch * rows, side, columns, side, width).transpose(2, 3)
    matrix = gate.weight.expand(batch * rows, -1, -1)
    mixed = torch.baddbmm(bias[:, None], matrix, windows.reshape(batch * rows, side**2, columns * width))
    mixed = mixed.view(batch * rows, side, side, columns, width).transpose(2, 3)
    return mixed.reshape(batch, rows * side, columns * side, width)[:, :height, :wide]


def _mean(pixels: Tensor) -> Tensor:
    """Return the mean of B x H x W x C, B x C; it sums rows first, to stay in the range of half precision."""
    rows = pixels.flatten(2).sum(1).float().unflatten(-1, pixels.shape[2:])
    return (rows.sum(1) / (pixels.shape[1] * pixels.shape[2])).to(pixels.dtype)

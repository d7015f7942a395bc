"""
FusionRegister written straight from its equations, one operation after the other: what the network is
compared with, in its numbers and in its time. It runs the weights of a `FusionRegister`.

    python test/eager_fusion_register.py --size 640x480 --device cpu

times both, one after the other in turns, and says how far apart their images are.
"""

import argparse
import copy
import time

import torch
import torch.nn.functional as F

from irvis_fusion_ros.systems import layers
from irvis_fusion_ros.systems.fusion_register import UNIT, FusionRegister, NetworkConfig
from irvis_fusion_ros.systems.post_registration import PostRegistered
from irvis_fusion_ros.systems.retention import REACH, SpatialAttention


@torch.inference_mode()
def correct(network, fused, visible, thermal):
    """Return the corrected image and the field (2M - 1) phi, as `FusionRegister.forward` does."""
    features = pyramid(network.fused, fused)
    sources = visible, thermal
    visible, thermal = network.visible(visible), network.thermal(thermal)
    images = [fused]
    for _ in features[1:]:
        images.append(F.avg_pool2d(images[-1], 2))
    field = above = None
    if network.config.evidence:
        above, field = evidence(network.evidence, *sources, features[-1].shape[-2:])
    for scale in reversed(range(len(features))):
        localise = network.localise[scale]
        seen = [features[scale]]
        if above is not None:
            seen.append(above)
        seen += [F.avg_pool2d(source, 2**scale) if scale else source for source in (visible, thermal)]
        z = localise.merge(torch.cat(seen, 1))
        for block in localise.blocks:
            z = z + block.second(F.relu(block.first(z)))
        step = UNIT * localise.field(z)
        if field is not None:
            step = step + 2 * F.interpolate(field, step.shape[-2:], mode='bilinear')
        field, mask = step, torch.sigmoid(localise.mask(z) + localise.odds)
        moved, warped = blended(z, field, mask), blended(images[scale], field, mask)
        if scale:
            up = network.up[scale - 1]
            above = F.pixel_shuffle(up.spread(F.relu(up.join(torch.cat([z, moved], 1)))), 2)
    if network.config.retention:
        of_visible = retained(network.retain_visible, moved, visible)
        of_thermal = retained(network.retain_thermal, moved, thermal)
        warped = warped + network.bias(of_visible + of_thermal + moved)
    return warped, ((2 * mask - 1) * field).permute(0, 2, 3, 1)


def evidence(part, visible, thermal, size):
    edges = []
    for image in (visible, thermal):
        halved = F.avg_pool2d(layers.structure(image, layers.content(image))[:, 1:], part.STRIDE)
        power = halved.square().sum(1, keepdim=True)
        edges.append(halved / torch.sqrt(power + power.mean((2, 3), keepdim=True) + 1e-6))
    reach = part.RADIUS
    around = F.pad(edges[1], (reach,) * 4)
    height, width = edges[0].shape[-2:]
    at = [(i, j) for i in range(2 * reach + 1) for j in range(2 * reach + 1)]
    moved = [around[..., i : i + height, j : j + width] for i, j in at]
    volume = torch.cat([(edges[0] * other).sum(1, keepdim=True) for other in moved], 1)
    volume = F.avg_pool2d(volume, part.CELL // part.STRIDE)
    shared = layers.blur(volume, part.SHARED)
    share = torch.softmax(part.SHARPNESS * shared, 1)
    dx = sum((j - reach) * share[:, k : k + 1] for k, (i, j) in enumerate(at))
    dy = sum((i - reach) * share[:, k : k + 1] for k, (i, j) in enumerate(at))
    excess = shared.max(1, keepdim=True).values - shared.mean(1, keepdim=True)
    x = F.relu(part.spread[0](torch.cat([10 * volume, dx, dy, 10 * excess], 1)))
    for block in part.spread[2:]:
        x = x + block.second(F.relu(block.first(x)))
    shift = UNIT * part.believe(x) * torch.cat([dx, dy], 1) * part.STRIDE * size[1] / visible.shape[-1] / 2
    return F.interpolate(x, size, mode='bilinear'), shift


def pyramid(part, image):
    features = [part.first(image)]
    for scale, blocks in enumerate(part.blocks):
        z = F.relu(part.down[scale](features[-1]))
        small = F.avg_pool2d(image, 2 ** (scale + 1))
        z = z + part.attend[scale](z * part.look[scale](small))
        features.append(blocks(z))
    mixed = []
    for feature, mix, smooth in zip(features, part.mix, part.smooth, strict=True):
        size = feature.shape[-2:]
        joined = torch.cat([resized(other, size) for other in features], 1)
        mixed.append(smooth(F.relu(mix(joined))))
    return mixed


def resized(features, size):
    if features.shape[-1] > size[1]:
        return F.avg_pool2d(features, features.shape[-1] // size[1])
    if features.shape[-1] < size[1]:
        return F.interpolate(features, size, mode='bilinear')
    return features


def blended(image, field, mask):
    return mask * moved_by(image, field) + (1 - mask) * moved_by(image, -field)


def moved_by(image, field):
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    x, y = x + field[:, 0], y + field[:, 1]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    return F.grid_sample(image, grid, padding_mode='border', align_corners=True)


def retained(part, warped, source):
    height, width = warped.shape[-2:]
    around = F.pad(source, (REACH,) * 4)
    correlation = [
        (warped * around[..., i : i + height, j : j + width]).mean(1, keepdim=True)
        for i in range(2 * REACH + 1)
        for j in range(2 * REACH + 1)
    ]
    x = part.compress(torch.cat([warped, source, *correlation], 1))
    y = attended(part.attention, window_mlp(part.mix, x))
    return y + x


def attended(part, x):
    y = part.body(x)
    if isinstance(part, SpatialAttention):
        return x + y * torch.sigmoid(part.look(torch.cat([y.max(1, True).values, y.mean(1, True)], 1)))
    squeezed = y.mean((2, 3), keepdim=True)
    return x + y * torch.sigmoid(part.excite(F.relu(part.squeeze(squeezed))))


def window_mlp(part, x):
    batch, channels, height, width = x.shape
    expand = part.expand.weight.split(channels)
    biases = part.expand.bias.split(channels)
    count = len(part.windows)
    branches = []
    pixels = x.permute(0, 2, 3, 1)
    for k, side in enumerate(part.windows):
        u = F.gelu(F.linear(pixels, expand[k], biases[k]))
        v = F.gelu(F.linear(pixels, expand[count + k], biases[count + k]))
        down, right = -height % side, -width % side
        v = F.pad(v, (0, 0, 0, right, 0, down))
        rows, columns = v.shape[1] // side, v.shape[2] // side
        v = v.reshape(batch, rows, side, columns, side, channels).permute(0, 1, 3, 5, 2, 4)
        v = part.gates[k](v.reshape(batch, rows, columns, channels, side * side))
        v = v.reshape(batch, rows, columns, channels, side, side).permute(0, 1, 4, 2, 5, 3)
        v = v.reshape(batch, rows * side, columns * side, channels)[:, :height, :width]
        branches.append(pixels + F.linear(u * (v + 1), part.project[k], part.project_bias[k]))
    mean = sum(branches).mean((1, 2))
    share = part.weigh(mean).reshape(batch, count, channels).softmax(1)
    mixed = sum(branch * share[:, k, None, None] for k, branch in enumerate(branches))
    return (pixels + part.out(mixed)).permute(0, 3, 1, 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--size', default='640x480')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--width', type=int, default=16)
    parser.add_argument('--turns', type=int, default=10)
    options = parser.parse_args()
    width, height = map(int, options.size.split('x'))
    torch.manual_seed(0)
    slow = FusionRegister(NetworkConfig(width=options.width)).eval().to(options.device)
    for layer in (*(each.field[1] for each in slow.localise), slow.bias[1]):
        # what it has not learned is 0: it would move and change nothing
        torch.nn.init.normal_(layer.weight, 0, 0.02)
    fast = PostRegistered(copy.deepcopy(slow), None, options.device).network
    images = [torch.rand(1, 1, height // 8, width // 8, device=options.device) for _ in range(3)]
    images = [F.interpolate(image, (height, width), mode='bicubic').clamp(0, 1) for image in images]
    with torch.inference_mode():
        ways = {'eager': lambda: correct(slow, *images)[0], 'fast': lambda: fast(*images).fused}
        found = {name: way() for name, way in ways.items()}
        seconds = {name: [] for name in ways}
        for _ in range(options.turns):
            for name, way in ways.items():
                start = time.perf_counter()
                way()[0, 0, 0, 0].item()  # waits for a GPU
                seconds[name].append(time.perf_counter() - start)
    middle = {name: sorted(times)[len(times) // 2] for name, times in seconds.items()}
    error = (found['fast'] - found['eager']).abs()
    change = (found['eager'] - images[0]).abs().mean()
    print(f'{options.size}, width {options.width}, {options.device}, {torch.get_num_threads()} threads')
    print(', '.join(f'{name} {1e3 * value:.1f} ms' for name, value in middle.items()))
    print(f'ratio {middle["eager"] / middle["fast"]:.2f}')
    print(f'difference: mean {error.mean():.5f}, largest {error.max():.4f}; what is changed: {change:.4f}')


if __name__ == '__main__':
    main()

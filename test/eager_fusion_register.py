"""
FusionRegister written straight from its equations, one operation after the other: what the network is
compared with, in its numbers and in its time. It runs the weights of a `FusionRegister`.

    python test/eager_fusion_register.py --size 640x480 --device cpu

times both, one after the other in turns, and says how far apart their images are. So with the ablations:
`--without retention two_way evidence`, `--scales 3`, `--width 32`.
"""

import argparse
import copy
import time

import torch
import torch.nn.functional as F

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.networks.fusion_register import UNIT, FusionRegister, NetworkConfig
from irvis_fusion_ros.networks.retention import REACH, SpatialAttention
from irvis_fusion_ros.systems.post_fusion import PostFusion


@torch.inference_mode()
def correct(network, fused, visible, thermal):
    """Return the corrected image and the field (2M - 1) phi, as `FusionRegister.forward` does."""
    features = pyramid(network.fused, fused)
    sources = visible, thermal
    visible, thermal = network.visible(visible), network.thermal(thermal)
    images = [fused]
    for _ in features[1:]:
        images.append(F.avg_pool2d(images[-1], 2))
    refined = above = None
    if network.config.evidence:
        # a network of its own, with an equation of its own
        moved_by_evidence, share = network.evidence(fused, *sources)
        moved_by_evidence = moved_by_evidence.permute(0, 3, 1, 2)
    for scale in reversed(range(len(features))):
        localise = network.localise[scale]
        seen = [features[scale]]
        if above is not None:
            seen.append(above)
        seen += [F.avg_pool2d(source, 2**scale) if scale else source for source in (visible, thermal)]
        if network.config.evidence:
            known = F.avg_pool2d(moved_by_evidence, 2**scale) / 2**scale
            seen += [known / UNIT, F.avg_pool2d(share, 2**scale)]
        z = localise.merge(torch.cat(seen, 1))
        for block in localise.blocks:
            z = z + block.second(F.relu(block.first(z)))
        step = UNIT * localise.field(z)
        if refined is not None:
            step = step + 2 * F.interpolate(refined, step.shape[-2:], mode='bilinear')
        field = refined = step
        if network.config.evidence:
            field = refined + 2 * torch.sigmoid(localise.believe(z)) * known
        mask = torch.sigmoid(localise.mask(z) + localise.odds)
        both = network.config.two_way
        moved = blended(z, field, mask, both)
        warped = blended(images[scale], field, mask, both, 'bicubic')
        if scale:
            up = network.up[scale - 1]
            above = F.pixel_shuffle(up.spread(F.relu(up.join(torch.cat([z, moved], 1)))), 2)
    if network.config.retention:
        of_visible = retained(network.retain_visible, moved, visible)
        of_thermal = retained(network.retain_thermal, moved, thermal)
        warped = warped + network.bias(of_visible + of_thermal + moved)
    share = 2 * mask - 1 if network.config.two_way else mask
    return warped, (share * field).permute(0, 2, 3, 1)


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


def blended(image, field, mask, both, between='bilinear'):
    other = moved_by(image, -field, between) if both else image
    return mask * moved_by(image, field, between) + (1 - mask) * other


def moved_by(image, field, between):
    height, width = image.shape[-2:]
    rows, columns = (torch.arange(side, device=field.device) for side in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    x, y = x + field[:, 0], y + field[:, 1]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    return F.grid_sample(image, grid, mode=between, padding_mode='border', align_corners=True)


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
    parser.add_argument('--scales', type=int, default=2)
    parser.add_argument('--without', nargs='+', default=[], choices=('retention', 'two_way', 'evidence'))
    parser.add_argument('--turns', type=int, default=10)
    options = parser.parse_args()
    width, height = map(int, options.size.split('x'))
    torch.manual_seed(0)
    left_out = dict.fromkeys(options.without, False)
    config = NetworkConfig(width=options.width, scales=options.scales, **left_out)
    slow = FusionRegister(config).eval().to(options.device)
    changing = [each.field[1] for each in slow.localise]
    if config.retention:
        changing.append(slow.bias[1])
    for layer in changing:
        # what it has not learned is 0: it would move and change nothing
        torch.nn.init.normal_(layer.weight, 0, 0.02)
    # as the system runs it: in the precision and, on a GPU, as the graph that suit the device
    fast = PostFusion(copy.deepcopy(slow), backbones.build('average'), options.device)._correct
    images = [torch.rand(1, 1, height // 8, width // 8, device=options.device) for _ in range(3)]
    images = [F.interpolate(image, (height, width), mode='bicubic').clamp(0, 1) for image in images]
    with torch.inference_mode():
        ways = {'eager': lambda: correct(slow, *images)[0], 'fast': lambda: fast(*images)[0]}
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
    own = sum(each.numel() for name, each in slow.named_parameters() if 'evidence' not in name)
    print(
        f'{options.size}, {options.device}, {torch.get_num_threads()} threads, {own / 1e6:.2f} M parameters'
    )
    print(', '.join(f'{name} {1e3 * value:.1f} ms' for name, value in middle.items()))
    print(f'ratio {middle["eager"] / middle["fast"]:.2f}')
    print(f'difference: mean {error.mean():.5f}, largest {error.max():.4f}; what is changed: {change:.4f}')


if __name__ == '__main__':
    main()

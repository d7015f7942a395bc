import math

import numpy as np
import pytest
import torch

from irvis_fusion_ros.backends import flops
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import busref, layers
from irvis_fusion_ros.networks.affine import Affine, similarity
from irvis_fusion_ros.networks.busref import BusReF


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return BusReF().eval()


def scene(shape, seed=0):
    return torch.from_numpy(synthetic.textured(shape, seed)).float()[None, None] / 255


def shifted(image, dx, dy):
    """The image as a camera sees it that makes the deformation (dx, dy) right."""
    return torch.roll(image, (dy, dx), (2, 3))


@pytest.mark.parametrize('shape', [(96, 128), (97, 131), (64, 200)])
def test_any_size_gives_a_field_of_that_size(network, shape):
    image = scene(shape)
    with torch.no_grad():
        found = network.register(image, image)
        field = network.field(found, shape)
        fused = network.fuse(image, image)
    assert field.shape == (1, *shape, 2)
    assert fused.shape == image.shape
    assert fused.min() >= 0 and fused.max() <= 1


def test_an_aligned_pair_is_left_where_it_is(network):
    image = scene((128, 160))
    with torch.no_grad():
        field = network.field(network.register(image, image), (128, 160))
    assert field.norm(dim=-1).mean() < 0.5


def test_nothing_to_see_moves_nothing(network):
    flat = torch.full((1, 1, 96, 96), 0.5)
    with torch.no_grad():
        field = network.field(network.register(flat, flat), (96, 96))
    assert field.abs().max() < 1


@pytest.mark.parametrize('dx, dy', [(24, 0), (0, -16), (-32, 8)])
def test_a_known_shift_is_found_with_its_sign(network, dx, dy):
    image = scene((160, 192))
    with torch.no_grad():
        found = network.register(image, shifted(image, dx, dy))
        field = network.field(found, (160, 192))
    inner = field[:, 48:-48, 48:-48].mean((0, 1, 2))
    assert torch.allclose(inner, torch.tensor([dx, dy], dtype=torch.float32), atol=2.0)


def test_registering_with_the_field_gives_the_image_back():
    image = scene((96, 96))
    field = torch.tensor([5.0, -3.0]).expand(1, 96, 96, 2)
    registered = tensors.warp(shifted(image, 5, -3), field)
    assert torch.allclose(registered[..., 8:-8, 8:-8], image[..., 8:-8, 8:-8], atol=1e-5)


def test_a_start_replaces_the_search(network):
    image = scene((128, 160))
    with torch.no_grad():
        found = network.register(image, image, start=torch.zeros(1, 2, 3))
    assert found.search is None


def test_every_part_learns(network):
    network = BusReF()
    image = scene((64, 96))
    found = network.register(image, shifted(image, 4, 2))
    total = network.field(found, (64, 96)).square().mean()
    total = total + found.search.square().mean() + network.fuse(image, image).square().mean()
    for seen in found.measured:
        total = total + seen.shift.square().mean() + seen.scale.mean()
    drawn = network.bus.decode(network.bus.encode(image, layers.content(image)))
    (total + drawn.square().mean()).backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert without == []
    for part in ('bus', 'describe', 'search', 'affine', 'deformable', 'gaf'):
        gradients = [p.grad.abs().max() for p in getattr(network, part).parameters()]
        assert max(gradients) > 0, part


def test_the_bus_is_one_for_both_cameras_and_stays_on_the_pixel_grid(network):
    image = scene((64, 64))
    features = network.bus.encode(image, layers.content(image))
    shapes = [tuple(feature.shape[1:]) for feature in features]
    channels = [a + b for a, b in zip(busref.CHANNELS, busref.EDGES, strict=True)]
    assert shapes == [(c, 64 // s, 64 // s) for c, s in zip(channels, (1, 2, 4, 8), strict=True)]
    assert network.bus.decode(features).shape == image.shape


def test_at_first_fusion_is_the_mean(network):
    visible, thermal = scene((64, 64), 1), scene((64, 64), 2)
    weights = torch.tensor([0.5, 0.5, 0.5])[None, :, None, None].expand(1, 3, 64, 64)
    assert torch.allclose(busref.blend(visible, thermal, weights), (visible + thermal) / 2, atol=1e-5)


def test_an_affine_model_composes_inverts_and_fits():
    affine = Affine((48, 64))
    grid = tensors.pixel_grid(48, 64, torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(2, 2, 3, generator=generator) * 3 for _ in range(2))
    composed = affine.displacement(affine.after(first, second), grid)
    step = affine.displacement(second, grid)
    expected = step + affine.displacement(first, grid + step)
    assert torch.allclose(composed, expected, atol=1e-4)
    moved = tensors.apply(affine.matrix(first), grid.expand(2, -1, -1, -1))
    assert torch.allclose(moved - grid, affine.displacement(first, grid), atol=1e-4)
    field = affine.displacement(first, grid)
    fitted = affine.fit(field, torch.ones(field.shape[:3]), grid)
    assert (affine.displacement(fitted, grid) - field).norm(dim=-1).mean() < 0.1


def test_content_leaves_out_the_black_rim_and_keeps_dark_pixels():
    image = torch.rand(1, 1, 40, 60) * 0.9 + 0.05
    image[..., :20] = 0
    image[..., 30:32, 40:42] = 0
    support = layers.content(image)
    assert support[..., :20].max() == 0
    assert support[..., 24:].min() == 1


def test_structure_does_not_know_the_sign_of_contrast():
    image = scene((48, 48))
    support = torch.ones_like(image)
    there, back = layers.structure(image, support)[:, 1:], layers.structure(1 - image, support)[:, 1:]
    assert torch.allclose(there, back, atol=1e-4)


def test_local_correlation_finds_the_shift():
    moving = torch.randn(1, 8, 12, 12, generator=torch.Generator().manual_seed(0))
    reference = torch.roll(moving, (-1, -2), (2, 3))
    volume = layers.local_correlation(reference, moving, 2)[0, :, 4:-4, 4:-4].mean((1, 2))
    assert layers.shifts(2, volume)[volume.argmax()].tolist() == [2, 1]


def test_dynamic_convolution_mixes_its_kernels():
    layer = layers.DynamicConv(4)
    x = torch.randn(2, 4, 6, 6)
    both = layer(x)
    assert torch.allclose(both[1:], layer(x[1:]), atol=1e-5)
    with torch.no_grad():
        layer.kernels.copy_(layer.kernels[:1].expand_as(layer.kernels))
        layer.biases.zero_()
    plain = torch.nn.functional.leaky_relu(
        torch.nn.functional.conv2d(x, layer.kernels[0], padding=1), layers.SLOPE
    )
    assert torch.allclose(layer(x), plain, atol=1e-5)


def test_the_network_is_small(network):
    parameters, gmacs = flops.count(
        network, lambda: network.register(torch.rand(1, 1, 256, 320), torch.rand(1, 1, 256, 320))
    )
    assert parameters == sum(p.numel() for p in network.parameters()) < 3e6
    assert 0.5 < gmacs < 6


def test_cost_counts_what_a_convolution_multiplies():
    layer = torch.nn.Conv2d(3, 5, 3, padding=1)
    parameters, gmacs = flops.count(layer, lambda: layer(torch.rand(1, 3, 10, 20)))
    assert parameters == 3 * 5 * 9 + 5
    assert math.isclose(gmacs, 3 * 5 * 9 * 200 / 1e9)


def test_similarity_of_the_search_is_highest_at_the_known_turn(network):
    image = scene((128, 128))
    affine = Affine((128, 128))
    turn = torch.tensor([math.radians(9.0)])
    zero = torch.zeros(1)
    true = similarity(turn, zero, zero, zero, affine)
    grid = tensors.pixel_grid(128, 128, image)
    turned = tensors.sample(image, tensors.apply(torch.linalg.inv(affine.matrix(true)), grid), 'zeros')
    with torch.no_grad():
        visible, thermal = network.descriptions(image, turned)
        logits, best = network.search(visible[-1], thermal[-1], affine)
    rotation = np.unravel_index(int(logits[0].argmax()), logits.shape[1:])[0]
    assert rotation == 4
    error = affine.displacement(best - true, grid).norm(dim=-1).mean()
    assert error < 5


@pytest.mark.parametrize('radius', [1, 2, 4, 6])
def test_largest_is_that_of_max_pooling(radius):
    image = torch.rand(2, 3, 17, 23)
    pooled = torch.nn.functional.max_pool2d(image, 2 * radius + 1, 1, radius)
    assert torch.equal(layers.largest(image, radius), pooled)

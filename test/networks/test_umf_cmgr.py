from dataclasses import replace

import numpy as np
import pytest
import torch
from reached import unreached

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.umf_cmgr import LEVELS, Difn, Estimate, Generator, NetworkConfig, UmfCmgr

SMALL = NetworkConfig(width=4, blocks=1, features=8, fused=4)
# what is registered to is the visible image: nothing has been learned
DIRECT = replace(SMALL, pseudo=False)
SHAPE = (120, 160)


def network(config):
    torch.manual_seed(0)
    return UmfCmgr(config).eval()


def pair(shift, shape=SHAPE, invert=False):
    """One image, moved: an untrained network can register that; with contrast reversed, too."""
    image = synthetic.textured(shape, 0)
    known = KnownWarp(shape, affine_about_centre(shape, 0, 1, 0, shift))
    moved = known.move(255 - image if invert else image)
    return *(torch.from_numpy(i.astype(np.float32) / 255)[None, None] for i in (image, moved)), known


@torch.no_grad()
def error(net, visible, thermal, known):
    truth, shown = known.truth()
    return np.linalg.norm(net.field(visible, thermal)[0].numpy() - truth, axis=-1)[shown].mean()


@pytest.mark.parametrize('shape', [SHAPE, (113, 150)])
@pytest.mark.parametrize('invert', [False, True])
def test_before_it_has_learned_it_matches_edges(shape, invert):
    net = network(DIRECT)
    for level in net.mrrn.levels:
        # before it has learned it is not sure of what it sees in two spectra
        torch.nn.init.constant_(level.gain, 3.0)
    assert error(net, *pair((0, 0), shape, invert)) < 0.2
    assert error(net, *pair((6, -4), shape, invert)) < 0.6 * np.hypot(6, 4)


@torch.no_grad()
def test_as_in_the_paper_nothing_moves_before_it_has_learned():
    net = network(replace(SMALL, reach=False))
    field = net.field(*pair((5, 3), (113, 150))[:2])
    assert field.shape == (1, 113, 150, 2)
    assert not field.any()


@pytest.mark.parametrize(('stride', 'radius'), LEVELS)
@torch.no_grad()
def test_a_level_says_where_in_the_thermal_image_a_cell_is(stride, radius):
    torch.manual_seed(0)
    level = Estimate(4, stride, radius, refined=True)
    level.gain.fill_(10)
    features, description = (
        torch.zeros(1, 4, 24, 32),
        torch.nn.functional.normalize(torch.randn(1, 8, 24, 32)),
    )
    # what the reference shows at x the moving map shows at x + (2, -1) cells
    moving = features, description.roll((2, -1), (3, 2))
    _, field = level((features, description), moving, torch.zeros(1, 24, 32, 2))
    expected = torch.tensor([2.0, -1.0]) * stride
    assert (field[0, 8:-8, 8:-8] - expected).norm(dim=-1).max() < 0.1 * stride
    # after that start there is nothing left
    _, field = level((features, description), moving, expected.expand(1, 24, 32, 2))
    assert (field[0, 8:-8, 8:-8] - expected).norm(dim=-1).max() < 0.1 * stride


def test_the_ablations_leave_parts_out():
    whole = {name.split('.')[0] for name, _ in network(SMALL).named_parameters()}
    assert whole == {'cpstn', 'mrrn', 'difn'}
    assert {name.split('.')[0] for name, _ in network(DIRECT).named_parameters()} == {'mrrn', 'difn'}
    net = network(replace(SMALL, refined=False))
    assert not [name for name, _ in net.named_parameters() if 'refine' in name]
    visible, thermal, _ = pair((3, 2))
    with torch.no_grad():
        for coarse, refined in net.register(visible, thermal)[1]:
            assert torch.equal(coarse, refined)


@torch.no_grad()
def test_what_is_registered_to_is_a_picture_of_its_own():
    visible, thermal, _ = pair((0, 0))
    reference, _ = network(SMALL).register(visible, thermal)
    assert reference.shape == visible.shape
    assert float(reference.min()) >= 0 and float(reference.max()) <= 1
    assert not torch.allclose(reference, visible, atol=0.05)


@torch.no_grad()
def test_pseudo_infrared_stays_in_its_place():
    torch.manual_seed(0)
    generator = Generator(4, 1).eval()
    image = torch.rand(1, 1, 64, 96)
    moved = generator(image.roll((8, 16), (2, 3)))
    # instance normalisation sees the same picture; only near the borders does it differ
    apart = (moved - generator(image).roll((8, 16), (2, 3)))[..., 32:40, 40:72]
    assert float(apart.abs().max()) < 0.1 * float(moved.std())


@pytest.mark.parametrize('shape', [(64, 80), (38, 50)])
@torch.no_grad()
def test_fusion_begins_with_the_mean_and_keeps_the_size(shape):
    torch.manual_seed(0)
    visible, thermal = torch.rand(2, 1, *shape), torch.rand(2, 1, *shape)
    assert torch.allclose(Difn(4)(visible, thermal), (visible + thermal) / 2, atol=1e-5)


def test_every_part_learns():
    net = network(SMALL).train()
    torch.manual_seed(1)
    for name, parameter in net.named_parameters():
        # 0 at first: what is before them would not learn at the first step
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.1) if 'bias' not in name else None
    visible, thermal, _ = pair((5, 3))
    reference, fields = net.register(visible, thermal)
    total = sum((field**2).sum() for level in fields for field in level) + reference.square().sum()
    (total + net.difn(visible, thermal).square().sum()).backward()
    # a bias before instance normalisation is normalised away
    assert unreached(net, biases=False) == []


@pytest.mark.slow
def test_fields_survive_half_precision():
    net = network(SMALL).train()
    visible, thermal, _ = pair((5, 3), (64, 96))
    with torch.autocast('cpu', torch.bfloat16):
        _, fields = net.register(visible, thermal)
    assert all(field.dtype == torch.float32 for level in fields for field in level)
    sum((field**2).sum() for level in fields for field in level).backward()
    assert all(p.grad.isfinite().all() for p in net.mrrn.parameters())


@torch.no_grad()
def test_beyond_the_thermal_image_nothing_is_matched():
    net = network(DIRECT)
    _, thermal, _ = pair((0, 0))
    thermal[..., :48] = 0
    found = net.mrrn.features(thermal, layers.content(thermal))
    for stride, (_, description) in found.items():
        assert not description[..., : 40 // stride].any()

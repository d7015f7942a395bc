import pytest
import torch
import torch.nn.functional as F
from made import item

from irvis_fusion_ros.networks.misregistration import NETWORK, Evidence, thermal_share
from irvis_fusion_ros.training.data.batches import PairSource


@pytest.fixture(scope='module')
def evidence():
    evidence = Evidence()
    evidence.load()
    return evidence.eval()


def batch(protocol, shape=(160, 208), count=3):
    items = [item(seed, shape=(260, 340)) for seed in range(3)]
    return PairSource(items, 'train').batch(0, count, shape, {protocol: 1})


def length(field):
    return field.norm(dim=-1).mean((1, 2))


@torch.no_grad()
def test_a_displaced_pair_is_measured_by_its_thermal_share(evidence):
    pairs = batch('fr')
    fused = (pairs.visible + pairs.moved) / 2
    field, share = evidence(fused, pairs.visible, pairs.moved)
    wanted = thermal_share(fused, pairs.visible, pairs.moved, pairs.truth).movedim(1, -1) * pairs.truth
    known = pairs.shown[:, 0] > 0
    assert field.shape == pairs.truth.shape and share.shape == pairs.visible.shape
    left = (field - wanted).norm(dim=-1)[known].mean()
    assert left < 0.5 * wanted.norm(dim=-1)[known].mean()


@torch.no_grad()
def test_what_is_aligned_stays(evidence):
    pairs = batch('zero')
    assert length(evidence.measure(pairs.visible, pairs.moved)).max() < 0.1


@pytest.mark.slow
@torch.no_grad()
def test_images_that_have_nothing_in_common_are_not_moved(evidence):
    pairs = batch('zero')
    other = pairs.moved.roll(1, 0).flip(-1)
    assert length(evidence.measure(pairs.visible, other)).max() < 0.1
    blind = torch.full_like(other, 0.5)
    for pair in ((blind, pairs.moved), (pairs.visible, blind), (0 * blind, 0 * blind)):
        assert length(evidence(sum(pair) / 2, *pair)[0]).max() < 0.1


@pytest.mark.slow
@torch.no_grad()
def test_large_images_are_seen_smaller_and_give_a_field_of_their_own_size(evidence):
    pairs = batch('fr', shape=(259, 339))
    twice = [F.interpolate(image, scale_factor=2, mode='bilinear') for image in (pairs.visible, pairs.moved)]
    assert twice[0][0].numel() > 2 * NETWORK.pixels
    small, large = (evidence.measure(*images) for images in ((pairs.visible, pairs.moved), twice))
    halved = F.avg_pool2d(large.movedim(-1, 1), 2).movedim(1, -1) / 2
    assert length(halved - small).max() < 0.1 * length(small).min()


@pytest.mark.parametrize(('backbone', 'share'), [(torch.maximum, (1, 0)), (torch.add, (0.5, 0.5))])
def test_the_share_is_what_the_backbone_made_of_the_slopes(backbone, share):
    torch.manual_seed(0)
    visible, thermal = torch.rand(2, 1, 1, 48, 96)
    thermal[..., :48] += 1
    visible[..., 48:] += 1
    found = thermal_share(backbone(visible, thermal), visible, thermal, torch.zeros(1, 48, 96, 2))
    for half, expected in zip((found[..., :40], found[..., 56:]), share, strict=True):
        assert float(half.median()) == pytest.approx(expected, abs=0.05)


def test_what_is_thermal_is_looked_for_where_the_field_says():
    torch.manual_seed(0)
    visible, thermal = 0.1 * torch.rand(1, 1, 48, 160), torch.zeros(1, 1, 48, 160)
    thermal[..., 80:110] = torch.rand(48, 30)
    field = torch.zeros(1, 48, 160, 2)
    field[..., 0] = 50
    found = thermal_share(thermal + visible, visible, thermal, field)
    assert found[..., 35:55].min() > 0.9
    assert found[..., 130:].max() < 0.1

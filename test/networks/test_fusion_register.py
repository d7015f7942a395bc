import math

import eager_fusion_register as eager
import pytest
import torch
import torch.nn.functional as F
from reached import unreached

from irvis_fusion_ros.backends import flops
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.networks import fusion_register, retention
from irvis_fusion_ros.networks.fusion_register import UNIT, FusionRegister, NetworkConfig
from irvis_fusion_ros.networks.retention import WindowMlp

SMALL = {'width': 8, 'blocks': 1}
ALONE = {'evidence': False}
VARIANTS = [{}, {'scales': 3}, {'retention': False}, ALONE]


def network(**options):
    torch.manual_seed(1)
    return FusionRegister(NetworkConfig(**{**SMALL, **options})).eval()


def awake(**options):
    """A network whose last layers are not 0, so that it moves and changes what it sees."""
    net = network(**options)
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        if parameter.ndim == 4 and not parameter.any():
            parameter.data.normal_(0, 0.25, generator=generator)
    return net


def told(net, field, share=0.5):
    """The network, its evidence a field (dx, dy) that is everywhere the same."""

    def evidence(module, images, found):
        height, width = images[0].shape[-2:]
        measured = torch.tensor(field, dtype=torch.float32).expand(1, height, width, 2)
        return measured, torch.full((1, 1, height, width), share)

    net.evidence.register_forward_hook(evidence)
    return net


def scene(shape=(48, 64), seed=0):
    return torch.from_numpy(synthetic.textured(shape, seed)).float()[None, None] / 255


def scenes(shape=(48, 64)):
    return [scene(shape, seed) for seed in range(3)]


@pytest.mark.parametrize('options', [{}, {'scales': 3}, {'retention': False}, {'two_way': False}])
@pytest.mark.parametrize('shape', [(48, 64), (36, 44), (52, 100)])
@torch.no_grad()
def test_before_it_has_learned_and_without_evidence_it_changes_nothing(options, shape):
    images = scenes(shape)
    found = network(**ALONE, **options)(*images)
    assert not found.field.any()
    assert not found.effective.any()
    assert found.effective.shape == (1, *shape, 2)
    assert torch.allclose(found.fused, images[0], atol=1e-5)


@pytest.mark.parametrize('options', [{}, {'scales': 3}, {'retention': False}, {'two_way': False}])
@torch.no_grad()
def test_before_it_has_learned_it_moves_what_its_evidence_says(options):
    images = scenes()
    found = told(network(**options), (3.0, -2.0))(*images)
    assert torch.allclose(found.field, torch.tensor([3.0, -2.0]).expand(1, 48, 64, 2), atol=1e-5)
    # but for what little M leaves to the other direction
    moved = fusion_register.sample(images[0], found.field, 'bicubic')
    assert torch.allclose(found.fused, moved, atol=0.02)


@torch.no_grad()
def test_it_may_learn_to_believe_nothing_of_the_evidence():
    net = told(network(retention=False), (3.0, -2.0))
    for localise in net.localise:
        localise.believe.register_forward_hook(lambda module, into, out: torch.full_like(out, -50))
    assert net(*scenes()).field.abs().max() < 1e-5


@pytest.mark.parametrize('options', VARIANTS)
def test_it_computes_what_its_equations_say(options):
    net, images = awake(**options), [torch.cat([image, image.flip(3)]) for image in scenes((44, 64))]
    with torch.no_grad():
        found = net(*images)
    expected, effective = eager.correct(net, *images)
    assert found.effective.abs().max() > 0.05
    assert (expected - images[0]).abs().mean() > 0.005
    assert torch.allclose(found.effective, effective, atol=1e-4)
    assert torch.allclose(found.fused, expected, atol=1e-3)


@torch.no_grad()
def test_a_field_says_where_a_pixel_comes_from():
    image = scene()
    field = torch.zeros(1, 48, 64, 2)
    field[..., 0], field[..., 1] = 5, -3
    moved = fusion_register.sample(image, field)
    assert torch.allclose(moved[..., 3:, :-5], image[..., :-3, 5:], atol=1e-4)


@pytest.mark.parametrize('odds, expected', [(50.0, (3, -2)), (-50.0, (-3, 2)), (0.0, (0, 0))])
@torch.no_grad()
def test_the_effective_field_is_the_mean_of_both_directions(odds, expected):
    net = network(**ALONE, retention=False)
    last = net.localise[0]
    last.odds.fill_(odds)
    last.mask[1].weight.zero_()
    last.field.register_forward_hook(
        lambda *_: torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 48, 64) / UNIT
    )
    image = scene()
    found = net(image, image, image)
    assert torch.allclose(found.effective, torch.tensor(expected, dtype=torch.float32).expand(1, 48, 64, 2))
    if odds:
        assert torch.allclose(
            found.fused, fusion_register.sample(image, found.effective, 'bicubic'), atol=1e-5
        )
    else:
        there, back = (fusion_register.sample(image, sign * found.field, 'bicubic') for sign in (1, -1))
        assert torch.allclose(found.fused, (there + back) / 2, atol=1e-5)


@torch.no_grad()
def test_one_direction_moves_by_the_mask_alone():
    net = awake(two_way=False, retention=False)
    found = net(*scenes())
    assert torch.allclose(found.effective, found.mask.movedim(1, -1) * found.field)


@torch.no_grad()
def test_the_field_of_a_coarse_scale_is_twice_as_long_at_the_next():
    net = network(**ALONE, retention=False)
    step = torch.tensor([1.5, -0.5]).view(1, 2, 1, 1).expand(1, 2, 24, 32) / UNIT
    net.localise[1].field.register_forward_hook(lambda *_: step)
    found = net(*scenes())
    assert torch.allclose(found.field, torch.tensor([3.0, -1.0]).expand(1, 48, 64, 2))


@torch.no_grad()
def test_borders_are_not_darkened():
    net = awake(retention=False)
    flat = torch.full((1, 1, 48, 64), 0.7)
    found = net(flat, *scenes()[1:])
    assert found.effective.abs().max() > 0.1
    assert torch.allclose(found.fused, flat, atol=1e-5)


@pytest.mark.parametrize('options', VARIANTS)
def test_every_part_learns(options):
    net = awake(**options)
    found = net(*scenes(), every_scale=True)
    assert len(found.warped) == net.config.scales
    assert [tuple(image.shape[-2:]) for image in found.warped[:2]] == [(48, 64), (24, 32)]
    sum(image.square().sum() for image in (found.fused, *found.warped)).backward()
    assert unreached(net) == []


def test_the_first_step_moves_the_field():
    net = network()
    images = scenes()
    found = net(*images)
    (found.fused - images[1]).square().mean().backward()
    assert all(localise.field[1].weight.grad.any() for localise in net.localise[:1])


@pytest.mark.parametrize(
    'options, millions',
    [
        ({'width': 32}, 2.94),
        ({'width': 32, 'retention': False}, 2.83),
        ({'width': 32, 'scales': 3}, 7.32),
    ],
)
def test_it_is_as_large_as_the_papers(options, millions):
    net = FusionRegister(NetworkConfig(**ALONE, **options))
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(millions * 1e6, rel=0.02)


def test_it_costs_what_the_released_network_costs():
    net, image = (
        FusionRegister(NetworkConfig(**ALONE)).eval().to('meta'),
        torch.rand(1, 1, 32, 48, device='meta'),
    )
    _, gmacs = flops.count(net, lambda: net(image, image, image))
    assert gmacs * 1e9 / image.numel() == pytest.approx(376.8e3, rel=0.02)


@pytest.mark.slow
@torch.no_grad()
def test_nothing_in_it_depends_on_the_values_of_an_image():
    # where there are no values, asking for one is an error: so would be waiting for a GPU in the middle
    net = awake(compare=True).to('meta')
    for alone in (False, True):
        found = net(*(image.to('meta') for image in scenes()), alone=alone)
        assert found.fused.shape == (1, 1, 48, 64)


def comparing(**options):
    """A network that compares the sources itself: by their edges, as if it had learned to trust them."""
    net = network(compare=True, **options)
    for match in (*net.compare.affine, *net.compare.dense):
        match.gain.data.fill_(8)
    return net


@pytest.mark.parametrize('evidence', [True, False])
@torch.no_grad()
def test_alone_it_finds_by_itself_how_far_the_sources_are_apart(evidence):
    net = comparing(evidence=evidence, retention=False)
    if evidence:
        net.evidence.register_forward_pre_hook(lambda *_: pytest.fail('it was to be withheld'))
    visible = scene((96, 128))
    moved = fusion_register.sample(visible, torch.tensor([-6.0, 4.0]).expand(1, 96, 128, 2))
    # all that is to be seen is thermal
    flat = torch.full_like(visible, 0.5)
    found = net(moved, visible, moved, alone=True)
    measured = net.compare.field(found.compared, (96, 128))
    inner = (slice(None), slice(16, -16), slice(16, -16))
    assert (measured[inner] - torch.tensor([6.0, -4.0])).norm(dim=-1).mean() < 1
    assert found.mask[:, 0][inner].min() > 0.95
    lying_right = net(visible, visible, visible, alone=True)
    assert lying_right.mask[:, 0][inner].max() < 0.6
    assert (lying_right.fused - visible)[..., 16:-16, 16:-16].abs().max() < 0.01
    nothing = net(flat, flat, flat, alone=True)
    assert nothing.effective.abs().max() < 0.05


@torch.no_grad()
def test_alone_and_without_comparing_it_has_nothing_to_go_by():
    net = told(network(), (3.0, -2.0))
    images = scenes()
    assert not net(*images, alone=True).field.any()
    assert net(*images).field.any()


def test_networks_from_before_it_compared_have_the_same_parameters():
    names = set(network().state_dict())
    added = set(comparing().state_dict()) - names
    assert names < set(comparing().state_dict())
    assert all(name.startswith('compare.') or name.endswith('.far') for name in added)


def test_training_follows_inference_in_one_process():
    net, images = awake(), scenes((40, 56))
    with torch.inference_mode():
        net(*images)
    net(*images).fused.sum().backward()
    assert net.localise[0].field[1].weight.grad.any()


@torch.no_grad()
def test_a_window_mixes_its_pixels_and_no_others():
    torch.manual_seed(0)
    mix = WindowMlp(4, windows=(3,)).eval()
    x = torch.rand(1, 4, 9, 9)
    changed = x.clone()
    changed[..., 4, 4] += 1
    # the share of the windows is global, but of a single window it is 1
    different = (mix(x) - mix(changed)).abs().amax(1)[0] > 1e-6
    assert different[3:6, 3:6].all()
    assert different.sum() == 9


@pytest.mark.parametrize('shape', [(7, 11), (9, 10), (15, 15)])
@torch.no_grad()
def test_windows_at_the_edge_are_filled_with_nothing(shape):
    mix = WindowMlp(4).eval()
    x = torch.rand(2, 4, *shape)
    assert torch.allclose(mix(x), eager.window_mlp(mix, x), atol=1e-5)


def test_means_are_not_too_large_for_half_precision():
    pixels = torch.full((1, 480, 640, 2), 3.0, dtype=torch.float16)
    assert torch.equal(retention._mean(pixels), torch.full((1, 2), 3.0, dtype=torch.float16))


def test_half_precision_finds_the_same_to_a_hundredth_of_a_pixel():
    net, images = awake(), scenes()
    with torch.inference_mode():
        exact = net(*images)
        coarse = net.with_features_in(torch.bfloat16)(*images)
    assert coarse.effective.dtype == coarse.fused.dtype == torch.float32
    length = exact.effective.norm(dim=-1)
    error = (coarse.effective - exact.effective).norm(dim=-1)
    assert error.mean() < 0.02 * max(1.0, length.mean())


@torch.no_grad()
def test_what_is_validated_in_half_precision_is_the_same():
    net, images = awake(**ALONE), scenes()
    exact = net(*images)
    with torch.autocast('cpu', torch.bfloat16):
        coarse = net(*images)
    assert (coarse.fused - exact.fused).abs().mean() < 0.01


def test_an_image_of_its_own_scale_is_its_mean():
    image = scene()
    halved = fusion_register._halved(image, 3)
    assert torch.allclose(halved[2], F.avg_pool2d(image, 4), atol=1e-6)
    assert math.isclose(halved[1].mean(), image.mean(), rel_tol=1e-5)

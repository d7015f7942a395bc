import copy

import numpy as np
import pytest
import torch
from reached import unreached

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.networks import layers, matching
from irvis_fusion_ros.networks.swift import STRIDES, Match, Swift, SwiftConfig

SMALL = SwiftConfig(width=8, described=12, match=16)
SHAPE = (160, 208)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return Swift(SMALL).eval()


def pair(shift=(0, 0), turn=0.0, scale=1.0, shape=SHAPE, invert=False):
    """One image, moved: an untrained network can register that; with contrast reversed, too."""
    image = synthetic.textured(shape, 0)
    known = KnownWarp(shape, affine_about_centre(shape, turn, scale, 0, shift))
    moved = known.move(255 - image if invert else image)
    return *(torch.from_numpy(i.astype(np.float32) / 255)[None, None] for i in (image, moved)), known


def awake(network):
    """Make the last layers more than 0, as learning does at its first step: what is before them learns."""
    for match in (*network.affine, *network.dense):
        torch.nn.init.normal_(match.head.weight, 0, 0.1)
    return network


def error(network, visible, thermal, known, **options):
    with torch.no_grad():
        found = network.register(visible, thermal, **options)
        field = network.field(found, known.shape)[0].numpy()
    truth, shown = known.truth()
    return np.linalg.norm(field - truth, axis=-1)[shown].mean()


@pytest.mark.parametrize('shape', [SHAPE, (163, 203)])
@pytest.mark.parametrize('shift', [(0, 0), (11, -7), (-30, 18)])
def test_before_it_has_learned_it_matches_edges(network, shape, shift):
    assert error(network, *pair(shift, shape=shape)) < 1.5


def test_contrast_may_be_reversed(network):
    assert error(network, *pair((9, 6), invert=True)) < 1.5


def test_rotation_and_scale_are_searched(network):
    assert error(network, *pair((6, -4), turn=6, scale=1.12)) < 2.5


def test_a_start_near_by_needs_no_search(network):
    visible, thermal, known = pair((11, -7))
    start = torch.zeros(1, 2, 3)
    start[0, :, 2] = torch.tensor([-9.0, 5.0])
    assert error(network, visible, thermal, known, start=start) < 1.5
    with torch.no_grad():
        assert network.register(visible, thermal, start=start).search is None


@torch.no_grad()
def test_descriptions_are_of_every_stride_and_never_longer_than_one(network):
    visible, thermal, _ = pair()
    for pyramid in network.descriptions(visible, thermal):
        assert len(pyramid) == len(STRIDES) + 1
        for description, stride in zip(pyramid, (*STRIDES, matching.COARSEST), strict=True):
            assert description.shape[-2:] == (SHAPE[0] // stride, SHAPE[1] // stride)
            assert description.norm(dim=1).max() <= 1 + 1e-4


@torch.no_grad()
def test_beyond_the_thermal_image_nothing_is_described(network):
    visible, thermal, _ = pair()
    thermal[..., :80] = 0
    for description in network.descriptions(visible, thermal)[1]:
        assert not description[..., : description.shape[-1] // 3].any()


@pytest.mark.parametrize('stride', STRIDES)
@torch.no_grad()
def test_an_edge_is_precise_across_and_vague_along_itself(stride):
    torch.manual_seed(0)
    match = Match(stride, 3, 16)
    step = torch.zeros(1, 4, 64 // stride, 64 // stride)
    # one upright line, in the middle
    step[:, 0, :, 32 // stride] = 1
    strides = (*STRIDES, matching.COARSEST)
    index = STRIDES.index(stride)
    pyramid = [torch.zeros(1, 4, 64 // other, 64 // other) for other in strides]
    pyramid[index] = step
    seen = match(pyramid, pyramid, torch.zeros(1, 8, 8, 2))
    xx, yy, _ = seen.precision[0, 3, 4]
    assert xx > 1.15 * yy
    assert seen.shift[0, 3, 4].abs().max() < 0.3 * stride


def test_every_part_learns(network):
    visible, thermal, _ = pair((5, 3))
    torch.manual_seed(1)
    net = awake(Swift(SMALL))
    found = net.register(visible, thermal)
    terms = [seen.shift.square().sum() + seen.precision.log1p().sum() for seen in found.measured]
    total = found.search.square().sum() + sum(terms)
    (total + sum((p**2).sum() + (r**2).sum() for p, r in found.steps)).backward()
    assert unreached(net) == []


@pytest.mark.parametrize('dense', [0, 1])
@torch.no_grad()
def test_a_proposal_is_what_the_first_steps_find(network, dense):
    images = pair((11, -7))[:2]
    whole = network.register(*images)
    proposed = copy.deepcopy(network).proposing(dense)
    assert len(proposed.descriptions(*images)[0]) == len(STRIDES)
    affine, residual = proposed.register(*images).steps[-1]
    of_whole = whole.steps[len(network.affine) + dense - 1]
    assert torch.equal(affine, of_whole[0]) and torch.equal(residual, of_whole[1])


@torch.no_grad()
def test_steps_come_nearer(network):
    visible, thermal, known = pair((5, -4), turn=1)
    images = (layers.padded(image, matching.COARSEST) for image in (visible, thermal))
    found = network.compare(*network.descriptions(*images), start=torch.zeros(1, 2, 3))
    assert len(found.steps) == len(found.measured) == 5
    truth = torch.from_numpy(known.truth()[0]).float()[None, 4::8, 4::8]
    model, points = matching.model_of([visible[..., ::8, ::8]]), layers.centres(visible[..., ::8, ::8], 8)
    errors = [
        float((model.displacement(p, points) + residual - truth)[:, 3:-3, 3:-3].norm(dim=-1).mean())
        for p, residual in found.steps
    ]
    assert errors[-1] < 0.5 * errors[0]

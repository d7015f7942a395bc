from dataclasses import replace

import pytest
import torch
from made import item
from reached import unreached

from irvis_fusion_ros.networks.swift import SwiftConfig
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.losses.known import Known
from irvis_fusion_ros.training.recipes.swift import SwiftRecipe, SwiftRecipeConfig, likelihood

CROP = (68, 92)  # not a multiple of the coarsest cell


@pytest.fixture(scope='module')
def recipe():
    return SwiftRecipe(SwiftRecipeConfig(network=SwiftConfig(width=8, described=12, match=16)))


@pytest.fixture
def network(recipe):
    torch.manual_seed(0)
    network = recipe.build()
    for match in (*network.affine, *network.dense):
        # 0 at first: what is before it would not learn at the first step
        torch.nn.init.normal_(match.head.weight, 0, 0.1)
    return network


@pytest.fixture(scope='module')
def source():
    return PairSource([item(seed, shape=(150, 200)) for seed in range(2)], 'train')


def test_every_loss_is_finite_and_reaches_every_parameter(recipe, network, source):
    batch = source.batch(0, 3, CROP, {'elastic_mid': 1, 'large': 1})
    terms = recipe.losses(network, batch, recipe.stages()[0])
    assert set(terms) == {'search', 'match', 'field'}
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
    sum(terms.values()).backward()
    assert unreached(network) == []


@pytest.mark.slow
def test_it_learns(recipe, network, source):
    batch, stage = source.batch(1, 3, CROP, {'fr': 1, 'elastic_light': 1}), recipe.stages()[0]
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        torch.manual_seed(0)
        optimiser.zero_grad()
        loss = sum(recipe.losses(network, batch, stage).values())
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_the_validation_answer_is_a_deformation_of_the_crop(recipe, network, source):
    batch = source.batch(0, 2, CROP, {'zero': 1})
    field = recipe.deformation(network.eval(), batch, recipe.stages()[0])
    assert field.shape == (2, *CROP, 2)
    assert field.isfinite().all()


@torch.no_grad()
def test_a_measurement_is_likeliest_where_it_is_right_and_as_sure_as_that(recipe, network, source):
    known = Known(source.batch(0, 2, CROP, {'fr': 1}))
    pyramids = network.eval().descriptions(known.visible, known.moved)
    seen = network.compare(*pyramids, start=known.p).measured[0]
    right, _ = known.remaining(seen.start, seen.reach)

    def loss(shift, deviation):
        precision = torch.tensor([1.0, 1.0, 0.0]).expand_as(seen.precision) / deviation**2
        return float(likelihood(known, replace(seen, shift=shift, precision=precision)))

    off = right + torch.tensor([2.0, 0.0])
    assert loss(right, 1.0) < loss(off, 1.0)
    # who is off by two pixels should not say a tenth, nor fifty
    assert loss(off, 2.0) < min(loss(off, 0.1), loss(off, 50.0))

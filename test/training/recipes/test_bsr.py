from dataclasses import replace

import pytest
import torch
from made import item
from reached import unreached

from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.recipes.bsr import BsrRecipe, BsrRecipeConfig

CROP = (64, 64)


@pytest.fixture(scope='module')
def recipe():
    return BsrRecipe(BsrRecipeConfig())


@pytest.fixture(scope='module')
def source():
    return PairSource([item(seed, shape=(150, 200)) for seed in range(2)], 'train')


def built(recipe):
    torch.manual_seed(0)
    return recipe.build()


def test_every_loss_is_finite_and_reaches_every_parameter(recipe, source):
    network = built(recipe)
    batch = source.batch(0, 3, CROP, {'shift5': 1, 'dilate': 1})
    terms = recipe.losses(network, batch, recipe.stages()[0])
    assert set(terms) == {'nda', 'epr', 'structure', 'smooth', 'reconstruction', 'decomposition', 'ss'}
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
    sum(terms.values()).backward()
    assert unreached(network) == []


def test_the_second_phase_teaches_the_decoder_and_nothing_else(recipe, source):
    network = built(recipe)
    stage = recipe.stages()[1]
    for name, p in network.named_parameters():
        p.requires_grad_(name.startswith(stage.trains))
    sum(recipe.losses(network, source.batch(0, 2, CROP, {'zero': 1}), stage).values()).backward()
    learning = {name for name, p in network.named_parameters() if p.grad is not None}
    assert learning == {name for name, _ in network.named_parameters() if name.startswith('fusion.decoder')}


def test_neither_the_known_warp_nor_the_unmoved_image_is_looked_at(recipe, source):
    network = built(recipe)
    batch = source.batch(0, 2, CROP, {'shift5': 1})
    nothing = torch.full_like(batch.thermal, float('nan'))
    blind = replace(batch, thermal=nothing, shown=nothing, truth=torch.full_like(batch.truth, float('nan')))
    for stage in recipe.stages():
        for one, other in ((batch, blind),):
            torch.manual_seed(0)
            with_them = recipe.losses(network, one, stage)
            torch.manual_seed(0)
            without = recipe.losses(network, other, stage)
            assert all(torch.equal(with_them[name], without[name]) for name in with_them)


@pytest.mark.parametrize(
    ('left_out', 'gone'),
    [({'ss': 0.0}, 'ss'), ({'proxies': 0.0}, 'ss'), ({'nda': 0.0}, 'nda'), ({'both': False}, None)],
)
def test_parts_can_be_left_out(source, left_out, gone):
    recipe = BsrRecipe(BsrRecipeConfig(**left_out))
    terms = recipe.losses(built(recipe), source.batch(0, 2, CROP, {'fr': 1}), recipe.stages()[0])
    assert gone not in terms
    assert all(term.isfinite() for term in terms.values())


def test_sobel_edges_can_take_the_place_of_neighbourhoods(source):
    recipe = BsrRecipe(BsrRecipeConfig(nda=0.0, sobel=1.0, proxies=0.0))
    network, batch = built(recipe), source.batch(0, 2, CROP, {'zero': 1})
    terms = recipe.losses(network, batch, recipe.stages()[0])
    assert 'nda' not in terms
    same = recipe.losses(network, replace(batch, moved=batch.visible), recipe.stages()[0])
    assert same['sobel'] < 0.2 * terms['sobel']


@pytest.mark.slow
def test_a_shift_of_one_direction_is_learned_without_being_told(source):
    recipe = BsrRecipe(BsrRecipeConfig(proxies=0.0))
    network, stage = built(recipe), recipe.stages()[0]
    with torch.no_grad():
        # as if it had learned nothing of edges
        for head in network.unet.heads:
            head.weight.mul_(0.05)
    batch = source.batch(1, 2, (64, 64), {'shift': 1})

    def error():
        field = recipe.deformation(network, batch, stage)
        return float(((field - batch.truth).norm(dim=-1)[:, None] * batch.shown).sum() / batch.shown.sum())

    before = error()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(15):
        optimiser.zero_grad()
        sum(recipe.losses(network, batch, stage).values()).backward()
        optimiser.step()
    assert error() < 0.8 * before

from dataclasses import replace

import pytest
import torch
from made import item

from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.matching import COARSEST
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.recipes.busref import BusReFConfig, BusReFRecipe, Known

CROP = (68, 92)  # not a multiple of the coarsest cell


@pytest.fixture(scope='module')
def recipe():
    return BusReFRecipe(BusReFConfig())


@pytest.fixture
def network(recipe):
    torch.manual_seed(0)
    return recipe.build()


@pytest.fixture(scope='module')
def batch():
    items = [item(seed, shape=(150, 200)) for seed in range(2)]
    return PairSource(items, 'train').batch(0, 3, CROP, {'elastic_mid': 1, 'large': 1})


def test_every_stage_trains_parameters_that_exist(recipe, network):
    names = [name for name, _ in network.named_parameters()]
    for stage in recipe.stages():
        for beginning in stage.trains:
            assert any(name.startswith(beginning) for name in names), (stage.name, beginning)


@pytest.mark.slow
@pytest.mark.parametrize('known', [True, False])
def test_every_loss_is_finite_and_reaches_what_its_stage_trains(network, batch, known):
    recipe = BusReFRecipe(BusReFConfig(known=known))
    for stage in recipe.stages():
        network.zero_grad()
        recipe.before_step(network, stage, 0)
        terms = recipe.losses(network, batch, stage)
        assert all(term.ndim == 0 and term.isfinite() for term in terms.values()), stage.name
        sum(terms.values()).backward()
        for beginning in stage.trains:
            reached = [
                parameter.grad
                for name, parameter in network.named_parameters()
                if name.startswith(beginning) and parameter.grad is not None
            ]
            assert any(gradient.abs().max() > 0 for gradient in reached), (stage.name, beginning)


def test_without_the_known_warp_the_loss_of_the_paper_is_the_only_one_of_registration(network, batch):
    recipe = BusReFRecipe(BusReFConfig(known=False, affine_steps=3, deformable_steps=4, guide_steps=5))
    *_, guide = recipe.stages()
    assert [stage.name for stage in recipe.stages()] == ['bus', 'fusion', 'guide']
    assert guide.steps == 12
    terms = recipe.losses(network, batch, guide)
    assert set(terms) == {'mncc', 'mg'}
    # nothing has trained the search: validation goes without it, too
    network.search.best = None
    assert recipe.deformation(network, batch, guide).shape == batch.truth.shape
    blind = replace(batch, truth=torch.zeros_like(batch.truth))
    assert all(
        torch.equal(value, terms[name]) for name, value in recipe.losses(network, blind, guide).items()
    )


def test_the_temperature_falls_to_one(recipe, network):
    affine = next(stage for stage in recipe.stages() if stage.name == 'affine')
    layer = next(module for module in network.modules() if isinstance(module, layers.DynamicConv))
    recipe.before_step(network, affine, 0)
    assert layer.temperature > 10
    recipe.before_step(network, affine, affine.steps)
    assert layer.temperature == 1


def test_what_is_known_is_the_truth_on_the_coarsest_grid(batch):
    known = Known(batch)
    height, width = (-(-side // COARSEST) for side in CROP)
    assert known.field.shape == (3, height, width, 2)
    planes = batch.truth.movedim(-1, 1)
    exact = tensors.sample(planes, known.points.expand(3, -1, -1, -1)).movedim(1, -1)
    error = (known.field - exact).norm(dim=-1) * known.shown
    assert error.max() < 0.5
    # an affine model explains most of it
    left = (known.affine.displacement(known.p, known.points) - known.field).norm(dim=-1) * known.shown
    assert left.sum() < 0.6 * (known.field.norm(dim=-1) * known.shown).sum()


def test_the_losses_are_least_at_the_truth(network, batch):
    known = Known(batch)
    assert known.affine_loss(known.p) < 0.02
    assert known.affine_loss(torch.zeros_like(known.p)) > 1
    hypotheses = network.search.hypotheses(known.affine)
    distance = (hypotheses[None] - known.p[:, None]).flatten(2).norm(dim=-1) / COARSEST
    shape = (3, *network.search.prior().shape)
    right = known.search_loss(network.search, (-(distance**2)).view(shape))
    wrong = known.search_loss(network.search, (-(distance**2)).roll(200, 1).view(shape))
    assert right < known.search_loss(network.search, torch.zeros(shape)) < wrong


@pytest.mark.slow
def test_a_few_steps_teach_registration(recipe, network, batch):
    stage = next(stage for stage in recipe.stages() if stage.name == 'deformable')
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)

    def error():
        field = recipe.deformation(network, batch, stage)
        return float(((field - batch.truth).norm(dim=-1) * batch.shown[:, 0]).sum() / batch.shown.sum())

    before = error()
    for step in range(10):
        torch.manual_seed(step)
        recipe.before_step(network, stage, step)
        optimiser.zero_grad()
        sum(recipe.losses(network, batch, stage).values()).backward()
        optimiser.step()
    assert error() < 0.8 * before

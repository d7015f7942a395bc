from dataclasses import replace

import pytest
import torch
from made import item
from reached import unreached
from safetensors.torch import load_file

from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.umf_cmgr import NetworkConfig, UmfCmgr
from irvis_fusion_ros.training.config import TrainConfig
from irvis_fusion_ros.training.data import augmentation
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.recipes.base import Recipe
from irvis_fusion_ros.training.recipes.umf_cmgr import Critic, UmfCmgrConfig, UmfCmgrRecipe, generator_loss
from irvis_fusion_ros.training.trainer import Trainer

CROP = (52, 76)  # not a multiple of the coarsest cell
NETWORK = NetworkConfig(width=4, blocks=1, features=8, fused=4)
CONFIG = UmfCmgrConfig(network=NETWORK, critic=4, style_batch=2, style_crop=48)
STILL = augmentation.AugmentationConfig(tone=0, curve=0, inversion=0, pseudo=0, occluders=0, low_light=0)
TERMS = {
    'style': {'cycle', 'content', 'gram', 'cross', 'paired', 'fool', 'critics'},
    'registration': {'smooth', 'known', 'forward', 'backward'},
    'fusion': {'ssim', 'salient', 'gradient'},
    'joint': {'ssim', 'salient', 'gradient'},
}


@pytest.fixture(scope='module')
def recipe():
    return UmfCmgrRecipe(CONFIG)


@pytest.fixture
def network(recipe):
    torch.manual_seed(0)
    network = recipe.build()
    for parameter in network.network.parameters():
        # 0 at first: what is before it would not learn at the first step
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.1)
    return network


@pytest.fixture(scope='module')
def source():
    return PairSource([item(seed, shape=(110, 140)) for seed in range(2)], 'train', sensors=STILL)


def batch_of(source, stage, index=0):
    return source.batch(index, stage.batch or 2, stage.crop or CROP, stage.mixture or {'elastic_light': 1})


def learn(recipe, network, stage, batch, steps, lr):
    """Return the terms before, and after so many steps."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(stage.trains))
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr)
    found = []
    for _ in range(steps):
        optimiser.zero_grad()
        terms = recipe.losses(network, batch, stage)
        sum(terms.values()).backward()
        optimiser.step()
        found.append({name: float(term.detach()) for name, term in terms.items()})
    return found[0], found[-1]


@pytest.mark.parametrize('index', range(4))
def test_every_loss_is_finite_and_reaches_its_stage_alone(recipe, network, source, index):
    stage = recipe.stages()[index]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(stage.trains))
    terms = recipe.losses(network, batch_of(source, stage), stage)
    assert set(terms) == TERMS[stage.name]
    assert all(term.ndim == 0 and term.isfinite() and term > 0 for term in terms.values()), terms
    sum(terms.values()).backward()
    assert any(p.requires_grad for p in network.parameters())
    assert unreached(network, biases=False) == []


def test_critic_and_generator_each_learn_from_their_own_term():
    torch.manual_seed(0)
    critic, made = Critic(4), torch.rand(2, 1, 48, 48, requires_grad=True)
    before = float(generator_loss(critic, made).detach())
    assert before == pytest.approx(float(((critic(made).detach() - 1) ** 2).mean()), rel=1e-5)
    generator_loss(critic, made).backward()
    assert made.grad.any()
    assert all(parameter.grad is None for parameter in critic.parameters())


@pytest.mark.slow
def test_a_critic_learns_to_tell_true_from_made_in_the_same_steps(recipe, network, source):
    stage = recipe.stages()[0]
    first, last = learn(recipe, network, stage, batch_of(source, stage), 12, 3e-3)
    assert last['critics'] < 0.9 * first['critics']
    assert last['cycle'] < first['cycle']
    assert last['cross'] < first['cross']


@pytest.mark.slow
def test_pseudo_infrared_becomes_like_the_thermal_image(recipe, network, source):
    stage = recipe.stages()[0]
    batch = batch_of(source, stage)
    before = recipe.measures(network, batch, stage)
    learn(recipe, network, stage, batch, 15, 8e-3)
    after = recipe.measures(network, batch, stage)
    assert after['pseudo_ncc'] > max(before['pseudo_ncc'], 0) + 0.2
    assert after['visible_ncc'] == before['visible_ncc']


@pytest.mark.slow
def test_registration_learns(recipe, source):
    # to the visible image: nothing else has to be learned first
    recipe = UmfCmgrRecipe(replace(CONFIG, network=replace(NETWORK, pseudo=False), perceptual=0))
    torch.manual_seed(0)
    network = recipe.build()
    stage = recipe.stages()[0]
    assert stage.name == 'registration'
    batch = batch_of(source, stage, 3)
    identity = float(basic.known_field(torch.zeros_like(batch.truth), batch.truth, batch.shown))
    learn(recipe, network, stage, batch, 30, 1e-2)
    field = recipe.deformation(network, batch, stage)
    assert field.shape == batch.truth.shape
    assert float(basic.known_field(field, batch.truth, batch.shown)) < 0.6 * identity


@pytest.mark.slow
def test_fusion_learns(recipe, network, source):
    stage = recipe.stages()[2]
    first, last = learn(recipe, network, stage, batch_of(source, stage), 20, 1e-2)
    assert sum(last.values()) < 0.95 * sum(first.values())
    assert last['salient'] < 0.8 * first['salient']


def test_the_joint_stage_fuses_what_the_network_has_registered(recipe, network, source):
    stage = recipe.stages()[3]
    batch = batch_of(source, stage)
    first = recipe.losses(network, batch, stage)['salient']
    with torch.no_grad():
        for level in network.network.mrrn.levels:
            level.head.bias += torch.randn(level.head.bias.shape)
    assert float(first.detach()) != float(recipe.losses(network, batch, stage)['salient'].detach())
    # what the aligned image shows is not looked at
    blind = replace(batch, thermal=torch.zeros_like(batch.thermal))
    terms = [recipe.losses(network, each, stage)['salient'].detach() for each in (batch, blind)]
    assert float(terms[0]) == float(terms[1])


@pytest.mark.slow
def test_what_is_only_learned_with_is_not_in_the_weights(recipe, source, tmp_path):
    recipe = UmfCmgrRecipe(
        replace(CONFIG, style_steps=1, registration_steps=1, fusion_steps=1, joint_steps=1)
    )
    run = TrainConfig(batch=2, height=48, width=64)
    trainer = Trainer('umf_cmgr', recipe, run, (source, None), tmp_path, 'cpu')
    assert trainer.run(lambda: False, progress=False)
    network, saved = UmfCmgr(NETWORK), load_file(tmp_path / 'umf_cmgr.safetensors')
    network.load_state_dict(saved)
    assert sum(p.numel() for p in network.parameters()) < trainer.parameters
    # a run that begins with these weights makes the rest anew
    begun = Trainer('umf_cmgr', recipe, run, (source, None), tmp_path / 'next', 'cpu', start=saved)
    assert torch.equal(begun.model.network.difn.out.weight, saved['difn.out.weight'])


def test_other_recipes_keep_all_of_their_network():
    network = torch.nn.Linear(1, 1)
    assert Recipe(None).runs(network) is network


def test_without_the_critics_they_do_not_learn(source):
    recipe = UmfCmgrRecipe(replace(CONFIG, adversarial=0))
    stage = recipe.stages()[0]
    network = recipe.build()
    assert set(recipe.losses(network, batch_of(source, stage), stage)) == TERMS['style'] - {'fool', 'critics'}
    assert not [
        name for name, _ in network.named_parameters() if name.startswith(stage.trains) and 'critic' in name
    ]


def test_padding_does_not_count(recipe, network, source):
    stage = recipe.stages()[1]
    batch = batch_of(source, stage)
    padded = layers.padded(batch.visible, 8).shape
    assert padded[-2:] == (56, 80)
    assert recipe.deformation(network, batch, stage).shape == (2, *CROP, 2)

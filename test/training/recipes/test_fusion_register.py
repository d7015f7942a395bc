from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made import item
from reached import unreached

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.networks.fusion_register import STEEPNESS, NetworkConfig
from irvis_fusion_ros.training import config
from irvis_fusion_ros.training.data import augmentation
from irvis_fusion_ros.training.data.batches import JointConfig, PairSource
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.recipes.fusion_register import (
    BORDER,
    EXTREME,
    FusionRegisterConfig,
    FusionRegisterRecipe,
    decisive_region,
    mask_divergence,
)
from irvis_fusion_ros.training.trainer import Trainer

CROP = (47, 61)  # padded to the coarser scale
# Nothing but the misalignment differs, as in config/train_fusion_register.yaml.
STILL = augmentation.AugmentationConfig(
    pseudo=0, blur=0, coarse=0, noise=0, stripes=0, vignetting=0, occluders=0, low_light=0
)
NETWORK = NetworkConfig(width=8, blocks=1)
CONFIGS = sorted((Path(__file__).parents[3] / 'config').glob('train_fusion_register*.yaml'))


@pytest.fixture(scope='module')
def recipe():
    return FusionRegisterRecipe(FusionRegisterConfig(network=NETWORK))


@pytest.fixture
def network(recipe):
    torch.manual_seed(0)
    return recipe.build()


@pytest.fixture(scope='module')
def source():
    items = [item(seed, shape=(110, 140)) for seed in range(2)]
    return PairSource(items, 'train', joint=JointConfig(beyond=1), sensors=STILL)


def learn(recipe, network, batch, steps, lr):
    optimiser = torch.optim.Adam(network.parameters(), lr)
    for _ in range(steps):
        for stage in recipe.stages()[1:]:
            optimiser.zero_grad()
            sum(recipe.losses(network, batch, stage).values()).backward()
            optimiser.step()


def correct(recipe, network, batch):
    """Fused before, after and as it should be, cut to a multiple."""
    height, width = (side // network.multiple * network.multiple for side in CROP)
    visible, thermal, moved = (x[..., :height, :width] for x in (batch.visible, batch.thermal, batch.moved))
    before = recipe.fused(visible, moved)
    with torch.no_grad():
        found = network.eval()(before, visible, moved)
    network.train()
    return before, found, recipe.fused(visible, thermal), batch.shown[..., :height, :width]


def test_every_stage_trains_parameters_that_exist(recipe, network):
    names = [name for name, _ in network.named_parameters()]
    for stage in recipe.stages():
        for beginning in stage.trains:
            assert any(name.startswith(beginning) for name in names), (stage.name, beginning)


def test_every_loss_is_finite_and_reaches_its_stage(recipe, network, source):
    batch = source.batch(0, 3, CROP, {'fr': 1})
    for localise in network.localise:
        torch.nn.init.normal_(localise.field[1].weight, 0, 0.1)
    torch.nn.init.normal_(network.bias[1].weight, 0, 0.1)
    for stage in recipe.stages():
        network.zero_grad()
        terms = recipe.losses(network, batch, stage)
        expected = {'known', 'mask', 'edge', 'spatial', 'frequency', 'detail', 'sharpness', 'smooth'}
        assert set(terms) == expected
        assert all(term.ndim == 0 and term.isfinite() and term > 0 for term in terms.values()), terms
        sum(terms.values()).backward()
        for beginning in stage.trains:
            reached = [
                p.grad
                for name, p in network.named_parameters()
                if name.startswith(beginning) and p.grad is not None
            ]
            assert any(gradient.any() for gradient in reached), (stage.name, beginning)
        if stage.name == 'warp':
            assert network.retain_visible.compress.weight.grad is None


def test_an_aligned_pair_has_nothing_to_teach_but_that_it_is_aligned(recipe, network, source):
    batch = source.batch(0, 2, CROP, {'zero': 1})
    for stage in recipe.stages():
        terms = recipe.losses(network, batch, stage)
        assert terms.pop('mask') > 0.1
        assert sum(terms.values()) < 1e-3


def test_m_is_even_where_the_sources_lie_on_each_other_and_sure_where_they_do_not():
    truth = torch.zeros(1, 4, 6, 2)
    truth[:, :, 3:, 0] = -4
    everywhere, far = torch.ones(1, 1, 4, 6), truth[..., 0] < 0
    right = (far * 4 * STEEPNESS)[:, None]
    assert mask_divergence(right, truth, everywhere) < 1e-5
    assert mask_divergence(right + 1, truth, everywhere) > 0.05
    assert mask_divergence(-right, truth, everywhere) > 1
    # of one direction M is how much is moved
    assert mask_divergence(torch.where(right > 0, 7.0, -50.0), truth, everywhere, two_way=False) < 1e-2
    hidden = everywhere * ~far[:, None]
    assert mask_divergence(right + far[:, None] * 9, truth, hidden) == 0


@pytest.mark.parametrize('evidence', [True, False])
def test_what_it_compares_itself_is_taught_in_every_stage(source, evidence):
    torch.manual_seed(0)
    network = NetworkConfig(width=8, blocks=1, evidence=evidence, compare=True)
    recipe = FusionRegisterRecipe(FusionRegisterConfig(network=network, withheld=1))
    model = recipe.build()
    for match in (*model.compare.affine, *model.compare.dense):
        torch.nn.init.normal_(match.head.weight, 0, 0.01)
    first, stage, _ = recipe.stages()
    assert first.trains == ('compare',)
    batch = source.batch(0, 2, (62, 71), {'fr': 1})
    alone = recipe.losses(model, batch, first)
    assert set(alone) == {'compare'}
    terms = recipe.losses(model, batch, stage)
    assert terms['compare'].item() == pytest.approx(alone['compare'].item(), rel=1e-4)
    sum(terms.values()).backward()
    assert [name for name in unreached(model.compare)] == []
    assert all(localise.far.grad.any() for localise in model.localise[:1])
    found = recipe.measures(model, batch, stage)
    assert {'psnr', 'moved_error', 'mask_auc'} <= set(found)
    assert ('alone_mask_auc' in found) == evidence
    assert recipe.deformation(model, batch, stage).shape == batch.truth.shape
    told = FusionRegisterRecipe(FusionRegisterConfig(network=network, withheld=0))
    assert told.losses(model, batch, stage)['compare'] > 0


def test_a_run_may_begin_with_weights_from_before_it_compared(source, tmp_path, network):
    grown = NetworkConfig(width=8, blocks=1, compare=True)
    recipe = FusionRegisterRecipe(FusionRegisterConfig(network=grown))
    before = network.state_dict()
    run = config.TrainConfig(validation_batches=0)
    trainer = Trainer('fusion_register', recipe, run, (source, None), tmp_path, 'cpu', start=before)
    after = trainer.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert any(name.startswith('compare.') for name in after)
    with pytest.raises(FileError, match='weights of another network'):
        del before['bias.1.weight']
        Trainer('fusion_register', recipe, run, (source, None), tmp_path, 'cpu', start=before)


def test_what_the_moved_image_does_not_show_counts_for_nothing(recipe, network, source):
    batch = source.batch(0, 2, CROP, {'fr': 1})
    stage = recipe.stages()[1]
    hidden = torch.zeros_like(batch.shown)
    terms = recipe.losses(network, type(batch)(*(vars(batch) | {'shown': hidden}).values()), stage)
    assert sum(terms.values()) < 1e-4


def test_each_image_has_a_backbone_and_its_own_target(recipe, source):
    batch = source.batch(0, 3, CROP, {'fr': 1})
    fused = recipe.fused(batch.visible, batch.moved)
    mean, most = (batch.visible + batch.moved) / 2, torch.maximum(batch.visible, batch.moved)
    assert torch.equal(fused, torch.stack([mean[0], most[1], mean[2]]))
    single = recipe.fused(batch.visible[:1], batch.moved[:1])
    assert torch.equal(single, mean[:1])


def test_backbones_are_not_saved_with_the_network(recipe, network, source):
    recipe.fused(*(torch.zeros(1, 1, 8, 8),) * 2)
    assert not [name for name in network.state_dict() if 'backbone' in name]


def test_an_unknown_backbone_is_refused_before_anything_is_learned():
    with pytest.raises(FileError, match=r"recipe.backbones': unknown backbone 'mean'; valid: average"):
        FusionRegisterRecipe(FusionRegisterConfig(backbones=('mean',)))
    with pytest.raises(FileError, match='empty'):
        FusionRegisterRecipe(FusionRegisterConfig(backbones=()))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_configurations_of_the_repository_are_valid(path):
    run, own = config.load(path, FusionRegisterRecipe)
    assert run.mixture.zero > 0
    assert run.mixture.large == 0
    FusionRegisterRecipe(own)
    plain = '.plain' in path.stem
    assert own.network.compare is not plain
    assert not own.network.evidence
    assert own.network.width == (32 if 'wide' in path.stem else 16)
    assert own.network.scales == (3 if '3_scales' in path.stem else 2)


PLAIN = [path for path in CONFIGS if '.plain' in path.stem]


@pytest.mark.slow
@pytest.mark.parametrize('path', PLAIN, ids=lambda path: path.stem)
def test_every_plain_configuration_trains_both_stages(path, source, tmp_path):
    run, own = config.load(path, FusionRegisterRecipe)
    recipe = FusionRegisterRecipe(replace(own, warp_steps=1, steps=1))
    run = replace(run, batch=1, height=64, width=64, validation_batches=0)
    trainer = Trainer('fusion_register', recipe, run, (source, None), tmp_path, 'cpu')
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert trainer.run(lambda: False, progress=False)
    assert trainer.step == 2
    after = trainer.model.state_dict()
    assert all(value.isfinite().all() for value in after.values())
    # the texture that is restored starts at none, so that the first step reaches its last layer only
    for part in ('fused.', 'visible.', 'thermal.', 'localise.', 'bias.'):
        same = [torch.equal(after[name], before[name]) for name in after if name.startswith(part)]
        assert not all(same), part


def test_detail_is_looked_for_where_the_mask_is_extreme(network):
    mask = torch.full((2, 1, 60, 60), 0.5)
    mask += 1e-3 * torch.rand(mask.shape, generator=torch.Generator().manual_seed(0))
    mask[:, :, 20:30, 20:38] = 0.9
    found = type('Found', (), {'mask': mask})
    region = decisive_region(found)
    assert region[..., 21:29, 21:37].min() == 1
    assert region[..., :BORDER, :].max() == region[..., -BORDER:, :].max() == 0
    assert region.mean() >= EXTREME / 2


@pytest.mark.slow
def test_a_few_steps_teach_to_undo_the_misalignment(recipe, network, source):
    batch = source.batch(1, 2, CROP, {'fr': 1})
    before, untrained, target, shown = correct(recipe, network, batch)
    learn(recipe, network, batch, 12, 1e-2)
    _, found, _, _ = correct(recipe, network, batch)
    was, now = (basic.edges(image, target, shown) for image in (before, found.fused))
    assert now < 0.95 * was
    assert basic.edges(found.warped[0], target, shown) < was
    assert found.effective.abs().max() > untrained.effective.abs().max()

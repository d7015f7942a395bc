"""Half precision, as training on a GPU is in, is not to change what is learned."""

import cv2
import numpy as np
import pytest
import torch
from made import item

from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.training.data import targets
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.data.target_batches import TargetSource
from irvis_fusion_ros.training.recipes.base import Recipe
from irvis_fusion_ros.training.recipes.table import RECIPES, find

CROP = (96, 128)


# Pixels that what a network finds may differ by on the mean: both precisions round what it describes.
SAME = 0.05


def recipe_of(name: str) -> Recipe:
    recipe = find(name)
    return recipe(recipe.Config())


@pytest.fixture(scope='module')
def batch():
    source = PairSource([item(seed, shape=(150, 200)) for seed in range(2)], 'train')
    return source.batch(0, 3, CROP, {'fr': 1, 'elastic_mid': 1})


@pytest.fixture(scope='module')
def boxed_batch():
    thermal = np.full((150, 200), 60, np.uint8)
    thermal = cv2.ellipse(thermal, (100, 70), (8, 24), 0, 0, 360, 180, -1)
    source = TargetSource([targets.item('made/0', 'train', thermal, [[90, 44, 110, 96]])], 'train')
    return source.batch(0, 3, CROP, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, stage', [(name, stage.name) for name in RECIPES for stage in recipe_of(name).stages()]
)
def test_half_precision_of_the_loop_teaches_the_same(name, stage, batch, boxed_batch):
    recipe = recipe_of(name)
    batch = boxed_batch if recipe.boxed else batch
    (stage,) = (each for each in recipe.stages() if each.name == stage)
    torch.manual_seed(0)
    network = recipe.build()
    recipe.before_step(network, stage, 0)
    learning = [p for name, p in network.named_parameters() if name.startswith(stage.trains)]

    def learned(half):
        torch.manual_seed(0)
        network.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            terms = recipe.losses(network, batch, stage)
        sum(terms.values()).backward()
        gradient = torch.cat([p.grad.flatten() for p in learning if p.grad is not None])
        return {term: float(value.detach()) for term, value in terms.items()}, gradient

    (exact, slope), (coarse, rough) = learned(False), learned(True)
    assert coarse == pytest.approx(exact, rel=0.05, abs=2e-3)
    assert torch.cosine_similarity(slope, rough, 0) > 0.99


@pytest.mark.parametrize('preset', ['bsr', 'umf_cmgr'])
def test_fields_are_not_in_half_precision(preset, batch):
    network = Predictor(preset, 'cpu').network
    # as where something is learned from them
    images = batch.visible.clone().requires_grad_(True), batch.moved
    found = network.field(*images)
    with torch.autocast('cpu', torch.bfloat16):
        coarse = network.field(*images)
    assert coarse.dtype == torch.float32
    assert (coarse - found).norm(dim=-1).mean() < SAME

import pytest
import torch

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.data.pack import Item
from irvis_fusion_ros.training.recipes import table


@pytest.fixture
def recipe():
    found = table.find('cnn')
    return found(found.Config())


@pytest.fixture(scope='module')
def batch():
    thermal, visible = pair((120, 160), 1)
    item = Item('made/1', 'made/1', 'train', thermal, visible[..., 1].copy())
    return PairSource([item], 'train').batch(0, 4, (64, 64), {'zero': 1})


@pytest.mark.slow
def test_it_learns_from_pairs_that_are_not_moved(recipe, batch):
    (stage,) = recipe.stages()
    assert dict(stage.mixture) == {'zero': 1}
    torch.manual_seed(0)
    network = recipe.build()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    totals = []
    for _ in range(60):
        terms = recipe.losses(network, batch, stage)
        assert set(terms) == {'wsim', 'grad', 'intensity'}
        total = sum(terms.values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.7 * totals[0]

import numpy as np
import pytest
import torch

from irvis_fusion_ros.data.protocols import RANGES
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.geometry.random_warp import KnownWarp
from irvis_fusion_ros.training.data import warps

SHAPE = (120, 161)


def drawn(names, scale=1.0, seed=0):
    rng, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    return warps.draw(names, [scale] * len(names), SHAPE, rng, noise)


def single(batch, index):
    """Return a warp of the batch as the evaluation has it."""
    elastic = batch.elastic[index].permute(1, 2, 0).contiguous().numpy()
    return KnownWarp(SHAPE, batch.matrix[index].double().numpy(), elastic)


@pytest.mark.parametrize('name', RANGES)
def test_truth_is_exact_and_that_of_the_evaluation(name):
    batch = drawn([name] * 3)
    field, shown = batch.truth()
    grid = tensors.pixel_grid(*SHAPE, field)
    residual = (batch(grid + field) - grid).norm(dim=-1)[:, None]
    assert float(residual[shown].max()) < 0.01
    # no fold: all that the moved image shows has a label
    assert torch.equal(shown, tensors.inside(grid + field, SHAPE))
    for index in range(3):
        expected, where = single(batch, index).truth()
        both = where & shown[index, 0].numpy()
        assert (where ^ shown[index, 0].numpy()).mean() < 1e-3
        assert np.abs(field[index].numpy() - expected)[both].max() < 0.05


def test_draws_keep_to_the_ranges():
    batch = drawn(['large'] * 200, scale=0.5)
    matrix = batch.matrix.numpy()
    centre = np.array([80, 59.5, 1])
    shift = (matrix @ centre)[:, :2] - centre[:2]
    assert 18 < np.abs(shift).max() <= 20 + 1e-3
    scale = np.sqrt(np.linalg.det(matrix[:, :2, :2]))
    assert (0.80 - 1e-6 <= scale.min() < 0.82) and (1.22 < scale.max() <= 1.25 + 1e-6)
    angle = np.rad2deg(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    assert 7 < np.abs(angle).max() <= 8 + 1e-3
    assert float(batch.elastic.abs().max()) == 0


def test_shifts_are_those_of_the_evaluation():
    matrix = drawn(['shift5'] * 40, scale=0.5).matrix
    assert set(matrix[:, 0, 2].tolist()) == {-2.5, 2.5}
    assert not matrix[:, 1, 2].any()
    matrix = drawn(['shift'] * 200, scale=0.5).matrix
    length = matrix[:, :2, 2].norm(dim=1)
    assert 4.9 < float(length.max()) <= 5 and float(length.min()) < 0.5
    assert (matrix[:, :2, :2] == torch.eye(2)).all()


def test_the_elastic_part_has_its_peak_and_is_smooth():
    batch = drawn(['elastic_mid'] * 8)
    length = batch.elastic.norm(dim=1)
    assert torch.allclose(length.amax((1, 2)), torch.tensor(5.0))
    # a field of peak p and sigma s changes by about p / s a pixel
    steps = (batch.elastic[..., 1:] - batch.elastic[..., :-1]).abs().amax()
    assert 0.05 < float(steps) < 0.7


def test_zero_moves_nothing():
    field, shown = drawn(['zero']).truth()
    assert float(field.abs().max()) < 1e-4
    assert shown.all()


def test_draws_are_repeatable():
    names = ['fr', 'elastic_heavy']
    assert torch.equal(drawn(names, seed=4).elastic, drawn(names, seed=4).elastic)
    assert not torch.equal(drawn(names, seed=4).elastic, drawn(names, seed=5).elastic)


def test_protocols_are_picked_by_their_shares():
    picked = warps.pick({'zero': 1, 'fr': 3, 'large': 0}, 4000, np.random.default_rng(0))
    assert picked.count('large') == 0
    assert picked.count('fr') == pytest.approx(3000, abs=150)


@pytest.mark.parametrize(
    ('mixture', 'message'),
    [
        ({'dilate5': 1}, "'dilate5' is no protocol to draw warps from; valid: zero"),
        ({'fr': -1}, "the share of 'fr' is -1"),
        ({'fr': 0}, 'needs a share above 0'),
    ],
)
def test_wrong_mixtures(mixture, message):
    with pytest.raises(ValueError, match=message):
        warps.check_mixture(mixture)

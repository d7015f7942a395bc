import numpy as np
import pytest
import torch
from made import item

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.training.data import augmentation
from irvis_fusion_ros.training.data.augmentation import AugmentationConfig, Chance
from irvis_fusion_ros.training.data.batches import JointConfig, PairSource
from irvis_fusion_ros.training.data.pack import Item

CROP = (72, 88)
MIXTURE = {'zero': 1, 'fr': 1, 'elastic_mid': 2, 'large': 1}
UNTOUCHED = AugmentationConfig(*[0.0] * 11)


@pytest.fixture(scope='module')
def items():
    return [item(seed) for seed in range(3)] + [item(9, 'val')]


def test_shapes_and_ranges(items):
    batch = PairSource(items, 'train').batch(0, 5, CROP, MIXTURE)
    for image in (batch.thermal, batch.visible, batch.moved, batch.shown):
        assert image.shape == (5, 1, *CROP)
        assert image.dtype == torch.float32
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert batch.truth.shape == (5, *CROP, 2)
    assert batch.truth.isfinite().all()
    assert set(batch.shown.unique().tolist()) <= {0.0, 1.0}


def test_the_truth_registers_the_moved_image(items):
    source = PairSource(items, 'train', sensors=UNTOUCHED)
    for step in range(4):
        batch = source.batch(step, 4, CROP, {'elastic_mid': 1, 'large': 1})
        registered = tensors.warp(batch.moved, batch.truth)
        # the black rim of the moved image is blended in by half a pixel
        inner = -torch.nn.functional.max_pool2d(-batch.shown, 5, 1, 2)
        error = ((registered - batch.thermal).abs() * inner).sum() / inner.sum()
        undone = ((batch.moved - batch.thermal).abs() * inner).sum() / inner.sum()
        assert float(error) < 0.02 < 0.5 * float(undone)


def test_pairs_stay_aligned_however_they_are_turned_and_scaled():
    # with equal images any misplacement of one against the other shows
    thermal, _ = pair((150, 201))
    same = [Item('a', 'a', 'train', thermal, thermal.copy())]
    joint = JointConfig(turn=180, quarter_turns=1, mirror=0.5, flip=0.5, squeeze=0.5)
    batch = PairSource(same, 'train', joint=joint, sensors=UNTOUCHED).batch(3, 8, CROP, MIXTURE)
    assert torch.allclose(batch.thermal, batch.visible, atol=1e-5)
    assert float(batch.thermal.flatten(1).std(1).min()) > 0.02


def test_a_crop_shows_nothing_but_the_image(items):
    bright = [Item('a', 'a', 'train', *[np.full((97, 301), 200, np.uint8)] * 2)]
    batch = PairSource(bright, 'train', sensors=UNTOUCHED).batch(0, 16, CROP, {'zero': 1})
    assert torch.allclose(batch.thermal, torch.tensor(200 / 255))
    assert torch.allclose(batch.moved, torch.tensor(200 / 255), atol=1e-5)


def test_shrunk_crops_are_sampled_where_the_full_image_is():
    # a ramp: its value says where it was sampled, on every level
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (400, 1))
    joint = JointConfig(turn=0, quarter_turns=0, mirror=0, squeeze=0, smallest=1)
    source = PairSource([Item('a', 'a', 'train', ramp, ramp)], 'train', joint=joint, sensors=UNTOUCHED)
    thermal = source.batch(0, 1, (50, 50), {'zero': 1}).thermal[0, 0, 25]
    assert float(thermal[0]) == pytest.approx(0, abs=0.012)
    assert float(thermal[-1]) == pytest.approx(1, abs=0.012)
    assert float((thermal[1:] - thermal[:-1]).std()) < 0.003


def test_black_beyond_the_crop_or_not(items):
    def rim(beyond):
        joint = JointConfig(beyond=beyond)
        source = PairSource(items, 'train', joint=joint, sensors=UNTOUCHED)
        return source.batch(2, 8, CROP, {'large': 1}).moved.eq(0).float().mean()

    assert float(rim(0.0)) > 3 * float(rim(1.0))


def test_a_batch_depends_on_seed_and_step_alone(items):
    def batch(step, seed=0, part='train'):
        return PairSource(items, part, seed).batch(step, 2, CROP, MIXTURE)

    source = PairSource(items, 'train')
    for step in (0, 1):
        source.batch(step, 3, CROP, MIXTURE)
    again = source.batch(7, 2, CROP, MIXTURE)
    for name in ('thermal', 'visible', 'moved', 'truth', 'shown'):
        assert torch.equal(getattr(again, name), getattr(batch(7), name))
    assert not torch.equal(again.moved, batch(8).moved)
    assert not torch.equal(again.moved, batch(7, seed=1).moved)


def test_only_its_own_part_is_used():
    items = [Item('a', 'a', 'train', *[np.full((96, 96), 50, np.uint8)] * 2)]
    items.append(Item('b', 'b', 'val', *[np.full((96, 96), 200, np.uint8)] * 2))
    for part, value in (('train', 50), ('val', 200)):
        thermal = PairSource(items, part, sensors=UNTOUCHED).batch(0, 6, CROP, {'zero': 1}).thermal
        assert torch.allclose(thermal, torch.tensor(value / 255))
    with pytest.raises(FileError, match="no pair of part 'val'"):
        PairSource(items[:1], 'val')


def test_a_curve_is_looked_up_between_its_knots():
    image = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]).view(1, 1, 1, 5)
    found = augmentation.apply_curve(image, torch.tensor([[0.0, 1.0, 0.5]]))
    assert found.flatten().tolist() == [0.0, 0.5, 1.0, 0.75, 0.5]


@pytest.mark.parametrize('name', ['blur', 'coarse', 'noise', 'stripes', 'vignetting', 'occluders'])
def test_every_effect_of_the_thermal_sensor_does_something_and_none_is_none(name):
    image = torch.rand(4, 1, 40, 48, generator=torch.Generator().manual_seed(0))

    def degraded(config):
        chance = Chance(4, np.random.default_rng(1), torch.Generator().manual_seed(1))
        return augmentation.thermal_sensor(image, config, chance)

    assert torch.allclose(degraded(UNTOUCHED), image, atol=1e-6)
    changed = degraded(AugmentationConfig(**{**vars(UNTOUCHED), name: 1.0}))
    assert float((changed - image).abs().mean()) > 1e-3


def test_blur_keeps_each_image_apart():
    images = torch.zeros(2, 1, 21, 21)
    images[0, 0, 10, 10] = 1
    chance = Chance(2, np.random.default_rng(0), torch.Generator().manual_seed(0))
    config = AugmentationConfig(**{**vars(UNTOUCHED), 'blur': 1.0})
    blurred = augmentation.thermal_sensor(images, config, chance)
    assert float(blurred[0].sum()) == pytest.approx(1, abs=1e-4)
    assert float(blurred[0].max()) < 0.9
    assert float(blurred[1].abs().max()) == 0

import json

import cv2
import numpy as np
import pytest
import torch

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.training.data import targets
from irvis_fusion_ros.training.data.target_batches import TargetSource
from irvis_fusion_ros.training.recipes import table
from irvis_fusion_ros.training.train import main

BOX = [60, 30, 80, 84]
CROP = (96, 128)


def thermal(seed):
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(0, 1, (120, 160)).astype(np.float32), (0, 0), 8) * 60 + 80
    return cv2.ellipse(ground, (70, 57), (7, 24), 0, 0, 360, 190, -1).astype(np.uint8)


@pytest.fixture(scope='module')
def items():
    boxed = [targets.item(f'made/{seed}', 'train', thermal(seed), [BOX]) for seed in range(2)]
    return [*boxed, targets.item('made/2', 'train', thermal(2)[:, ::-1], [])]


@pytest.fixture(scope='module')
def source(items):
    return TargetSource(items, 'train')


@pytest.fixture
def recipe():
    found = table.find('targets')
    return found(found.Config())


def test_the_warm_part_of_a_box_is_the_target(items):
    scale = targets.SIDE / 120
    found, near = items[0].targets, items[0].near
    assert found.shape == (256, 341)
    y, x = np.nonzero(found)
    np.testing.assert_allclose(
        (x.min(), x.max(), y.min(), y.max()), scale * np.array([63, 78, 33, 82]), atol=4
    )
    assert near[found > 0].all()
    assert not items[2].targets.any()


def test_a_batch_depends_on_its_step_alone(items, source):
    one, again = source.batch(3, 4, CROP, {}), TargetSource(items, 'train').batch(3, 4, CROP, {})
    for name in ('thermal', 'target', 'weight'):
        torch.testing.assert_close(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.thermal, source.batch(4, 4, CROP, {}).thermal)


def test_crops_are_stretched_and_have_targets_of_half_their_size(source):
    batch = source.batch(0, 16, CROP, {})
    assert batch.thermal.shape == (16, 1, *CROP)
    assert batch.target.shape == batch.weight.shape == (16, 1, CROP[0] // 2, CROP[1] // 2)
    assert batch.thermal.min() == 0
    assert batch.thermal.max() == 1
    assert set(batch.target.unique().tolist()) == {0.0, 1.0}
    assert (batch.weight > 0).all()


def test_a_small_hot_spot_that_is_nobodys_counts_little(items, source):
    image = torch.full((1, 1, *CROP), 0.3)
    image[..., 40:44, 60:64] = 0.9
    image[..., 70:72, :] = 0.9
    nothing = torch.zeros_like(image)
    _, weight = source._labels(image, nothing, nothing, nothing[..., :1, :1], torch.zeros(1, 1, 1, 1) > 0)
    # the spot alone, not a line that is as hot
    assert weight[0, 0, 20:22, 30:32].max() < 0.2
    assert weight[0, 0, 30:40].min() == 1


def test_a_part_without_a_target_is_refused(items):
    with pytest.raises(FileError, match="no target of part 'val'"):
        TargetSource(items, 'val')


def test_boxes_are_those_of_the_data_set_of_their_name(tmp_path):
    folder = tmp_path / 'made'
    listing = []
    for name in 'abc':
        for camera in ('ir', 'vi'):
            (folder / camera).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / camera / f'{name}.png'), thermal(0))
        listing.append({'name': name, 'ir': f'ir/{name}.png', 'vi': f'vi/{name}.png'})
    (folder / 'pairs.json').write_text(json.dumps(listing))
    boxes = tmp_path / 'made.json'
    boxes.write_text(json.dumps({'a': [BOX]}))
    for ground, names in ((['made'], 'abc'), (['made/c', 'other'], 'ac'), ([], 'a')):
        found, _ = targets.collect([folder], [boxes], ground)
        assert [each.name for each in found] == [f'made/{name}' for name in names]
        assert [bool(each.targets.any()) for each in found] == [name == 'a' for name in names]
    with pytest.raises(FileError, match="ground: 'made/d' is no image of"):
        targets.collect([folder], [boxes], ground=['made/c', 'made/d'])
    with pytest.raises(FileError, match='no boxes of'):
        targets.collect([folder], [], ground=['made'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['targets', '--data', 'd'], 'targets learns from boxes: name them by --targets'),
        (['cnn', '--data', 'd', '--targets', 'd.json'], 'cnn learns from pairs, without --targets'),
    ],
)
def test_boxes_go_with_it_alone(tmp_path, capsys, arguments, message):
    config = tmp_path / 'c.yaml'
    config.write_text('batch: 2\n')
    assert main([*arguments, '--config', str(config)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(('held_out', 'images'), [('true', 3), ('false', 4)])
def test_every_fourth_scene_is_left_out_unless_it_is_asked_for(tmp_path, capsys, held_out, images):
    folder, listing = tmp_path / 'made', []
    folder.mkdir()
    for name in 'abcd':
        cv2.imwrite(str(folder / f'{name}.png'), thermal(0))
        listing.append({'name': name, 'ir': f'{name}.png', 'vi': f'{name}.png'})
    (folder / 'pairs.json').write_text(json.dumps(listing))
    boxes, config = tmp_path / 'made.json', tmp_path / 'c.yaml'
    boxes.write_text(json.dumps({name: [BOX] for name in 'abcd'}))
    options = f'recipe: {{steps: 1, held_out: {held_out}}}'
    config.write_text(f'batch: 1\nheight: 32\nwidth: 32\nvalidation_batches: 1\n{options}\n')
    arguments = ['targets', '--data', str(folder), '--targets', str(boxes), '--config', str(config)]
    assert main([*arguments, '--out', str(tmp_path / 'run'), '--device', 'cpu']) == 0
    assert f' {images} images to learn from' in capsys.readouterr().out


@pytest.mark.slow
def test_it_learns_where_targets_are(recipe, source):
    torch.manual_seed(0)
    network, (stage,) = recipe.build(), recipe.stages()
    optimiser = torch.optim.AdamW(network.parameters(), recipe.config.lr)
    totals = []
    for step in range(80):
        terms = recipe.losses(network, source.batch(step, 6, CROP, {}), stage)
        assert set(terms) == {'entropy', 'overlap'}
        total = sum(terms.values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert np.mean(totals[-10:]) < 0.7 * np.mean(totals[:5])

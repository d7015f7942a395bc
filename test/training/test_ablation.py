from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file
from tiny import Tiny, TinyConfig

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.training import ablation
from irvis_fusion_ros.training.recipes import table

EXAMPLES = sorted((Path(__file__).parents[2] / 'config').glob('ablation_*.yaml'))
BUDGET = """
columns: [endpoint_error, mncc]
batch: 2
height: 40
width: 48
validation_batches: 1
recipe: {first: 2, second: 3}
variants:
  whole: {}
  slow start: {recipe: {lr: 1.0e-6}}
"""


@pytest.fixture
def config(tmp_path):
    def write(text=BUDGET):
        path = tmp_path / 'ablation.yaml'
        path.write_text(text)
        return path

    return write


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / 'data'
    for name in ('ir', 'vi'):
        (folder / name).mkdir(parents=True)
    # far apart: four scenes, one of which is for validation
    for seed in range(4):
        for name, image in zip(('ir', 'vi'), pair((60, 80), seed), strict=True):
            cv2.imwrite(str(folder / name / f'{1000 * seed:04d}.png'), image)
    return folder


def test_a_variant_differs_from_the_file_only_by_what_it_says(config):
    columns, variants = ablation.load(config(), Tiny)
    assert columns == ('endpoint_error', 'mncc')
    assert list(variants) == ['whole', 'slow start']
    (run, whole), (other, slow) = variants.values()
    assert run == other
    assert whole == TinyConfig(first=2, second=3)
    assert slow == TinyConfig(first=2, second=3, lr=1e-6)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('columns: [endpoint_error, mncc]', '', "'columns' has to be a list"),
        ('columns: [endpoint_error, mncc]', 'columns: mncc', "'columns' has to be a list"),
        ('variants:', 'others:', "'variants' has to be names"),
        ('slow start:', 'a/b:', "variant 'a/b' has to be a name without /"),
        ('slow start:', '1:', 'variant 1 has to be a name'),
        ('{lr: 1.0e-6}', '{rate: 1}', "variant 'slow start': unknown key 'recipe.rate'"),
        ('batch: 2', 'batch: 0', "variant 'whole': 'batch' is 0"),
    ],
)
def test_clear_errors(config, old, new, message):
    with pytest.raises(FileError) as caught:
        ablation.load(config(BUDGET.replace(old, new)), Tiny)
    assert message in str(caught.value)
    assert 'ablation.yaml' in str(caught.value)


def test_variants_are_compared_from_one_start_and_can_be_used(config, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(table.RECIPES, 'tiny', Tiny)
    out = tmp_path / 'out'
    line = ['tiny', '--config', str(config()), '--data', str(data), '--out', str(out), '--seeds', '0', '3']
    assert ablation.main(line) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == '| | endpoint_error | mncc |'
    found = [row.split(' | ') for row in told[2:]]
    assert [row[0] for row in found] == ['| whole', '| slow start']
    assert all(len(cell.removesuffix(' |').split(' / ')) == 2 for row in found for cell in row[1:])
    assert found[0][1] != found[1][1]
    for seed in ('0', '3'):
        whole, slow = (load_file(out / name / seed / 'tiny.safetensors') for name in ('whole', 'slow-start'))
        assert whole.keys() == slow.keys()
        assert any(not torch.equal(whole[name], slow[name]) for name in whole)
    monkeypatch.setenv(weights.VARIABLE, str(out / 'slow-start' / '3'))
    assert weights.load('tiny', 'tiny').state
    # the second time nothing is trained again
    assert ablation.main(line) == 0
    assert capsys.readouterr().out.splitlines() == told


@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_the_ablations_that_come_along_are_valid(path):
    system = path.stem.removeprefix('ablation_').partition('.')[0]
    assert len(ablation.load(path, table.find(system))[1]) > 1

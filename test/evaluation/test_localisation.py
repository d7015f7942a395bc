import json

import cv2
import pytest
import torch

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.data.displaced import area_under_curve
from irvis_fusion_ros.evaluation import localisation
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks.fusion_register import FusionRegister, NetworkConfig


@pytest.fixture
def data(tmp_path):
    """Two aligned pairs, one of sides that are not even."""
    for seed, shape in enumerate(((96, 128), (97, 131))):
        thermal, visible = synthetic.pair(shape, seed)
        for name, image in (('ir', thermal), ('vi', visible)):
            (tmp_path / name).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / name / f'{seed}.png'), image)
    return tmp_path


def saved(path, **options):
    torch.manual_seed(0)
    network = FusionRegister(NetworkConfig(width=8, blocks=1, retention=False, **options))
    config = {'network': {**vars(network.config)}}
    weights.save(path, 'fusion_register', config, network.state_dict())
    return path


def test_the_area_is_the_chance_that_a_displaced_pixel_has_the_larger_value():
    values = torch.tensor([0.1, 0.4, 0.4, 0.9])
    positive = torch.tensor([False, True, False, True])
    # of four pairs three are in order and one is even
    assert area_under_curve(values, positive) == 3.5 / 4
    assert area_under_curve(-values, positive) == 0.5 / 4
    assert area_under_curve(values, torch.ones(4, dtype=torch.bool)) == 0.5


@pytest.mark.parametrize('evidence', [True, False])
def test_one_command_says_what_it_finds_with_and_without_evidence(data, capsys, evidence):
    file = saved(data / 'weights.safetensors', evidence=evidence, compare=True)
    out = data / 'records.json'
    options = ['--split', 'all', '--device', 'cpu', '--weights', str(file), '--json', str(out)]
    assert localisation.main([str(data), '--backbone', 'average', 'max', *options]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert 'M: AUC' in head
    ways = ['withheld', 'given'] if evidence else ['withheld']
    assert [line.split()[:3] for line in lines] == [[b, way, '2'] for b in ('average', 'max') for way in ways]
    records = json.loads(out.read_text())['records']
    assert len(records) == 4 * len(ways)
    assert all(0 <= record['auc'] <= 1 and record['displaced'] > 0 for record in records)


def test_what_is_left_as_it_is_gains_nothing(data, capsys):
    file = saved(data / 'weights.safetensors', evidence=False)
    assert localisation.main([str(data), '--split', 'all', '--device', 'cpu', '--weights', str(file)]) == 0
    _, line = capsys.readouterr().out.splitlines()
    _, _, _, before, after, gain, *_ = line.split()
    assert before == after
    assert float(gain) == 0


def test_pairs_that_were_not_moved_tell_nothing(data, capsys):
    file = saved(data / 'weights.safetensors', evidence=False)
    options = ['--split', 'all', '--device', 'cpu', '--weights', str(file), '--protocol', 'zero']
    assert localisation.main([str(data), *options]) == 1
    assert 'moves no pair' in capsys.readouterr().err


def test_weights_that_are_none_are_refused(data, capsys):
    options = ['--split', 'all', '--weights', str(data / 'missing.safetensors')]
    assert localisation.main([str(data), *options]) == 1
    assert 'cannot be read' in capsys.readouterr().err

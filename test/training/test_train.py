"""The command line of `train`."""

import os
import signal
from pathlib import Path

import cv2
import pytest
import torch
from tiny import Tiny

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.training import checkpoint
from irvis_fusion_ros.training.data import pack
from irvis_fusion_ros.training.recipes import table
from irvis_fusion_ros.training.train import Interruption, main

CONFIG = 'batch: 2\nheight: 40\nwidth: 48\nsave_every: 4\nrecipe: {first: 6, second: 6}\n'


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setitem(table.RECIPES, 'tiny', Tiny)
    monkeypatch.chdir(tmp_path)
    for name in ('ir', 'vi'):
        (tmp_path / 'data' / name).mkdir(parents=True)
    for seed in range(4):
        for name, image in zip(('ir', 'vi'), pair((60, 80), seed), strict=True):
            # far apart: a scene each
            cv2.imwrite(str(tmp_path / 'data' / name / f'{seed * 1000}.png'), image)
    (tmp_path / 'small.yaml').write_text(CONFIG)
    return tmp_path / 'data'


def train(*arguments):
    return main(['tiny', '--config', 'small.yaml', '--device', 'cpu', *map(str, arguments)])


@pytest.mark.slow
def test_a_run_from_a_pack(data, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    assert main(['--pack', 'pack.npz', '--data', str(data)]) == 0
    assert 'wrote pack.npz: 4 pairs (3 train, 1 val)' in capsys.readouterr().out
    assert train('--data', 'pack.npz') == 0
    out = capsys.readouterr().out
    assert '3 pairs to learn from, 1 to watch; step 0 of 12; writing to runs/small' in out
    assert 'done: runs/small/tiny.safetensors' in out
    files = {path.name for path in (tmp_path / 'runs/small').iterdir() if path.name[0] != '.'}
    assert files == {'checkpoint.pt', 'curve.csv', 'curve.png', 'tiny.safetensors'}
    # from the folder it is the same data: the run is over
    assert train('--data', data) == 0
    assert 'step 12 of 12' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(data, tmp_path, monkeypatch, capsys, number):
    handler = signal.getsignal(number)

    class Signalled(Tiny):
        def before_step(self, model, stage, step):
            if stage.name == 'first' and step == 2 and model.training:
                os.kill(os.getpid(), number)

    monkeypatch.setitem(table.RECIPES, 'tiny', Signalled)
    assert train('--data', data) == 128 + number
    assert 'stopped and saved at step 3 of 12; the same command goes on' in capsys.readouterr().out
    assert checkpoint.load(Path('runs/small/checkpoint.pt'), 'tiny').step == 3
    assert signal.getsignal(number) == handler
    assert train('--data', data) == 0
    assert 'step 3 of 12' in capsys.readouterr().out


@pytest.mark.slow
def test_a_second_run_is_kept_out(data, monkeypatch, capsys):
    class Twice(Tiny):
        def before_step(self, model, stage, step):
            if stage.name == 'first' and step == 1 and model.training:
                codes.append(train('--data', data))

    codes = []
    monkeypatch.setitem(table.RECIPES, 'tiny', Twice)
    assert train('--data', data) == 0
    assert codes == [1]
    assert 'runs/small: another run is writing there' in capsys.readouterr().err


def test_time_is_limited(data, capsys):
    assert train('--data', data, '--minutes', '1e-9') == 0
    assert 'stopped and saved at step 1 of 12' in capsys.readouterr().out


def test_a_second_signal_ends_the_process():
    with Interruption() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['magic', '--config', 'small.yaml'], 2, "unknown system 'magic'; valid: "),
        (['tiny'], 2, 'give SYSTEM and --config, or --pack'),
        (['tiny', '--config', 'small.yaml', '--device', 'tpu'], 2, "unknown device 'tpu'"),
        (['tiny', '--config', 'small.yaml', '--minutes', '0'], 2, "'0' is not a number above 0"),
        (['tiny', '--pack', 'p.npz', '--data', 'data'], 2, '--pack goes with --data alone'),
        (['--pack', 'nowhere/p.npz', '--data', 'data'], 2, 'no such folder: nowhere'),
        (['--pack', 'p.npz', '--data', 'nothing'], 1, 'nothing: no such folder'),
        (['tiny', '--config', 'none.yaml'], 1, 'none.yaml: the configuration cannot be read'),
        (['tiny', '--config', 'small.yaml'], 1, 'no training data: give --data'),
        (['tiny', '--config', 'small.yaml', '--data', 'small.yaml'], 1, 'not a training pack'),
    ],
)
def test_clear_errors(data, capsys, arguments, code, message):
    try:
        found = main(arguments)
    except SystemExit as stop:
        found = stop.code
    assert found == code
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error
    assert not Path('p.npz').exists()


def test_a_refused_data_set_is_packed_only_if_it_is_accepted(data, tmp_path, capsys):
    data.rename(tmp_path / 'llvip')
    assert main(['--pack', 'p.npz', '--data', str(tmp_path / 'llvip')]) == 1
    assert 'non-commercial use only' in capsys.readouterr().err
    assert main(['--pack', 'p.npz', '--data', str(tmp_path / 'llvip'), '--accept', 'llvip']) == 0
    assert len(pack.load(Path('p.npz'))) == 4


def test_a_system_that_needs_aligned_pairs_refuses_others(data, capsys):
    assert main(['--pack', 'p.npz', '--data', str(data), '--unaligned']) == 0
    assert train('--data', 'p.npz') == 1
    assert '4 of 4 pairs are as recorded' in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_begins_with_the_weights_that_are_named(data, tmp_path, capsys):
    assert train('--data', data, '--out', 'first') == 0
    (tmp_path / 'still.yaml').write_text(CONFIG.replace('second: 6', 'second: 6, lr: 0'))
    start = ('--start', 'first/tiny.safetensors')
    assert (
        main(
            ['tiny', '--config', 'still.yaml', '--device', 'cpu', '--data', str(data), '--out', 'on', *start]
        )
        == 0
    )
    first, on = (weights.read(Path(folder) / 'tiny.safetensors', 'tiny').state for folder in ('first', 'on'))
    assert all(torch.allclose(first[name], on[name]) for name in first)
    assert main(['busref', '--config', 'still.yaml', '--data', str(data), *start]) == 1

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from tiny import Tiny, TinyConfig

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.training import checkpoint, train
from irvis_fusion_ros.training.config import TrainConfig
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.data.pack import Item
from irvis_fusion_ros.training.recipes import table
from irvis_fusion_ros.training.trainer import Trainer

CONFIG = TrainConfig(
    batch=3, height=40, width=48, log_every=2, save_every=4, validate_every=5, validation_batches=2
)


@pytest.fixture(scope='module')
def sources():
    items = []
    for seed in range(4):
        thermal, visible = pair((60, 80), seed)
        items.append(
            Item(str(seed), str(seed), 'val' if seed == 3 else 'train', thermal, visible[..., 1].copy())
        )
    return tuple(PairSource(items, part) for part in ('train', 'val'))


def trainer(sources, folder, own=TinyConfig(), config=CONFIG, recipe=Tiny, **options):
    folder.mkdir(exist_ok=True)
    return Trainer('tiny', recipe(own), config, sources, folder, 'cpu', **options)


def never():
    return False


def after(steps):
    """Return a `stop` that says so after so many steps."""
    left = iter(range(steps))
    return lambda: next(left, None) == steps - 1


def rows(folder):
    with (folder / 'curve.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_writes_what_it_promises(sources, tmp_path):
    run = trainer(sources, tmp_path)
    assert run.steps == 14
    assert run.run(never, progress=False)
    files = {path.name for path in tmp_path.iterdir()}
    assert files >= {'checkpoint.pt', 'curve.csv', 'tiny.safetensors'}
    found = {(row['stage'], row['series'], int(row['step'])) for row in rows(tmp_path)}
    training = {(step, name) for _, name, step in found if name == 'train/total'}
    assert training == {(step, 'train/total') for step in (2, 4, 6, 8, 10, 12, 14)}
    assert ('first', 'val/known', 5) in found
    assert ('first', 'val/known', 6) in found  # the end of its stage
    assert ('second', 'val/endpoint_error', 10) in found
    assert not any(stage == 'first' and name == 'val/endpoint_error' for stage, name, _ in found)
    for step in (2, 14):
        values = {row['series']: float(row['value']) for row in rows(tmp_path) if row['step'] == str(step)}
        terms = values['train/known'] + values['train/smooth']
        assert values['train/total'] == pytest.approx(terms, rel=1e-4)


@pytest.mark.slow
def test_it_learns(sources, tmp_path):
    run = trainer(sources, tmp_path, TinyConfig(first=60, second=1))
    batch = sources[0].batch(10**6, 16, (40, 48), {'fr': 1})

    def error():
        return float(run._recipe.losses(run.averaged, batch, None)['known'])

    before = error()
    run.run(never, progress=False)
    assert error() < before


@pytest.mark.slow
@pytest.mark.parametrize('steps', [3, 6, 9])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(sources, tmp_path, steps):
    straight = trainer(sources, tmp_path / 'straight')
    straight.run(never, progress=False)
    assert not trainer(sources, tmp_path / 'cut').run(after(steps), progress=False)
    resumed = trainer(sources, tmp_path / 'cut')
    assert resumed.step == steps
    assert resumed.run(never, progress=False)
    assert (tmp_path / 'cut/curve.csv').read_text() == (tmp_path / 'straight/curve.csv').read_text()
    assert same(straight.model.state_dict(), resumed.model.state_dict())
    assert same(straight.averaged.state_dict(), resumed.averaged.state_dict())


@pytest.mark.slow
def test_points_beyond_the_checkpoint_come_again_once(sources, tmp_path):
    # killed between the curve and the checkpoint
    trainer(sources, tmp_path / 'a').run(never, progress=False)
    run = trainer(sources, tmp_path / 'b')
    run.run(after(4), progress=False)
    early = (tmp_path / 'b/checkpoint.pt').read_bytes()
    trainer(sources, tmp_path / 'b').run(after(5), progress=False)
    (tmp_path / 'b/checkpoint.pt').write_bytes(early)
    trainer(sources, tmp_path / 'b').run(never, progress=False)
    assert (tmp_path / 'a/curve.csv').read_text() == (tmp_path / 'b/curve.csv').read_text()


def test_a_stage_trains_what_it_names(sources, tmp_path):
    run = trainer(sources, tmp_path)
    run.run(after(6), progress=False)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.run(never, progress=False)
    changed = {name for name, value in run.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {'head.weight', 'head.bias'}


def test_another_configuration_is_not_resumed_unless_that_is_said(sources, tmp_path):
    trainer(sources, tmp_path).run(after(3), progress=False)
    with pytest.raises(FileError, match=r'started with data 0, not 7; recipe\.second 8, not 20\.'):
        trainer(sources, tmp_path, TinyConfig(second=20), data=7)
    resumed = trainer(sources, tmp_path, TinyConfig(second=20), data=7, changed=True)
    assert (resumed.step, resumed.steps) == (3, 26)


def test_the_checkpoint_of_another_system_is_refused(sources, tmp_path):
    trainer(sources, tmp_path).run(after(2), progress=False)
    with pytest.raises(FileError, match="a checkpoint of system 'tiny', not of 'busref'"):
        checkpoint.load(tmp_path / 'checkpoint.pt', 'busref')


@pytest.mark.parametrize('content', [b'', b'text', 'cut'])
def test_a_damaged_checkpoint_is_refused(sources, tmp_path, content):
    trainer(sources, tmp_path).run(after(2), progress=False)
    path = tmp_path / 'checkpoint.pt'
    path.write_bytes(path.read_bytes()[:-200] if content == 'cut' else content)
    with pytest.raises(FileError, match='not a checkpoint that can be used'):
        trainer(sources, tmp_path)


def test_a_checkpoint_runs_no_code(sources, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'harmed'),)

    torch.save({'format': checkpoint.FORMAT, 'system': Harm()}, tmp_path / 'checkpoint.pt')
    with pytest.raises(FileError, match='not a checkpoint that can be used'):
        trainer(sources, tmp_path)
    assert not (tmp_path / 'harmed').exists()


def test_a_loss_that_is_not_finite_is_skipped_and_then_an_error(sources, tmp_path):
    class Broken(Tiny):
        def losses(self, model, batch, stage):
            return {name: value * torch.nan for name, value in super().losses(model, batch, stage).items()}

    run = trainer(sources, tmp_path, TinyConfig(first=30), recipe=Broken)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    with pytest.raises(FileError, match=r"stage 'first', step 19: no finite gradient .*known nan"):
        run.run(never, progress=False)
    assert same(run.model.state_dict(), before)


def test_a_stage_that_trains_nothing_is_an_error(sources, tmp_path):
    class Wrong(Tiny):
        def stages(self):
            return (type(super().stages()[0])('first', 3, 1e-3, ('hand',)),)

    with pytest.raises(ValueError, match='no parameter has such a name'):
        trainer(sources, tmp_path, recipe=Wrong).run(never, progress=False)


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch):
    for name in ('ir', 'vi'):
        (tmp_path / 'data' / name).mkdir(parents=True)
    for seed in range(5):
        for name, image in zip(('ir', 'vi'), pair((60, 80), seed), strict=True):
            # a scene each: the numbers are far apart
            cv2.imwrite(str(tmp_path / 'data' / name / f'{seed * 1000}.png'), image)
    config = tmp_path / 'run.yaml'
    config.write_text(
        'batch: 2\nheight: 40\nwidth: 48\nlog_every: 3\nsave_every: 7\nvalidate_every: 10\n'
        'recipe: {first: 20, second: 20}\n'
    )
    arguments = ['tiny', '--config', config, '--data', tmp_path / 'data', '--device', 'cpu', '--out']
    arguments = list(map(str, arguments))
    cut, straight = tmp_path / 'cut', tmp_path / 'straight'
    killed = subprocess.run([sys.executable, Path(__file__).parent / 'tiny.py', *arguments, cut])
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint.load(cut / 'checkpoint.pt', 'tiny').step == 21
    monkeypatch.setitem(table.RECIPES, 'tiny', Tiny)
    for folder in (cut, straight):
        assert train.main([*arguments, str(folder)]) == 0
    for name in ('curve.csv', 'tiny.safetensors'):
        assert (cut / name).read_bytes() == (straight / name).read_bytes()

"""scripts/gpu, rehearsed without a GPU."""

import json
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import yaml
from installation import REPOSITORY
from made import item

from irvis_fusion_ros.training.data import pack
from irvis_fusion_ros.training.train import main as train

SCRIPT = REPOSITORY / 'scripts' / 'gpu'
MIB = 1 << 20


@pytest.fixture
def parts(monkeypatch):
    """Let the modules of the script be imported."""
    monkeypatch.syspath_prepend(str(REPOSITORY / 'scripts' / 'gpu_run'))


@pytest.fixture
def bundles(parts):
    import bundles

    return bundles


def run(*options):
    # threads that wait for each other take long where other tests run beside
    environment = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    command = [SCRIPT, '--device', 'cpu', '--quick', *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def verdicts(text):
    """Return the verdict of each check by its name."""
    lines = (line for line in text.splitlines() if line[:4] in ('PASS', 'FAIL', 'SKIP'))
    return {line[6:40].strip(): line[:4] for line in lines}


def test_presets_are_checked_and_timed(tmp_path):
    chosen = ('--preset', 'unregistered', '--preset', 'busref')
    done = run('--out', tmp_path, '--only', 'checks', '--only', 'benchmark', *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    found = verdicts(done.stdout)
    for name in ('unregistered', 'busref'):
        assert [found[f'{name} {check}'] for check in ('single', 'graphs', 'benchmark')] == ['PASS'] * 3
        # where a CPU has half precision it is compared, too; memory is that of a GPU
        assert found[f'{name} half'] in ('PASS', 'SKIP') and found[f'{name} memory'] == 'SKIP'
    timed = json.loads((tmp_path / 'benchmark.json').read_text())
    assert [each['name'] for each in timed] == ['busref', 'unregistered']
    rows = [line.split() for line in done.stdout.splitlines() if '160x128' in line]
    assert [row[:3] for row in rows] == [[name, '160x128', 'cpu'] for name in ('busref', 'unregistered')]
    logged = (tmp_path / 'log.txt').read_text().splitlines()
    assert set(done.stdout.splitlines()) <= set(logged)


def test_training_goes_on_and_comes_home_and_what_fails_stops_nothing(bundles, tmp_path):
    data, config, other, before, resume, out = (
        tmp_path / name for name in ('pack.npz', 'tiny.yaml', 'cnn_wrong.yaml', 'cnn_tiny', 'resume', 'out')
    )
    pack.save(data, [item(0), item(1, 'val')])
    small = {'batch': 1, 'height': 32, 'width': 32, 'validation_batches': 0, 'recipe': {'steps': 6}}
    config.write_text(yaml.safe_dump(small))
    other.write_text('nothing: 1')
    run_of = ['cnn', '--config', str(config), '--data', str(data), '--device', 'cpu']
    # no time at all is one step
    assert train([*run_of, '--minutes', '1e-6', '--out', str(before)]) == 0
    resume.mkdir()
    bundles.pack([before], resume, bundles.Limits(1, MIB, MIB))
    runs = ('--train', f'cnn:{config}', '--train', f'cnn:{other}', '--data', data, '--resume', resume)
    done = run('--out', out, '--only', 'train', *runs)
    assert done.returncode == 1
    assert verdicts(done.stdout) == {'train cnn_tiny': 'PASS', 'train cnn_wrong': 'FAIL'}
    assert 'step 1 to the end of 6' in done.stdout and "unknown key 'nothing'" in done.stdout
    assert '1 PASS, 1 FAIL, 0 SKIP' in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ['cnn_tiny.tar', 'cnn_wrong.tar', 'log.txt']
    with tarfile.open(out / 'cnn_tiny.tar') as tar:
        assert {'cnn.safetensors', 'curve.csv', 'log.txt', 'checkpoint.pt'} <= set(tar.getnames())


@pytest.fixture
def folders(tmp_path):
    """Two runs, with checkpoints of 3 and 1 MiB."""
    for name, size in (('one', 3), ('two', 1)):
        (tmp_path / name).mkdir()
        rng = np.random.default_rng(size)
        (tmp_path / name / 'checkpoint.pt').write_bytes(rng.bytes(size * MIB))
        (tmp_path / name / 'curve.csv').write_text(name)
    return [tmp_path / name for name in ('one', 'two')]


def test_a_large_run_comes_home_in_parts(bundles, folders, tmp_path):
    out, back = tmp_path / 'out', tmp_path / 'back'
    out.mkdir()
    bundles.pack(folders, out, bundles.Limits(files=6, size=2 * MIB, total=8 * MIB))
    assert sorted(path.name for path in out.iterdir()) == ['one.tar.1', 'one.tar.2', 'two.tar']
    assert all(path.stat().st_size <= 2 * MIB for path in out.iterdir())
    for folder in folders:
        (back / folder.name).mkdir(parents=True)
        assert bundles.restore(out, folder.name, back / folder.name)
        for path in folder.iterdir():
            assert (back / folder.name / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize('limits', [(2, 2 * MIB, 8 * MIB), (6, 2 * MIB, 3 * MIB)])
def test_a_checkpoint_without_room_is_left_behind(bundles, folders, tmp_path, limits):
    out, back = tmp_path / 'out', tmp_path / 'back'
    out.mkdir(), back.mkdir()
    first, second = bundles.pack(folders, out, bundles.Limits(*limits))
    assert 'no room for its checkpoint' in first and 'no room' not in second
    assert not bundles.restore(out, 'one', back)
    assert (back / 'curve.csv').read_text() == 'one'


def test_a_difference_counts_where_both_are_inside(parts):
    from checks import compared

    from irvis_fusion_ros.predictor import FusionResult

    def result(shift, gray, outside):
        field = np.full((10, 20, 2), shift, np.float32)
        field[:outside] = np.nan
        fused = np.full((10, 20), gray, np.uint8)
        return FusionResult(fused, None, field, None, 1.0, 'search', np.eye(3), True)

    found = compared([result(0, 7, 1)], [result(3, 5, 2)])
    assert found.field == pytest.approx([18**0.5] * 3) and found.grey == (2, 2, 2)
    assert (found.registered, found.wrong) == (1, 0)

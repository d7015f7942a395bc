import json
from dataclasses import replace

import cv2
import pytest

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.tools.benchmark import main

SMALL = ['--size', '160x120', '--thermal-size', '96x80', '--frames', '3', '--device', 'cpu']


def test_result_file(tmp_path, capsys):
    out = tmp_path / 'bench.json'
    assert main([*SMALL, '--preset', 'gradient-ecc', '--json', str(out)]) == 0
    result = json.loads(out.read_text())
    assert result['size'] == [160, 120]
    assert result['thermal_size'] == [96, 80]
    assert result['frames'] == 3
    for found in (result, result['baseline']):
        for path in ('cold', 'tracked'):
            assert 0 < found[path]['p50_ms'] <= found[path]['p99_ms']
            assert found[path]['processor_ms'] > 0
            assert found[path]['frames_per_second'] == pytest.approx(1e3 / found[path]['mean_ms'])
            assert {'register', 'fuse', 'total'} <= set(found[path]['stages_ms'])
    for path in ('cold', 'tracked'):
        assert result['ratio'][path] == result[path]['p50_ms'] / result['baseline'][path]['p50_ms']
    # the input really is misaligned, by the same amount in every run
    assert 4 < result['baseline']['cold']['endpoint_error_px'] < 12
    assert result['memory']['rss_peak_mib'] >= result['memory']['rss_before_mib'] > 0
    assert result['memory']['gpu_peak_mib'] is None
    assert result['network'] is None
    text = capsys.readouterr().out
    assert 'gradient-ecc cold' in text and 'baseline tracked' in text


@pytest.mark.slow
def test_real_pairs(tmp_path):
    for name in ('ir', 'vi'):
        (tmp_path / name).mkdir()
    thermal, visible = pair((96, 128))
    cv2.imwrite(str(tmp_path / 'ir' / 'a.png'), thermal)
    cv2.imwrite(str(tmp_path / 'vi' / 'a.png'), cv2.resize(visible, (200, 150)))
    out = tmp_path / 'bench.json'
    assert main(['--folder', str(tmp_path), '--frames', '2', '--device', 'cpu', '--json', str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result['preset'], result['size'], result['thermal_size']) == ('classical', [200, 150], [128, 96])
    assert 'endpoint_error_px' not in result['cold']


@pytest.mark.slow
def test_a_backbone_is_counted_and_named(tmp_path, capsys):
    out = tmp_path / 'bench.json'
    assert main([*SMALL, '--preset', 'unregistered', '--backbone', 'max', '--json', str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result['preset'], result['backbone']) == ('unregistered', 'max')
    assert result['network']['parameters'] == 0
    assert 'unregistered (max) on cpu' in capsys.readouterr().out


def test_a_gpu_that_is_given_up_is_not_timed(monkeypatch, capsys):
    predict = Predictor.__call__

    def failing(self, *arguments, **options):
        return replace(predict(self, *arguments, **options), notes=(Note('gpu_failed', 'cuda:0 failed'),))

    monkeypatch.setattr(Predictor, '__call__', failing)
    assert main([*SMALL, '--preset', 'identity']) == 1
    assert 'cuda:0 failed' in capsys.readouterr().err


def test_any_preset_may_be_the_baseline(tmp_path, capsys):
    out = tmp_path / 'bench.json'
    assert main([*SMALL, '--preset', 'identity', '--baseline', 'unregistered', '--json', str(out)]) == 0
    result = json.loads(out.read_text())
    baseline = result['baseline']
    assert (baseline['preset'], baseline['backbone'], baseline['device']) == (
        'unregistered',
        'average',
        'cpu',
    )
    assert result['ratio']['cold'] == result['cold']['p50_ms'] / baseline['cold']['p50_ms']
    assert 'times the baseline (unregistered)' in capsys.readouterr().out


def test_only_the_outputs_asked_for(tmp_path):
    out = tmp_path / 'bench.json'
    assert main([*SMALL, '--preset', 'identity', '--outputs', 'valid', '--json', str(out)]) == 0
    result = json.loads(out.read_text())
    assert result['outputs'] == ['valid']
    assert 'fuse' not in result['cold']['stages_ms']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--preset', 'magic'], "unknown preset 'magic'"),
        (['--baseline', 'magic'], "unknown preset 'magic'"),
        (['--backbone', 'max'], "preset 'classical' has no backbone to choose"),
        (['--device', 'tpu'], "unknown device 'tpu'"),
        (['--size', '640'], "'640' is not WIDTHxHEIGHT"),
        (['--size', '0x4'], "'0x4' is not WIDTHxHEIGHT"),
        (['--size', '16x16'], '--size: thermal image is 16x16; at least 32 a side'),
        (['--frames', '-1'], "'-1' is not a whole number above 0"),
        (['--folder', 'nothing'], 'nothing: no such folder'),
        (['--folder', 'nothing', '--size', '64x64'], 'are for made-up input'),
        (['--json', 'nothing/f.json'], 'no such folder: nothing'),
    ],
)
def test_clear_errors(capsys, arguments, message):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code != 0
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error

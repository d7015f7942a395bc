import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import Rig, pair
from irvis_fusion_ros.evaluation import evaluate, plots
from irvis_fusion_ros.evaluation.evaluate import main
from irvis_fusion_ros.systems import registry


@pytest.mark.slow
def test_a_backbone_is_for_the_presets_that_have_a_choice(data, tmp_path):
    out = tmp_path / 'result.json'
    presets = ['--registration-first', 'none', '--preset', 'unregistered', 'identity', 'identity-max']
    arguments = ['--protocol', 'zero', '--backbone', 'max', '--fusion', '--limit', '1', '--json', str(out)]
    assert main([str(data), *presets, *arguments]) == 0
    result = json.loads(out.read_text())
    assert result['backbone'] == 'max'
    backbone, average, maximum = (record['fusion']['sd'] for record in result['records'])
    assert backbone == pytest.approx(maximum, rel=1e-3)
    assert backbone != pytest.approx(average, rel=1e-3)


def test_command_line(data, tmp_path, capsys):
    out = tmp_path / 'result.json'
    code = main(
        [
            str(data),
            '--preset',
            'identity',
            'gradient-ecc',
            '--protocol',
            'zero',
            'shift5',
            '--json',
            str(out),
        ]
    )
    assert code == 0
    result = json.loads(out.read_text())
    assert [(s['protocol'], s['preset'], s['pairs']) for s in result['summaries']] == [
        ('zero', 'identity', 3),
        ('zero', 'gradient-ecc', 3),
        ('shift5', 'identity', 6),
        ('shift5', 'gradient-ecc', 6),
    ]
    assert len(result['records']) == 18
    still, _, moved, found = result['summaries']
    assert still['endpoint_error']['worst'] == pytest.approx(0, abs=1e-6)
    assert still['ncc'] == pytest.approx(1)
    assert moved['endpoint_error']['mean'] == pytest.approx(5)
    assert moved['consistency'] == pytest.approx(5)
    assert found['endpoint_error']['mean'] < 1
    assert found['mncc'] > 0.97 > moved['mncc']
    tables = capsys.readouterr().out.strip().split('\n\n')
    assert [table.split()[0] for table in tables] == ['protocol', 'protocol', 'bin']
    table = tables[0].splitlines()
    assert len(table) == 5
    assert table[3].split()[:4] == ['shift5', 'identity', '6', '5.00']


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['--preset', 'magic'], 2, "unknown preset 'magic'; valid: classical"),
        (['--backbone', 'max'], 2, "preset 'classical' has no backbone to choose"),
        (['--preset', 'unregistered', '--backbone', 'x'], 2, "unknown backbone 'x'"),
        (['--protocol', 'magic'], 2, "unknown protocol 'magic'; valid: zero"),
        (['--device', 'tpu'], 2, "unknown device 'tpu'"),
        (['--limit', '0'], 2, "'0' is not a whole number above 0"),
        (['--protocol', 'natural'], 1, 'protocol natural needs pairs with a known homography'),
        (['--split', 'val'], 1, '--split all'),
        (['--video', '--protocol', 'natural'], 2, '--video goes with neither'),
        (['--video', '--fusion'], 2, '--video goes with neither'),
        (['--aligned', '--protocol', 'fr'], 2, '--aligned goes with protocol zero alone'),
        (['--json', '/nonexistent/folder/f.json'], 2, 'no such folder: /nonexistent/folder'),
    ],
)
def test_clear_errors(data, capsys, arguments, code, message):
    try:
        found = main([str(data), *arguments])
    except SystemExit as stop:
        found = stop.code
    assert found == code
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error


@pytest.mark.slow
def test_data_that_cannot_be_used(data, tmp_path, capsys):
    assert main([str(tmp_path / 'nothing')]) == 1
    assert 'no such folder' in capsys.readouterr().err
    path = data / 'vi' / '1.png'
    path.write_bytes(path.read_bytes()[:500])
    assert main([str(data), '--protocol', 'fr']) == 1
    assert '1.png: the PNG is cut short' in capsys.readouterr().err
    cv2.imwrite(str(path), np.zeros((20, 20), np.uint8))
    cv2.imwrite(str(data / 'ir' / '1.png'), np.zeros((20, 20), np.uint8))
    assert main([str(data), '--protocol', 'fr']) == 1
    assert "pair '1': thermal image is 20x20; at least 32 a side" in capsys.readouterr().err


def test_all_protocols_that_the_data_allows(data):
    plan, _ = evaluate._parse([str(data), '--protocol', 'all'])
    assert 'elastic_heavy' in plan.protocols
    assert 'natural' not in plan.protocols


@pytest.mark.slow
def test_the_fusion_of_pairs_that_are_told_to_be_aligned(data, tmp_path, capsys):
    out = tmp_path / 'f.json'
    presets = ['--preset', 'identity', 'gradient-ecc']
    assert main([str(data), *presets, '--aligned', '--limit', '2', '--json', str(out)]) == 0
    identity, ecc = json.loads(out.read_text())['summaries']
    # both average, and neither registers
    assert identity['protocol'] == ecc['protocol'] == 'zero'
    assert ecc['endpoint_error']['worst'] == 0
    assert ecc['fusion'] == identity['fusion']
    assert 'Qabf' in capsys.readouterr().out


@pytest.fixture
def videos(tmp_path):
    folder, records = tmp_path / 'videos', []
    (folder / 'ir').mkdir(parents=True)
    (folder / 'vi').mkdir()
    for clip in ('a', 'b'):
        rig = Rig((96, 128), (96, 128), seed=ord(clip))
        for index in (0, 1, 2, 10):
            _, visible = rig.frame(index)
            name = f'{clip}{index}'
            cv2.imwrite(str(folder / 'ir' / f'{name}.png'), cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY))
            cv2.imwrite(str(folder / 'vi' / f'{name}.png'), visible)
            record = {'name': name, 'ir': f'ir/{name}.png', 'vi': f'vi/{name}.png', 'sequence': clip}
            records.append(record)
    (folder / 'pairs.json').write_text(json.dumps(records))
    return folder


def test_videos_under_a_fixed_misalignment(videos, tmp_path, capsys):
    out = tmp_path / 'f.json'
    presets = ['--preset', 'identity', 'gradient-ecc']
    arguments = ['--video', *presets, '--protocol', 'shift5', '--json', str(out)]
    assert main([str(videos), *arguments]) == 0
    result = json.loads(out.read_text())
    assert result['summaries'] == result['records'] == []
    assert [(found['preset'], found['video'], found['warp']) for found in result['videos']] == [
        (preset, clip, sign) for preset in ('identity', 'gradient-ecc') for clip in 'ab' for sign in (0, 1)
    ]
    still, found = result['videos'][0], result['videos'][4]
    assert still['frames'] == 4
    assert still['endpoint_errors'] == pytest.approx([5] * 4)
    assert still['jitter'] == still['wander'] == still['flicker'] == 0
    assert still['excess_change'] > 0
    assert found['endpoint_error'] < 5
    assert found['jitter'] > 0 and found['wander'] > 0 and found['flicker'] > 0
    assert 'jitter px' in capsys.readouterr().out


def test_videos_need_videos(data, capsys):
    assert main([str(data), '--video']) == 1
    assert 'no video in the data set' in capsys.readouterr().err


@pytest.mark.slow
def test_plots(data, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    folder = tmp_path / 'new' / 'plots'
    presets = ['--preset', 'identity', 'gradient-ecc']
    assert main([str(data), *presets, '--protocol', 'fr', '--plots', str(folder)]) == 0
    assert f'wrote {folder / "errors.png"}' in capsys.readouterr().out
    names = {
        'errors.png',
        'scatter.png',
        'confidence.png',
        'pairs_identity_fr.png',
        'pairs_gradient-ecc_fr.png',
    }
    assert {path.name for path in folder.iterdir()} == names
    for name in names:
        image = cv2.imread(str(folder / name))
        assert min(image.shape[:2]) > 200
        assert image.std() > 10


def test_plots_without_matplotlib_say_what_to_install(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plots.importlib.util, 'find_spec', lambda name: None)
    assert main([str(data), '--plots', str(tmp_path / 'plots')]) == 1
    assert 'pip install "irvis_fusion_ros[plots]"' in capsys.readouterr().err
    assert not (tmp_path / 'plots').exists()


@pytest.mark.slow
def test_auto_is_measured_under_the_name_of_what_it_is(data, tmp_path):
    out = tmp_path / 'result.json'
    best = registry.best()
    assert (
        main([str(data), '--preset', 'auto', best, '--protocol', 'zero', '--limit', '1', '--json', str(out)])
        == 0
    )
    assert [record['preset'] for record in json.loads(out.read_text())['records']] == [best]


def test_kept_targets_are_counted(data, tmp_path, capsys):
    boxes, out = tmp_path / 'boxes.json', tmp_path / 'result.json'
    boxes.write_text('{"0": [[20, 20, 40, 50], [60, 30, 70, 44]], "2": [[10, 10, 30, 30]]}')
    presets = ['--preset', 'identity', 'identity-max']
    assert main([str(data), *presets, '--targets', str(boxes), '--json', str(out)]) == 0
    result = json.loads(out.read_text())
    assert [(each['preset'], each['pair'], len(each['targets'])) for each in result['targets']] == [
        ('identity', '0', 2),
        ('identity', '2', 1),
        ('identity-max', '0', 2),
        ('identity-max', '2', 1),
    ]
    pictures = {'visible', 'thermal', 'average', 'max', 'laplacian', 'gaf', 'fused'}
    assert set(result['targets'][0]['targets'][0]['kept']) == pictures
    # the baseline that averages is what is compared with as `average`
    for record in result['targets'][:2]:
        for target in record['targets']:
            assert target['contrast']['fused'] == pytest.approx(target['contrast']['average'], abs=1)
    summary = {each['picture']: each for each in result['target_summaries'] if each['light'] == 'all'}
    assert summary['thermal']['kept_of_thermal'] in (1.0, None)
    assert summary['fused']['targets'] == 3
    assert 'of thermal' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"9": [[1, 1, 9, 9]]}', "'9' is no pair of"),
        ('{"0": [[900, 1, 909, 9]]}', 'lies outside its thermal image'),
        ('[]', 'expected {"PAIR NAME"'),
    ],
)
def test_targets_that_do_not_fit_are_refused(data, tmp_path, capsys, content, message):
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(content)
    assert main([str(data), '--preset', 'identity', '--targets', str(boxes)]) == 1
    assert message in capsys.readouterr().err


def test_a_detector_needs_targets(data, capsys):
    with pytest.raises(SystemExit):
        main([str(data), '--detector', 'd.yaml'])
    assert '--detector needs --targets' in capsys.readouterr().err


@pytest.mark.slow
def test_several_data_sets_each_with_what_its_pairs_allow(data, tmp_path, capsys):
    thermal, visible = pair((120, 160))
    other = tmp_path / 'other'
    for name, image in (('ir', thermal), ('vi', visible)):
        (other / name).mkdir(parents=True)
        cv2.imwrite(str(other / name / 'a.png'), image)
    record = {'name': 'a', 'ir': 'ir/a.png', 'vi': 'vi/a.png', 'H_ir_to_vi': np.eye(3).tolist()}
    (other / 'pairs.json').write_text(json.dumps([record]))
    out = tmp_path / 'several.json'
    protocols = ['--protocol', 'zero', 'natural']
    assert main([str(data), str(other), '--preset', 'identity', *protocols, '--json', str(out)]) == 0
    first, second = json.loads(out.read_text())
    assert {record['protocol'] for record in first['records']} == {'zero'}
    assert {record['protocol'] for record in second['records']} == {'natural'}
    assert str(other) in capsys.readouterr().out

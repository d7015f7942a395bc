import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.io import images
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.tools.fuse_images import main


@pytest.fixture
def folders(tmp_path):
    thermal_dir, visible_dir = tmp_path / 'thermal', tmp_path / 'visible'
    thermal_dir.mkdir()
    visible_dir.mkdir()
    for number in (1, 2, 10):
        thermal, visible = pair((96, 128), seed=number)
        cv2.imwrite(str(thermal_dir / f'frame{number}.png'), thermal)
        cv2.imwrite(str(visible_dir / f'frame{number}.jpg'), visible)
    return thermal_dir, visible_dir


def run(folders, out, *more):
    return main([str(folders[0]), str(folders[1]), str(out), '--device', 'cpu', *more])


@pytest.mark.slow
def test_every_output_is_written(folders, tmp_path):
    out = tmp_path / 'deep' / 'out'
    assert run(folders, out) == 0
    names = ['frame1', 'frame2', 'frame10']
    for folder, suffix in (('fused', 'png'), ('registered', 'png'), ('deformation', 'npy'), ('valid', 'png')):
        assert {path.name for path in (out / folder).iterdir()} == {f'{name}.{suffix}' for name in names}
    fused = images.read(out / 'fused' / 'frame1.png')
    assert (fused.shape, fused.dtype) == ((96, 128, 3), np.uint8)
    deformation = np.load(out / 'deformation' / 'frame1.npy')
    assert (deformation.shape, deformation.dtype) == ((96, 128, 2), np.float32)
    valid = images.read(out / 'valid' / 'frame1.png')
    assert valid.shape == (96, 128)
    assert set(np.unique(valid)) <= {0, 255}
    assert not valid[np.isnan(deformation).any(-1)].any()


@pytest.mark.slow
def test_summary_is_as_documented(folders, tmp_path):
    run(folders, tmp_path / 'out')
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert set(summary) == {'preset', 'device', 'pairs', 'deformation_of'}
    assert (summary['preset'], summary['device']) == (registry.best(), 'cpu')
    assert summary['deformation_of'] == 'thermal'
    assert [entry['name'] for entry in summary['pairs']] == ['frame1', 'frame2', 'frame10']
    for entry in summary['pairs']:
        assert set(entry) == {'name', 'milliseconds', 'confidence', 'cold'}
        assert entry['cold'] is True
        assert entry['milliseconds'] > 0
        assert 0 <= entry['confidence'] <= 1


@pytest.mark.slow
def test_runs_are_equal_to_the_byte(folders, tmp_path):
    for out in ('one', 'two'):
        run(folders, tmp_path / out)
    for path in (tmp_path / 'one').rglob('*.*'):
        if path.name != 'summary.json':
            assert path.read_bytes() == (tmp_path / 'two' / path.relative_to(tmp_path / 'one')).read_bytes()


@pytest.mark.slow
def test_each_pair_is_on_its_own(folders, tmp_path):
    run(folders, tmp_path / 'all')
    for path in (folders[0] / 'frame1.png', folders[0] / 'frame2.png'):
        path.unlink()
    run(folders, tmp_path / 'last')
    for name in ('fused/frame10.png', 'deformation/frame10.npy'):
        assert (tmp_path / 'all' / name).read_bytes() == (tmp_path / 'last' / name).read_bytes()


@pytest.mark.slow
def test_depth_is_kept(tmp_path):
    thermal_dir, visible_dir = tmp_path / 't', tmp_path / 'v'
    thermal_dir.mkdir()
    visible_dir.mkdir()
    thermal, visible = pair((96, 128))
    deep = thermal.astype(np.uint16) * 40 + 7000
    cv2.imwrite(str(thermal_dir / 'deep.png'), deep)
    cv2.imwrite(str(thermal_dir / 'float.tiff'), deep.astype(np.float32) / 100)
    cv2.imwrite(str(thermal_dir / 'colour.png'), cv2.applyColorMap(thermal, cv2.COLORMAP_JET))
    for name in ('deep', 'float', 'colour'):
        # another size and aspect, gray, than the thermal image
        cv2.imwrite(str(visible_dir / f'{name}.tif'), cv2.resize(visible[..., 1], (201, 111)))
    assert run((thermal_dir, visible_dir), tmp_path / 'out') == 0
    registered = images.read(tmp_path / 'out' / 'registered' / 'deep.png')
    assert (registered.shape, registered.dtype) == ((111, 201), np.uint16)
    values = registered[registered > 0]
    assert deep.min() <= values.min() and values.max() <= deep.max()
    assert images.read(tmp_path / 'out' / 'registered' / 'float.tiff').dtype == np.float32
    assert images.read(tmp_path / 'out' / 'registered' / 'colour.png').shape == (111, 201, 3)
    assert images.read(tmp_path / 'out' / 'fused' / 'deep.png').shape == (111, 201)


@pytest.mark.slow
def test_sequence_is_processed_as_video_in_natural_order(folders, tmp_path):
    thermal, visible = pair((96, 128), seed=1)
    for number in (1, 2, 10):
        cv2.imwrite(str(folders[0] / f'frame{number}.png'), thermal)
        cv2.imwrite(str(folders[1] / f'frame{number}.jpg'), visible)
    assert run(folders, tmp_path / 'out', '--sequence') == 0
    entries = json.loads((tmp_path / 'out' / 'summary.json').read_text())['pairs']
    assert [entry['name'] for entry in entries] == ['frame1', 'frame2', 'frame10']
    assert entries[0]['cold'] is True


def test_calibration_replaces_the_search(folders, tmp_path):
    rig = tmp_path / 'rig.yaml'
    rig.write_text('matrix: [1, 0, 6, 0, 1, -3, 0, 0, 1]\nthermal_size: [128, 96]\nvisible_size: [128, 96]\n')
    assert run(folders, tmp_path / 'out', '--calibration', str(rig)) == 0
    deformation = np.load(tmp_path / 'out' / 'deformation' / 'frame1.npy')
    np.testing.assert_allclose(deformation[10:-10, 10:-10], np.broadcast_to((-6, 3), (76, 108, 2)), atol=1e-4)


def test_a_backbone_is_chosen_and_said(folders, tmp_path):
    fused = {}
    for backbone in ('', 'average', 'max'):
        out = tmp_path / f'out{backbone}'
        chosen = ['--backbone', backbone] if backbone else []
        alone = ['--preset', 'unregistered', '--registration-first', 'none']
        assert run(folders, out, *alone, *chosen) == 0
        assert json.loads((out / 'summary.json').read_text())['backbone'] == (backbone or 'average')
        fused[backbone] = images.read(out / 'fused' / 'frame1.png')
        assert not np.load(out / 'deformation' / 'frame1.npy').any()
    assert np.array_equal(fused[''], fused['average'])
    assert (fused['max'] > fused['average']).mean() > 0.5


@pytest.mark.slow
def test_auto_is_resolved_and_said(folders, tmp_path):
    best = registry.best()
    assert run(folders, tmp_path / 'auto') == 0
    assert json.loads((tmp_path / 'auto' / 'summary.json').read_text())['preset'] == best
    assert run(folders, tmp_path / 'best', '--preset', best) == 0
    assert run(folders, tmp_path / 'first', '--preset', 'unregistered') == 0
    summary = json.loads((tmp_path / 'first' / 'summary.json').read_text())
    assert summary['registration_first'] == best
    fields = [np.load(tmp_path / out / 'deformation' / 'frame2.npy') for out in ('auto', 'best', 'first')]
    assert np.array_equal(fields[0], fields[1], equal_nan=True)
    # registered first by the same system, it is registered alike
    assert np.array_equal(fields[0], fields[2], equal_nan=True)


@pytest.mark.slow
def test_unpaired_files_are_listed_and_counted(folders, tmp_path, capsys):
    (folders[1] / 'frame2.jpg').rename(folders[1] / 'other.jpg')
    assert run(folders, tmp_path / 'out') == 0
    text = capsys.readouterr()
    assert '2 file(s) without a partner' in text.err
    assert 'frame2.png' in text.err and 'other.jpg' in text.err
    assert '2 pair(s) fused' in text.out and '2 unpaired' in text.out


@pytest.mark.slow
def test_a_broken_file_is_named_and_the_rest_goes_on(folders, tmp_path, capsys):
    path = folders[1] / 'frame2.jpg'
    path.write_bytes(path.read_bytes()[:1000])
    cv2.imwrite(str(folders[0] / 'frame1.png'), np.zeros((1, 1), np.uint8))
    assert run(folders, tmp_path / 'out') == 1
    text = capsys.readouterr()
    assert 'frame2.jpg: the JPEG is cut short' in text.err
    assert 'frame1.png' in text.err and '1x1; at least 32 a side' in text.err
    assert '1 pair(s) fused' in text.out and '2 skipped' in text.out
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert [entry['name'] for entry in summary['pairs']] == ['frame10']


def test_what_the_predictor_notes_is_said_with_the_pairs(folders, tmp_path, capsys):
    for name in ('frame1', 'frame10'):
        cv2.imwrite(str(folders[0] / f'{name}.png'), np.zeros((96, 128), np.uint8))
    assert run(folders, tmp_path / 'out', '--targets', 'off') == 0
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if 'thermal image is black' in line]
    assert line.startswith('fuse_images: 2 pair(s): ') and line.endswith('(frame1, frame10)')


def test_folders_that_are_exchanged_are_told(folders, tmp_path, capsys):
    assert run(folders[::-1], tmp_path / 'out', '--targets', 'off') == 0
    assert 'are the cameras exchanged?' in capsys.readouterr().err
    assert run(folders, tmp_path / 'right', '--targets', 'off') == 0
    assert 'exchanged' not in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--preset', 'magic'], "unknown preset 'magic'; valid: classical"),
        (['--device', 'tpu'], "unknown device 'tpu'"),
        (['--preset', 'classical', '--backbone', 'max'], "preset 'classical' has no backbone to choose"),
        (['--preset', 'unregistered', '--backbone', 'mmdr'], "unknown backbone 'mmdr'; valid: average, max"),
        (['--calibration', 'none.yaml'], 'none.yaml: calibration file cannot be read'),
    ],
)
def test_clear_errors(folders, tmp_path, capsys, arguments, message):
    try:
        code = run(folders, tmp_path / 'out', *arguments)
    except SystemExit as stop:
        code = stop.code
    assert code != 0
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error


def test_folders_that_cannot_be_used(folders, tmp_path, capsys):
    out = tmp_path / 'out'
    (tmp_path / 'empty').mkdir()
    for thermal_dir, message in (('empty', 'no image in it'), ('missing', 'no such folder')):
        assert run((tmp_path / thermal_dir, folders[1]), out) == 1
        assert message in capsys.readouterr().err
    for path in folders[0].iterdir():
        path.rename(path.with_name(f'x{path.name}'))
    assert run(folders, out) == 1
    assert 'has the stem of a file of' in capsys.readouterr().err
    assert run((folders[1], folders[1]), out) == 1
    assert 'share a stem or fit a pattern' in capsys.readouterr().err
    (folders[0] / 'frame1.png').write_bytes((folders[0] / 'xframe1.png').read_bytes())
    (tmp_path / 'file').write_text('')
    assert run(folders, tmp_path / 'file') == 1
    assert 'file' in capsys.readouterr().err


def test_pairs_of_one_folder_and_of_a_list(folders, tmp_path, capsys):
    for path in folders[0].iterdir():
        path.rename(folders[1] / f'{path.stem}_T.png')
    for path in list(folders[1].glob('*.jpg')):
        path.rename(path.with_name(f'{path.stem}_W.jpg'))
    one = (folders[1], folders[1])
    assert run(one, tmp_path / 'out') == 0
    assert (tmp_path / 'out' / 'fused' / 'frame10.png').exists()
    assert '3 pair(s) fused' in capsys.readouterr().out
    (tmp_path / 'list.txt').write_text('frame1_T.png, frame2_W.jpg\n')
    assert run(one, tmp_path / 'listed', '--pairs', str(tmp_path / 'list.txt')) == 0
    assert (tmp_path / 'listed' / 'fused' / 'frame1_T.png').exists()
    with pytest.raises(SystemExit):
        run(one, tmp_path / 'both', '--pairs', 'list.txt', '--pattern', '*_T:*_W')
    (tmp_path / 'a.mp4').write_bytes(b'video')
    assert run((tmp_path / 'a.mp4', folders[1]), tmp_path / 'out') == 1
    assert 'the other one is a video' in capsys.readouterr().err


def test_a_region_of_interest_is_used_or_refused_by_name(folders, tmp_path, capsys):
    out = tmp_path / 'out'
    assert run(folders, out, '--thermal-roi', '0,0,64,48', '--visible-roi', '0,0,64,48') == 0
    valid = images.read(out / 'valid' / 'frame1.png')
    assert valid.any() and not valid[48:].any() and not valid[:, 64:].any()
    with pytest.raises(SystemExit):
        run(folders, out, '--visible-roi', '0,0,64')
    assert "--visible-roi: '0,0,64' must be four whole numbers" in capsys.readouterr().err
    assert run(folders, out, '--visible-roi', '0,0,640,480') == 1
    assert "'visible.roi' is [0, 0, 640, 480]: it has to lie within" in capsys.readouterr().err

"""calibrate: folders and bags in, a calibration file and a report out."""

import cv2
import numpy as np
import pytest

from irvis_fusion_ros import calibration
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.geometry.turn import to_turned
from irvis_fusion_ros.offline import recording
from irvis_fusion_ros.tools import calibrate, fuse_images, make_bag

SHAPE = (192, 256)
RIG = KnownWarp(SHAPE, affine_about_centre(SHAPE, 2, 1.05, 0, (6, -4)))


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('flight')
    for name in ('thermal', 'visible'):
        (root / name).mkdir()
    for seed in range(6):
        thermal, visible = pair(SHAPE, seed)
        cv2.imwrite(str(root / 'thermal' / f'{seed}.png'), RIG.move(thermal))
        cv2.imwrite(str(root / 'visible' / f'{seed}.png'), visible)
    return root


def error(path):
    rig = calibration.load(path)
    y, x = np.mgrid[40:150, 60:200]
    points = np.stack([x, y], -1).astype(float)
    found = points + rig.alignment(SHAPE, SHAPE).deformation(SHAPE)[y, x]
    return np.linalg.norm(RIG(found) - points, axis=-1).mean()


@pytest.mark.slow
def test_folders_and_a_bag_give_the_rig_and_a_report(folders, tmp_path, capsys):
    inputs = [str(folders / 'thermal'), str(folders / 'visible')]
    assert calibrate.main([*inputs, '--out', str(tmp_path / 'rig.yaml')]) == 0
    assert error(tmp_path / 'rig.yaml') < 0.6
    told = capsys.readouterr().out
    assert 'calibration.refine: true' in told and 'rig.html' in told
    assert '<html' in (tmp_path / 'rig.html').read_text()

    assert make_bag.main([*inputs, str(tmp_path / 'bag'), '--rate', '10']) == 0
    out = tmp_path / 'of bag.yaml'
    assert (
        calibrate.main([str(tmp_path / 'bag'), '--out', str(out), '--report', str(tmp_path / 'r.html')]) == 0
    )
    assert error(out) < 0.6
    told = capsys.readouterr()
    assert 'sync.tolerance' in told.out and 'sync.thermal_offset' not in told.out
    assert 'the clock offset cannot be told' in told.err

    assert fuse_images.main([*inputs, str(tmp_path / 'out'), '--calibration', str(out), '--refine']) == 0
    field = np.load(tmp_path / 'out' / 'deformation' / '3.npy')[40:150, 60:200]
    y, x = np.mgrid[40:150, 60:200]
    points = np.stack([x, y], -1).astype(float)
    assert np.linalg.norm(RIG(points + field) - points, axis=-1).mean() < 0.6


@pytest.mark.slow
@pytest.mark.parametrize('turn', ['180', '90'])
def test_a_thermal_camera_that_is_mounted_turned_is_used_as_it_is(folders, tmp_path, turn):
    (tmp_path / 'thermal').mkdir()
    back = {'180': cv2.ROTATE_180, '90': cv2.ROTATE_90_COUNTERCLOCKWISE}[turn]
    for path in (folders / 'thermal').iterdir():
        cv2.imwrite(str(tmp_path / 'thermal' / path.name), cv2.rotate(cv2.imread(str(path), -1), back))
    inputs, out = [str(tmp_path / 'thermal'), str(folders / 'visible')], tmp_path / 'rig.yaml'
    assert calibrate.main([*inputs, '--out', str(out), '--turn-thermal', turn]) == 0
    shape = SHAPE if turn == '180' else SHAPE[::-1]
    assert calibration.load(out).thermal_shape == shape
    fused = [*inputs, str(tmp_path / 'out'), '--calibration', str(out), '--refine', '--targets', 'off']
    assert fuse_images.main(fused) == 0
    y, x = np.mgrid[40:150, 60:200]
    points = np.stack([x, y], -1).astype(float)
    at = points + np.load(tmp_path / 'out' / 'deformation' / '3.npy')[40:150, 60:200]
    upright = transform.apply(to_turned(turn, shape) @ transform.stretch(SHAPE, shape), at)
    assert np.linalg.norm(RIG(upright) - points, axis=-1).mean() < 0.6


def test_what_shows_no_rig_is_one_line_and_a_report(tmp_path, capsys):
    for name in ('t', 'v'):
        (tmp_path / name).mkdir()
        for number in range(3):
            cv2.imwrite(str(tmp_path / name / f'{number}.png'), np.full((64, 64), 99, np.uint8))
    out = tmp_path / 'rig.yaml'
    assert calibrate.main([str(tmp_path / 't'), str(tmp_path / 'v'), '--out', str(out)]) == 1
    told = capsys.readouterr().err
    assert 'no rig was found in 3 pairs' in told and 'at least 5 are needed' in told
    assert not out.exists() and out.with_suffix('.html').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(['none'], 'none'), (['none', 'nothing'], 'none'), (['a', 'b', 'c'], 'one bag, or a thermal')],
)
def test_inputs_that_are_none_are_named(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = calibrate.main([*arguments, '--out', 'rig.yaml'])
    except SystemExit as ended:
        code = ended.code
    assert code and message in capsys.readouterr().err


def test_refine_needs_a_calibration(tmp_path, capsys):
    with pytest.raises(SystemExit):
        fuse_images.main([str(tmp_path), str(tmp_path), str(tmp_path / 'out'), '--refine'])
    assert '--refine needs --calibration' in capsys.readouterr().err


def test_two_videos_of_different_rates_have_the_times_of_the_thermal_one(tmp_path):
    for name, count, rate in (('t', 6, 5), ('v', 30, 25)):
        video = cv2.VideoWriter(
            str(tmp_path / f'{name}.avi'), cv2.VideoWriter_fourcc(*'MJPG'), rate, (64, 48)
        )
        for number in range(count):
            video.write(np.full((48, 64, 3), 10 * number % 255, np.uint8))
        video.release()
    inputs = [tmp_path / 't.avi', tmp_path / 'v.avi']
    source = recording.opened(inputs, {}, None, None, None, print)
    times = []
    for _ in source.images(lambda camera, image, time: times.append((camera, round(time, 6)))):
        pass
    expected = [number / 5 for number in range(6)]
    assert [time for camera, time in times if camera == 'thermal'] == expected
    assert source.seconds == pytest.approx(1.0)

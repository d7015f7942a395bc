"""make_flight: the bag holds what the flight is, and errors leave nothing behind."""

import functools
import json
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import Writer

from irvis_fusion_ros.flight import Flight, FlightConfig, world
from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.tools import make_flight

SMALL = ['--size', '161x129', '--thermal-size', '100x81', '--seconds', '1', '--rate', '5', '--workers', '1']
OPTIONS = {'width': 161, 'height': 129, 'thermal_width': 100, 'thermal_height': 81, 'seconds': 1, 'rate': 5}


@pytest.fixture(autouse=True)
def one_village(monkeypatch):
    """Build the village once: it takes seconds, and depends on nothing that differs here."""
    monkeypatch.setattr(world, 'build', _built)


@functools.cache
def _village():
    return _build(FlightConfig(**OPTIONS))


_build = world.build


def _built(config):
    assert (config.seed, config.time, config.width) == (0, 'day', OPTIONS['width'])
    return _village()


@pytest.mark.slow
@pytest.mark.parametrize(('storage', 'depth'), [('mcap', 16), ('sqlite3', 8)])
def test_the_bag_holds_the_flight(tmp_path, capsys, storage, depth):
    out = tmp_path / 'flight'
    options = [
        '--no-shutter',
        '--format',
        storage,
        '--thermal-depth',
        str(depth),
        '--thermal-latency',
        '0.05',
    ]
    assert make_flight.main([str(out), *SMALL, *options]) == 0
    assert '5  /visible/image_raw' in capsys.readouterr().out
    assert list(out.glob({'mcap': '*.mcap', 'sqlite3': '*.db3'}[storage]))
    config = FlightConfig(**OPTIONS, shutters=0, thermal_depth=depth, thermal_latency=0.05)
    flight = Flight(config)
    expected = list(flight.shots())
    with BagReader(out) as bag:
        assert {t.name: t.count for t in bag.topics.values()} == {
            '/thermal/image_raw': 5, '/thermal/camera_info': 5, '/visible/image_raw': 5,
            '/visible/camera_info': 5, '/truth/deformation': 2,
        }  # fmt: skip
        images = {topic: list(bag.images(topic)) for topic in ('/thermal/image_raw', '/visible/image_raw')}
        truths = {image.stamp: image for image in bag.images('/truth/deformation')}
        infos = [bag.decode(record) for record in bag.records(['/thermal/camera_info'])]
    for camera in ('thermal', 'visible'):
        shots = [s for s in expected if s.exposure.camera == camera]
        for recorded, shot in zip(images[f'/{camera}/image_raw'], shots, strict=True):
            assert recorded.stamp == shot.exposure.stamp
            assert recorded.time == shot.exposure.recorded
            assert recorded.frame_id == f'{camera}_optical_frame'
            np.testing.assert_array_equal(recorded.image, shot.image)
            if shot.truth is not None:
                assert truths[recorded.stamp].encoding == '32FC2'
                assert truths[recorded.stamp].frame_id == 'visible_optical_frame'
                np.testing.assert_array_equal(truths[recorded.stamp].image, shot.truth)
    assert images['/thermal/image_raw'][0].encoding == {16: 'mono16', 8: 'mono8'}[depth]
    assert images['/visible/image_raw'][0].encoding == 'bgr8'
    for info, image in zip(infos, images['/thermal/image_raw'], strict=True):
        assert info.header.stamp.nanosec == image.stamp % 1_000_000_000
        assert (info.width, info.height) == (100, 81)
        np.testing.assert_allclose(info.k.reshape(3, 3), flight.rig.thermal.matrix)
    noted = yaml.safe_load((out / 'metadata.yaml').read_text())['rosbag2_bagfile_information']['custom_data']
    assert FlightConfig(**json.loads(noted['irvis_flight'])) == config


def test_a_rig_is_flown_as_it_is_described(tmp_path):
    out = tmp_path / 'flight'
    options = [
        '--rig',
        'baseline=0.2,clock=0.04,thermal_k1=-0.2,zoom=0.5:1.5',
        '--altitude',
        '20..60',
        '--no-shutter',
    ]
    options += ['--thermal', 'blur=1,polarity=black_hot', '--thermal-depth', '8']
    assert make_flight.main([str(out), *SMALL, *options]) == 0
    numbers = json.loads((out / 'rig.json').read_text())
    assert numbers['clock'] == 0.04
    assert numbers['before']['centre'][0] == 0.2
    assert numbers['zooms'] == [[0.5, 1.5]]
    with BagReader(out) as bag:
        stamps = {
            camera: [i.stamp for i in bag.images(f'/{camera}/image_raw')] for camera in ('visible', 'thermal')
        }
        visible = [bag.decode(record).k[0] for record in bag.records(['/visible/camera_info'])]
        (lens,) = {tuple(bag.decode(record).d) for record in bag.records(['/thermal/camera_info'])}
    late = np.subtract(stamps['thermal'], stamps['visible']) / 1e9
    np.testing.assert_allclose(late, 0.04, atol=0.01)
    np.testing.assert_allclose(np.array(visible) / visible[0], [1, 1, 1, 1.5, 1.5])
    assert lens[0] == -0.2
    noted = yaml.safe_load((out / 'metadata.yaml').read_text())['rosbag2_bagfile_information']['custom_data']
    config = FlightConfig(**json.loads(noted['irvis_flight']))
    assert (config.altitude, config.altitude_to, config.thermal_blur) == (20, 60, 1)
    assert config.thermal_polarity == 'black_hot'


def test_an_existing_bag_is_replaced_only_by_force(tmp_path, capsys):
    out = tmp_path / 'flight'
    assert make_flight.main([str(out), *SMALL, '--seconds', '0.3']) == 0
    assert make_flight.main([str(out), *SMALL]) == 1
    assert '--force replaces it' in capsys.readouterr().err
    assert make_flight.main([str(out), *SMALL, '--seconds', '0.5', '--force']) == 0
    with BagReader(out) as bag:
        assert bag.topics['/visible/image_raw'].count == 3


def test_force_never_removes_what_is_no_bag(tmp_path, capsys):
    (tmp_path / 'thesis.txt').write_text('years of work')
    assert make_flight.main([str(tmp_path), *SMALL, '--force']) == 1
    assert 'not a bag' in capsys.readouterr().err
    assert (tmp_path / 'thesis.txt').exists()


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['--size', '640'], "'640' is not WIDTHxHEIGHT"),
        (['--size', '16x16'], "'width' is 16"),
        (['--seconds', '0'], "'seconds' is 0"),
        (['--time', 'noon'], "invalid choice: 'noon'"),
        (['--rig', 'clck=1'], "--rig: unknown key 'clck'; valid: baseline,"),
        (['--rig', 'clock=20'], "'clock' is 20.0: must be at most 10 s"),
        (['--altitude', 'low'], "'low' is not a height or LOW..HIGH"),
        (['--altitude', '60..8'], "'altitude_to' is 8: must be at least 'altitude'"),
        (['--format', 'bag'], "invalid choice: 'bag'"),
    ],
)
def test_wrong_usage_says_what_is_wrong(tmp_path, capsys, arguments, text):
    with pytest.raises(SystemExit) as stopped:
        make_flight.main([str(tmp_path / 'flight'), *arguments])
    assert stopped.value.code == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / 'flight').exists()


def test_ctrl_c_leaves_no_half_bag(tmp_path, capsys, monkeypatch):
    def stop(self, workers):
        yield next(iter(shots(self)))
        raise KeyboardInterrupt

    shots = Flight.shots
    monkeypatch.setattr(Flight, 'shots', stop)
    assert make_flight.main([str(tmp_path / 'flight'), *SMALL]) == 130
    assert 'nothing written' in capsys.readouterr().err
    assert not (tmp_path / 'flight').exists()


@pytest.mark.parametrize('problem', [OSError(28, 'No space left'), sqlite3.OperationalError('full')])
def test_a_full_disk_is_said_in_one_line_and_leaves_no_half_bag(tmp_path, capsys, monkeypatch, problem):
    def fail(self, *message):
        raise problem

    monkeypatch.setattr(Writer, 'write', fail)
    assert make_flight.main([str(tmp_path / 'flight'), *SMALL]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"make_flight: cannot write the bag at '{tmp_path / 'flight'}': ")
    assert not (tmp_path / 'flight').exists()


@pytest.mark.slow
def test_it_runs_as_a_program_with_processes_of_its_own(tmp_path):
    out = tmp_path / 'flight.db3'
    done = subprocess.run(
        [sys.executable, '-m', 'irvis_fusion_ros.tools.make_flight', out, *SMALL[:-2], '--workers', '2'],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert 'flying: 100%' in done.stderr
    with BagReader(out) as bag:
        assert bag.topics['/visible/image_raw'].count == 5

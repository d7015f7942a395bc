"""A bag fused into a bag: the same every time, whoever was killed in between, and nothing lost unsaid."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from flights import CONFIG, SHAPE, START, STEP, contents, run, write
from rosbags.rosbag2 import Reader

from irvis_fusion_ros import calibration
from irvis_fusion_ros.calibration import Calibration, ClockOffset
from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io import bags, encodings
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.ros.options import CalibrationConfig, SyncConfig


def images(path, topic):
    with bags.BagReader(path) as bag:
        return list(bag.images(topic))


def test_what_comes_out_is_what_the_predictor_makes_of_the_pairs(tmp_path):
    source = write(tmp_path / 'in', lost=(4,))
    summary, said = run(source, tmp_path / 'out')
    assert not said
    numbers = [number for number in range(12) if number != 4]
    assert [pair['name'] for pair in summary['pairs']] == [str(START + number * STEP) for number in numbers]
    assert (summary['pairs_in'], summary['drops']) == (11, {'no_partner': 1})
    assert summary['images_in'] == {'thermal': 12, 'visible': 11}
    predictor = Predictor('classical', 'cpu')
    predictor.warm_up()
    thermal, visible = images(source, '/thermal/image_raw'), images(source, '/visible/image_raw')
    made = {
        name: images(tmp_path / 'out', topic)
        for name, topic in (
            ('fused', '/fused/image'),
            ('registered', '/registered/image'),
            ('deformation', '/deformation/image'),
            ('valid', '/valid_mask/image'),
        )
    }
    for at, number in enumerate(numbers):
        result = predictor(thermal[number].image, visible[at].image)
        for name, found in made.items():
            np.testing.assert_array_equal(found[at].image, getattr(result, name))
            assert (found[at].stamp, found[at].frame_id) == (visible[at].stamp, 'rgb')
    kinds = {name: found[0].encoding for name, found in made.items()}
    assert kinds == {'fused': 'bgr8', 'registered': 'mono16', 'deformation': '32FC2', 'valid': 'mono8'}
    with bags.BagReader(tmp_path / 'out') as bag:
        for topic in ('/fused/camera_info', '/registered/camera_info'):
            infos = [bag.decode(record) for record in bag.records([topic])]
            assert [info.width for info in infos] == [SHAPE[1]] * 11
            assert bags.to_nanoseconds(infos[3].header.stamp) == START + 3 * STEP


@pytest.mark.parametrize(('storage', 'stops'), [('mcap', (3, 20, 45)), ('sqlite3', (38,))])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path, storage, stops):
    source = write(tmp_path / 'in', lost=(2, 7), thermal_shape=(60, 80))
    options = {'copy': ('/other',), 'storage': storage, 'part_bytes': 150_000}
    whole, _ = run(source, tmp_path / 'one' / 'out', **options)
    assert whole['drops'] == {'no_partner': 2, 'format_change': 1}
    parts = [name for name in contents(tmp_path / 'one' / 'out') if not name.endswith('.yaml')]
    assert len(parts) > 3
    for stop in stops:
        out = tmp_path / str(stop) / 'out'
        run(source, out, stop_after=stop, **options)
        again, _ = run(source, out, resume=True, **options)
        assert contents(out) == contents(tmp_path / 'one' / 'out')
        for key in ('pairs_in', 'images_in', 'drops'):
            assert again[key] == whole[key]
        assert [pair['confidence'] for pair in again['pairs']] == [
            pair['confidence'] for pair in whole['pairs']
        ]


def test_the_clock_offset_of_the_calibration_file_is_used_unless_there_is_a_parameter(tmp_path):
    source = write(tmp_path / 'in')

    def fused(name, of_file, parameter):
        rig = Calibration(np.eye(3), SHAPE, SHAPE, clock=of_file and ClockOffset(of_file, 0.001))
        calibration.save(rig, tmp_path / f'{name}.yaml')
        config = replace(
            CONFIG,
            calibration=CalibrationConfig('file', str(tmp_path / f'{name}.yaml')),
            sync=SyncConfig(thermal_offset=parameter),
        )
        summary, _ = run(source, tmp_path / name / 'out', config=config)
        return summary['pairs_in'], contents(tmp_path / name / 'out')

    given = fused('given', None, 0.2)
    assert given[0] == 10
    assert fused('of_file', 0.2, 0.0) == given
    assert fused('both', -0.4, 0.2) == given
    assert fused('neither', None, 0.0)[0] == 12


def test_what_is_finished_is_a_bag_before_all_is(tmp_path):
    source = write(tmp_path / 'in')
    run(source, tmp_path / 'out', stop_after=30, part_bytes=150_000)
    with bags.BagReader(tmp_path / 'out') as bag:
        assert 0 < bag.topics['/fused/image'].count < 10
        assert len(list(bag.records())) == bag.count


def test_the_files_are_a_bag_for_other_readers(tmp_path):
    run(write(tmp_path / 'in'), tmp_path / 'out', copy=('/other',))
    stated = yaml.safe_load((tmp_path / 'out' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert stated['version'] == 8 and len(stated['relative_file_paths']) == len(stated['files']) > 1
    with Reader(tmp_path / 'out') as reader:
        assert reader.message_count == stated['message_count'] == 12 * 7
        assert sum(1 for _ in reader.messages()) == 12 * 7


def test_images_that_cannot_be_used_are_counted_and_said_once(tmp_path):
    summary, said = run(write(tmp_path / 'in', broken=(3, 5)), tmp_path / 'out')
    assert summary['drops'] == {'too_small': 2, 'no_partner': 2}
    assert [text for text in said if '20x20' in text] == said and len(said) == 1


def test_a_system_that_corrects_the_fused_image_says_how(tmp_path):
    run(write(tmp_path / 'in', count=2), tmp_path / 'out', config=replace(CONFIG, preset='fusion_register'))
    for topic, encoding in (('deformation_fused', '32FC2'), ('misregistration', '32FC1')):
        assert [each.encoding for each in images(tmp_path / 'out', f'/{topic}/image')] == [encoding] * 2


def test_only_what_is_asked_for_is_written(tmp_path):
    run(write(tmp_path / 'in'), tmp_path / 'out', outputs=('fused',))
    with bags.BagReader(tmp_path / 'out') as bag:
        assert set(bag.topics) == {'/fused/image', '/fused/camera_info'}


def test_a_run_goes_on_with_the_same_task_only(tmp_path, monkeypatch):
    source = write(tmp_path / 'in')
    run(source, tmp_path / 'out', stop_after=30, part_bytes=150_000)
    with pytest.raises(BagError, match='exists already'):
        run(source, tmp_path / 'out')
    with pytest.raises(BagError, match='was begun with another'):
        run(source, tmp_path / 'out', resume=True, config=replace(CONFIG, output_encoding='mono8'))
    with monkeypatch.context() as other, pytest.raises(BagError, match='another version'):
        other.setattr('irvis_fusion_ros.offline.run.__version__', '0.0.1')
        run(source, tmp_path / 'out', resume=True, part_bytes=150_000)
    (tmp_path / 'out' / 'out_0.mcap').unlink()
    with pytest.raises(BagError, match=r"'out_0\.mcap' is missing"):
        run(source, tmp_path / 'out', resume=True, part_bytes=150_000)


def test_parameters_of_the_node_are_kept_to(tmp_path):
    source = write(tmp_path / 'in')
    config = replace(CONFIG, output_encoding='mono8', sync=SyncConfig(tolerance=0.001))
    summary, _ = run(source, tmp_path / 'far', config=config)
    assert (summary['pairs_in'], summary['drops']) == (0, {'no_partner': 24})
    config = replace(CONFIG, output_encoding='mono8', sync=SyncConfig(thermal_offset=-0.003))
    summary, _ = run(source, tmp_path / 'near', config=config)
    assert summary['pairs_in'] == 12
    assert images(tmp_path / 'near', '/fused/image')[0].encoding == 'mono8'


@pytest.mark.parametrize(
    ('thermal', 'visible'),
    [
        ('16SC1', 'yuv422'),
        ('64FC1', 'bayer_rggb8'),
        ('mono16', 'nv12'),
        ('8UC1', 'mono16'),
        ('bgr8', 'rgba8'),
    ],
)
def test_what_the_node_takes_is_taken(tmp_path, thermal, visible):
    with bags.BagWriter(tmp_path / 'in') as bag:
        for name, encoding in (('thermal', thermal), ('visible', visible)):
            kind = encodings.find(encoding)
            rows = int(SHAPE[0] * kind.rows)
            shape = (rows, SHAPE[1]) if kind.channels == 1 else (rows, SHAPE[1], kind.channels)
            values = np.random.default_rng(1).integers(20, 120, shape).astype(kind.dtype)
            bag.write_image(f'/{name}/image_raw', values, encoding, START, name)
    summary, said = run(tmp_path / 'in', tmp_path / 'out')
    assert (summary['pairs_in'], summary['drops'], len(summary['pairs'])) == (1, {}, 1), said
    (registered,) = images(tmp_path / 'out', '/registered/image')
    assert (registered.encoding, registered.image.dtype) == (thermal, encodings.find(thermal).dtype)


def video_message(kind, stamp, packet):
    time = bags.header(stamp, 'rgb')
    data = np.frombuffer(packet, np.uint8)
    if kind == bags.COMPRESSED_VIDEO:
        return SimpleNamespace(timestamp=time.stamp, frame_id='rgb', data=data, format='h264')
    return SimpleNamespace(header=time, data=data, format='h264')


@pytest.mark.parametrize(
    ('topic', 'kind'),
    [
        ('/visible/image_raw/h264', bags.COMPRESSED_VIDEO),
        ('/visible/image_raw/compressed', bags.COMPRESSED_IMAGE),
    ],
)
def test_a_camera_that_sends_video_is_decoded_from_its_first_key_frame_on(tmp_path, topic, kind):
    from video import frames

    source = write(tmp_path / 'still', count=6)
    stills = {name: images(source, f'/{name}/image_raw') for name in ('thermal', 'visible')}
    packets = frames([each.image for each in stills['visible']])
    with bags.BagWriter(tmp_path / 'in') as bag:
        for number, each in enumerate(stills['thermal']):
            bag.write_image('/thermal/image_raw', each.image, 'mono16', each.stamp, 'lwir')
            stamp = START + number * STEP
            # as from the middle of a stream: the third message has the first key frame
            bag.write_message(topic, kind, video_message(kind, stamp, packets[(number + 4) % 6]), stamp + 1)
    whole, said = run(tmp_path / 'in', tmp_path / 'out', part_bytes=1)
    assert whole['drops'] == {'no_key_frame': 2, 'no_partner': 2}
    assert len(whole['pairs']) == 4 and len(said) == 1
    found = images(tmp_path / 'out', '/fused/image')
    assert [(each.stamp, each.frame_id) for each in found] == [
        (START + number * STEP, 'rgb') for number in range(2, 6)
    ]
    # a frame builds on those before, which a run that goes on has not fused
    run(tmp_path / 'in', tmp_path / 'again' / 'out', part_bytes=1, stop_after=9)
    run(tmp_path / 'in', tmp_path / 'again' / 'out', part_bytes=1, resume=True)
    assert contents(tmp_path / 'again' / 'out') == contents(tmp_path / 'out')


PASSING = replace(CONFIG, on_missing='pass_through', missing_after=0.25)


def test_a_camera_that_falls_silent_lets_the_other_one_pass_if_that_is_asked_for(tmp_path):
    source = write(tmp_path / 'in', count=16, lost=range(5, 12))
    assert run(source, tmp_path / 'dropped')[0]['drops'] == {'no_partner': 7}
    summary, said = run(source, tmp_path / 'out' / 'out', config=PASSING)
    assert (summary['pairs_in'], summary['alone_in'], summary['drops']) == (9, 7, {})
    assert said == ['visible camera is missing: the other one passes'] or len(said) == 2
    fused, valid = (
        images(tmp_path / 'out' / 'out', topic) for topic in ('/fused/image', '/valid_mask/image')
    )
    stamps = [START + number * STEP + (3_000_000 if 5 <= number < 12 else 0) for number in range(16)]
    assert [each.stamp for each in fused] == stamps
    assert {each.frame_id for each in fused} == {'rgb'}
    assert [bool(each.image.any()) for each in valid] == [number not in range(5, 12) for number in range(16)]
    options = {'config': PASSING, 'part_bytes': 100_000}
    run(source, tmp_path / 'one' / 'out', **options)
    run(source, tmp_path / 'two' / 'out', stop_after=40, **options)
    run(source, tmp_path / 'two' / 'out', resume=True, **options)
    assert contents(tmp_path / 'one' / 'out') == contents(tmp_path / 'two' / 'out')


def test_a_bag_of_one_camera_passes_if_that_is_asked_for(tmp_path):
    source = write(tmp_path / 'in', count=6, lost=range(6))
    with pytest.raises(BagError, match=r"no topic 'visible/image_raw'; name it with --visible"):
        run(source, tmp_path / 'refused')
    summary, _ = run(source, tmp_path / 'out', config=PASSING)
    assert (summary['pairs_in'], summary['alone_in']) == (0, 6)
    assert [each.frame_id for each in images(tmp_path / 'out', '/fused/image')] == ['lwir'] * 6


def test_a_damaged_bag_is_fused_as_far_as_it_goes(tmp_path):
    source = write(tmp_path / 'in', count=30)
    file = next(source.glob('*.mcap'))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    summary, _ = run(source, tmp_path / 'out')
    assert 10 < len(summary['pairs']) < 16
    assert 'is not complete' in summary['incomplete']


def test_nothing_of_ros_is_needed(tmp_path):
    source = write(tmp_path / 'in', count=3)
    program = (
        'import sys\n'
        "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'builtin_interfaces'): sys.modules[name] = None\n"
        'from irvis_fusion_ros.tools import fuse_bag\n'
        f'sys.exit(fuse_bag.main([{str(source)!r}, {str(tmp_path / "out")!r}, "--device", "cpu"]))'
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert '3 of 3 pairs fused' in done.stdout

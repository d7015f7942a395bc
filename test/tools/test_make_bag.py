"""Folders and videos into bags, and bags into data sets."""

import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.io import bags, images
from irvis_fusion_ros.tools import export_pairs, fuse_bag, make_bag


@pytest.fixture
def flight(tmp_path):
    """A folder as a DJI camera leaves it: 16-bit thermal and colour images side by side."""
    folder = tmp_path / 'DCIM 1#'
    folder.mkdir()
    for number in range(6):
        thermal, visible = pair((96, 128), seed=2)
        deep = np.roll(thermal, number, 1).astype(np.uint16) * 20 + 9000
        cv2.imwrite(str(folder / f'DJI_{number + 8}_T.tiff'), deep)
        cv2.imwrite(str(folder / f'DJI_{number + 8}_W.png'), np.roll(visible, number, 1))
    return folder


def test_a_folder_becomes_a_bag_at_its_rate(flight, tmp_path, capsys):
    (flight / 'DJI_9_W.png').unlink()
    (flight / 'DJI_11_T.tiff').write_bytes(b'II*\0')
    assert (
        make_bag.main([str(flight), str(flight), str(tmp_path / 'bag'), '--rate', '8', '--start', '50']) == 1
    )
    printed = capsys.readouterr()
    assert 'DJI_9_T.tiff' in printed.err and 'DJI_11_T.tiff' in printed.err
    assert '4  /thermal/image_raw' in printed.out and '5  /visible/image_raw' in printed.out
    with bags.BagReader(tmp_path / 'bag') as bag:
        thermal = list(bag.images('/thermal/image_raw'))
        visible = list(bag.images('/visible/image_raw'))
    assert [image.stamp for image in visible] == [
        50_000_000_000 + number * 125_000_000 for number in range(5)
    ]
    assert (thermal[1].stamp, thermal[1].encoding, visible[1].encoding) == (50_125_000_000, 'mono16', 'bgr8')
    np.testing.assert_array_equal(thermal[1].image, images.read(flight / 'DJI_10_T.tiff'))
    np.testing.assert_array_equal(visible[1].image, images.read(flight / 'DJI_10_W.png'))


def test_two_runs_are_equal_to_the_byte(flight, tmp_path):
    for name in ('one', 'two'):
        out = tmp_path / name / 'bag'
        assert make_bag.main([str(flight), str(flight), str(out), '--rate', '5', '--pattern', 'dji']) == 0
    one, two = (
        {file.name: file.read_bytes() for file in (tmp_path / name / 'bag').iterdir()}
        for name in ('one', 'two')
    )
    assert one == two


def test_videos_keep_their_own_rates(tmp_path):
    for name, count, rate in (('t', 5, 10), ('v', 12, 25)):
        writer = cv2.VideoWriter(
            str(tmp_path / f'{name}.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), rate, (64, 48)
        )
        for number in range(count):
            writer.write(np.full((48, 64, 3), 10 * number, np.uint8))
        writer.release()
    assert make_bag.main([str(tmp_path / 't.mp4'), str(tmp_path / 'v.mp4'), str(tmp_path / 'bag')]) == 0
    with bags.BagReader(tmp_path / 'bag') as bag:
        stamps = {topic: [image.stamp for image in bag.images(topic)] for topic in bag.topics}
    for topic, count, step in (
        ('/thermal/image_raw', 5, 100_000_000),
        ('/visible/image_raw', 12, 40_000_000),
    ):
        np.testing.assert_array_equal(np.diff(stamps[topic]), step)
        assert len(stamps[topic]) == count


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['none', 'none', 'OUT', '--rate', '3'], 'none: no such folder'),
        (['IN', 'IN', 'OUT'], 'give --rate'),
        (['IN', 'IN', 'IN', '--rate', '3'], 'exists already'),
        (['IN', 'IN', 'OUT', '--rate', '3', '--pattern', 'x'], 'neither THERMAL:VISIBLE'),
    ],
)
def test_errors_are_one_line_and_leave_nothing(flight, tmp_path, capsys, arguments, text):
    names = {'IN': str(flight), 'OUT': str(tmp_path / 'out')}
    assert make_bag.main([names.get(each, each) for each in arguments]) == 1
    error = capsys.readouterr().err
    assert text in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_a_bag_becomes_a_registered_data_set(flight, tmp_path, capsys):
    assert make_bag.main([str(flight), str(flight), str(tmp_path / 'bag'), '--rate', '5']) == 0
    out = tmp_path / 'set'
    options = ['--device', 'cpu', '--every', '2', '--least-confidence', '0']
    assert export_pairs.main([str(tmp_path / 'bag'), str(out), *options]) == 0
    assert '3 pairs written' in capsys.readouterr().out
    listed = json.loads((out / 'pairs.json').read_text())
    assert [set(entry) for entry in listed] == [{'name', 'ir', 'vi', 'fused', 'sequence', 'confidence'}] * 3
    found = datasets.aligned(out)
    assert [one.name for one in found] == [entry['name'] for entry in listed]
    thermal, visible = datasets.read(found[1])
    assert (thermal.dtype, thermal.shape) == (np.uint16, visible.shape[:2])
    np.testing.assert_array_equal(visible, images.read(flight / 'DJI_10_W.png'))
    assert list(datasets.videos(found)) == ['bag']
    fused = fuse_bag.main([str(tmp_path / 'bag'), str(tmp_path / 'fused'), '--device', 'cpu'])
    assert fused == 0
    with bags.BagReader(tmp_path / 'fused') as bag:
        third = list(bag.images('/fused/image'))[2].image
        registered = list(bag.images('/registered/image'))[2].image
    np.testing.assert_array_equal(third, images.read(out / listed[1]['fused']))
    np.testing.assert_array_equal(registered, thermal)


def test_nothing_believed_is_no_data_set(flight, tmp_path, capsys):
    make_bag.main([str(flight), str(flight), str(tmp_path / 'bag'), '--rate', '5'])
    options = ['--device', 'cpu', '--least-confidence', '1.1']
    assert export_pairs.main([str(tmp_path / 'bag'), str(tmp_path / 'set'), *options]) == 1
    assert '0 pairs written' in (printed := capsys.readouterr().out) and '6 not_believed' in printed

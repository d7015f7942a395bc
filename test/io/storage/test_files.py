"""Which files make a bag: split, compressed, renamed, with metadata that is wrong or missing."""

import re
import shutil

import numpy as np
import pytest
from recordings import START, STEP, TOPICS, everything, read, record
from rosbags.rosbag2 import CompressionMode

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io import bags


def split(folder, storage='mcap', parts=3, compressed=()):
    """Make a bag of several files without metadata, numbered as a recorder does; returns their names."""
    (folder / 'bag').mkdir()
    for number in range(parts):
        mode = CompressionMode.FILE if number in compressed else CompressionMode.NONE
        file = record(folder / f'part{number}', storage, 4, mode, first=number * 4)
        # 9, 10, 11: not in the order of the alphabet
        shutil.copyfile(file, folder / 'bag' / f'flight_{number + 9}{"".join(file.suffixes)}')
    return folder / 'bag'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compressed', [(), (0, 1, 2), (1,)])
def test_files_without_metadata_are_read_in_natural_order(tmp_path, storage, compressed):
    bag = split(tmp_path, storage, compressed=compressed)
    assert read(bag) == (everything(12), '')
    with bags.BagReader(bag) as reader:
        assert 'no metadata.yaml' in reader.notes[0]
        assert (reader.start, reader.stop, reader.count) == (START, START + 11 * STEP + 1, 24)


@pytest.mark.parametrize('content', ['', '- 1', 'a: [', '{' * 3000, 'rosbag2_bagfile_information: 5'])
def test_metadata_that_says_nothing_is_told_and_done_without(tmp_path, content):
    record(tmp_path / 'bag')
    (tmp_path / 'bag' / 'metadata.yaml').write_text(content)
    assert read(tmp_path / 'bag') == (everything(), '')
    with bags.BagReader(tmp_path / 'bag') as bag:
        assert 'metadata.yaml cannot be used' in bag.notes[0] and '\n' not in bag.notes[0]


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        (r'offered_qos_profiles: .*', "offered_qos_profiles: '- durability: 1'"),
        (r'type_description_hash: .*', 'type_description_hash: RIHS01_00'),
        (r'storage_identifier: .*', "storage_identifier: ''"),
        (r'version: 8', 'version: 5'),
        (r'version: 8', 'version: 12'),
        (r'compression_mode: .*', 'compression_mode: message'),
        (r'nanoseconds_since_epoch: .*', 'nanoseconds_since_epoch: 7'),
    ],
)
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_metadata_that_differs_from_the_file_loses_nothing(tmp_path, storage, old, new):
    record(tmp_path / 'bag', storage)
    path = tmp_path / 'bag' / 'metadata.yaml'
    changed, times = re.subn(old, new, path.read_text())
    assert times
    path.write_text(changed)
    assert read(tmp_path / 'bag') == (everything(), '')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('alone', [True, False])
def test_compressed_messages_are_expanded_whoever_says_so(tmp_path, storage, alone):
    file = record(tmp_path / 'bag', storage, mode=CompressionMode.MESSAGE)
    assert read(file if alone else tmp_path / 'bag') == (everything(), '')


def test_a_file_that_is_missing_is_told_and_the_others_are_read(tmp_path):
    record(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'metadata.yaml'
    path.write_text(
        path.read_text()
        .replace('  - bag.mcap', '  - bag.mcap\n  - bag_1.mcap')
        .replace('message_count: 8', 'message_count: 11')
    )
    found, reason = read(tmp_path / 'bag')
    assert found == everything()
    assert f'8 of 11 of {TOPICS[0]}' in reason and "'bag_1.mcap' is missing" in reason


def test_a_later_file_that_the_metadata_does_not_know_is_read(tmp_path):
    record(tmp_path / 'bag')
    shutil.copyfile(record(tmp_path / 'later', first=8), tmp_path / 'bag' / 'bag_1.mcap')
    (tmp_path / 'bag' / 'other.mcap').write_bytes(b'something else')
    assert read(tmp_path / 'bag') == (everything(16), '')


def test_a_broken_file_among_others_is_told(tmp_path):
    bag = split(tmp_path)
    (bag / 'flight_10.mcap').write_bytes(b'')
    found, reason = read(bag)
    assert found == [each for each in everything(12) if not 4 <= each[1] < 8]
    assert 'flight_10.mcap' in reason


def test_a_compressed_file_that_was_cut_gives_what_is_whole(tmp_path):
    file = record(tmp_path / 'bag', count=8, mode=CompressionMode.FILE, shape=(330, 470))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with bags.BagReader(tmp_path / 'bag') as bag:
        assert 'cut short' in ' '.join(bag.notes)
        with pytest.raises(BagError, match=r'of 8 of /front/thermal'):
            assert 3 < sum(1 for _ in bag.records()) < 16


NAMES = ['a#b', 'a%20b', 'why?', 'two words', 'Übung ünd 火', "it's [1]", 'a;b&c=d']


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('name', NAMES)
def test_any_path_is_written_and_read(tmp_path, storage, name):
    path = tmp_path / name / f'{name} bag'
    with bags.BagWriter(path, storage) as bag:
        bag.write_image('/a', np.zeros((3, 4), np.uint8), 'mono8', 1, 'camera')
    assert {file.suffix for file in path.iterdir()} == {'.yaml', '.mcap' if storage == 'mcap' else '.db3'}
    assert {file.parent.name for file in tmp_path.rglob('*.*') if file.is_file()} == {path.name}
    with bags.BagReader(path) as bag:
        assert len(list(bag.records())) == 1

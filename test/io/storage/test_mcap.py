"""MCAP files that no recorder has finished, or that were damaged later: what is whole comes out."""

import random
import struct

import pytest
from recordings import START, STEP, TOPICS, everything, mcap, message, read, record
from rosbags.rosbag2 import CompressionMode

from irvis_fusion_ros.errors import BagError, IncompleteBagError
from irvis_fusion_ros.io import bags


@pytest.mark.parametrize('profile', ['', 'ros2', 'something'])
@pytest.mark.parametrize('chunk', [0, 3])
@pytest.mark.parametrize('tail', [True, False])
def test_files_without_index_order_or_profile_are_read_in_order(tmp_path, profile, chunk, tail):
    numbers = list(range(8))
    random.Random(3).shuffle(numbers)
    file = tmp_path / 'bag.mcap'
    file.write_bytes(mcap(numbers, profile, chunk, tail))
    assert read(file) == (everything(), '')
    with bags.BagReader(file) as bag:
        assert {name: topic.count for name, topic in bag.topics.items()} == dict.fromkeys(TOPICS, 8)
        assert (bag.start, bag.stop) == (START, START + 7 * STEP + 1)
        assert [note for note in bag.notes if 'cut short' in note] == ([] if tail else bag.notes)


@pytest.mark.parametrize('mode', [CompressionMode.NONE, CompressionMode.STORAGE])
def test_what_is_whole_of_a_file_that_was_cut_is_read(tmp_path, mode):
    file = record(tmp_path / 'bag', count=40, mode=mode, shape=(330, 470))
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    data = file.read_bytes()
    for part in (0.3, 0.62, 0.97):
        file.write_bytes(data[: int(part * len(data))])
        with bags.BagReader(tmp_path / 'bag') as bag:
            assert 'cut short' in bag.notes[1]
            found = [(each.topic, each.cdr) for each in bag.records()]
        assert (
            found == [(topic, message(number, (330, 470))) for topic, number in everything(40)][: len(found)]
        )
        # but for the chunk at the cut, of which a part of the compressed data may be missing
        assert len(found) >= 80 * part - (2 if mode == CompressionMode.NONE else 9)


def test_a_cut_file_that_its_metadata_knows_is_not_complete(tmp_path):
    file = record(tmp_path / 'bag')
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    found, reason = read(tmp_path / 'bag')
    assert found == everything()[: len(found)] and 4 < len(found) < 12
    assert f'of 8 of {TOPICS[0]}' in reason and f'of 8 of {TOPICS[1]}' in reason


@pytest.mark.parametrize('chunk', [0, 2])
def test_behind_a_damaged_length_it_goes_on(tmp_path, chunk):
    data = bytearray(mcap(range(8), chunk=chunk))
    place = data.index(message(3)[:60]) - 22 - 8  # the length of the first record with that image
    assert struct.unpack_from('<Q', data, place)[0] == 22 + len(message(3))
    data[place + 2] ^= 0x40
    file = tmp_path / 'bag.mcap'
    file.write_bytes(data)
    found, reason = read(file)
    assert found == [each for each in everything() if each != (TOPICS[0], 3)]
    assert 'damaged' in reason and 'bag.mcap' in reason


def test_a_chunk_with_a_wrong_checksum_is_left_out_and_its_messages_are_missed(tmp_path):
    data = bytearray(mcap(range(8), chunk=4))
    second = data.index(b'\x06', data.index(message(1)[:60]) + len(message(1)) * 2)
    struct.pack_into('<I', data, second + 9 + 24, 1234)
    file = tmp_path / 'bag.mcap'
    file.write_bytes(data)
    found, reason = read(file)
    assert found == everything()[:4] + everything()[8:]
    assert 'wrong checksum' in reason


def test_an_index_that_hides_messages_is_not_believed(tmp_path):
    file = record(tmp_path / 'bag', count=20, shape=(330, 470))
    data = bytearray(file.read_bytes())
    place = data.index(b'\x08', data.rindex(b'\x0f' + struct.pack('<Q', 4)))  # the first chunk in the index
    data[place + 9 : place + 25] = bytes(16)
    file.write_bytes(data)
    with bags.BagReader(tmp_path / 'bag') as bag:
        assert len(list(bag.records())) == 40


def test_messages_of_other_kinds_are_left_out_by_name(tmp_path):
    file = tmp_path / 'bag.mcap'
    file.write_bytes(mcap(range(2), encoding='json'))
    with bags.BagReader(file) as bag:
        assert bag.topics == {}
        assert f"topic '{TOPICS[0]}' is left out: its messages are 'json'" in ' '.join(bag.notes)
    file.write_bytes(mcap(range(2), kind='sensor_msgs/Image'))  # as converters name it
    assert read(file) == (everything(2), '')


def test_a_chunk_that_expands_to_more_than_it_says_is_not_expanded(tmp_path):
    bomb = bytearray(mcap(range(2), chunk=4))
    place = bomb.index(b'\x06', 30) + 9 + 16
    struct.pack_into('<Q', bomb, place, 100)
    file = tmp_path / 'bag.mcap'
    file.write_bytes(bomb)
    with bags.BagReader(file) as bag, pytest.raises(IncompleteBagError, match='more data than announced'):
        list(bag.records())


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('metadata', [True, False])
def test_no_flipped_bit_is_a_traceback_or_a_silent_loss(tmp_path, storage, metadata):
    file = record(tmp_path / 'bag', storage, count=6, shape=(2, 3))
    if not metadata:
        (tmp_path / 'bag' / 'metadata.yaml').unlink()
    data = file.read_bytes()
    rng = random.Random(11)
    for _ in range(60):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(flipped)
        found = 0
        try:
            with bags.BagReader(tmp_path / 'bag') as bag:
                assert bag.stop - bag.start < 60e9, 'a replay would seem to hang'
                for _ in bag.records():
                    found += 1
        except BagError as error:
            assert '\n' not in str(error)
        else:
            assert found == 12

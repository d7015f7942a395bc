"""SQLite files whose recorder was killed, or that were damaged later."""

import shutil
import sqlite3
import struct

import pytest
from recordings import TOPICS, everything, read, record

from irvis_fusion_ros.io import bags


def killed(folder, journal, keep=5):
    """Make the files of a recorder that was killed: the last rows are beside the file, not in it."""
    file = record(folder / 'whole', 'sqlite3')
    (folder / 'bag').mkdir()
    target = folder / 'bag' / 'bag_0.db3'
    database = sqlite3.connect(file, isolation_level=None)
    late = database.execute('SELECT * FROM messages WHERE id > ?', (keep,)).fetchall()
    database.execute('DELETE FROM messages WHERE id > ?', (keep,))
    database.execute('DELETE FROM metadata')  # written at the end
    database.execute('VACUUM')
    database.execute(f'PRAGMA journal_mode={journal}')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.execute('BEGIN')
    database.executemany('INSERT INTO messages VALUES(?, ?, ?, ?)', late)
    if journal == 'wal':
        database.execute('COMMIT')
    else:
        # what did not fit into the cache is in the file, and how to undo it in the journal
        database.execute('PRAGMA cache_size=1')
        database.execute('PRAGMA cache_spill=1')
        database.execute('UPDATE messages SET data = zeroblob(60000)')
    for each in file.parent.glob(f'{file.name}*'):
        shutil.copyfile(each, folder / 'bag' / each.name.replace(file.name, target.name))
    database.close()
    return folder / 'bag'


def test_what_a_killed_recorder_left_in_the_log_is_read(tmp_path):
    bag = killed(tmp_path, 'wal')
    names = {file.name for file in bag.iterdir()}
    assert 'bag_0.db3-wal' in names
    assert read(bag) == (everything(), '')
    with bags.BagReader(bag) as reader:
        assert any("'bag_0.db3-wal' is read, too" in note for note in reader.notes)
    (bag / 'bag_0.db3-shm').unlink()
    assert read(bag) == (everything(), '')
    assert names - {'bag_0.db3-shm'} <= {file.name for file in bag.iterdir()}


def test_an_unfinished_transaction_is_undone_in_a_copy(tmp_path):
    bag = killed(tmp_path, 'delete')
    before = {file.name: file.read_bytes() for file in bag.iterdir()}
    assert 'bag_0.db3-journal' in before
    assert read(bag) == (everything()[:5], '')
    assert before == {file.name: file.read_bytes() for file in bag.iterdir()}


def test_a_row_that_cannot_be_read_costs_itself_alone(tmp_path):
    file = record(tmp_path / 'bag', 'sqlite3', count=30)
    data = bytearray(file.read_bytes())
    size = struct.unpack_from('>H', data, 16)[0]
    leaves = [
        at for at in range(size, len(data), size) if data[at] == 0x0D and b'camera' in data[at : at + size]
    ]
    data[leaves[5]] = 0xFF
    file.write_bytes(data)
    found, reason = read(tmp_path / 'bag')
    assert 50 <= len(found) < 60 and set(found) < set(everything(30))
    assert f'of 30 of {TOPICS[0]}' in reason and 'malformed' in reason


@pytest.mark.parametrize('version', [1, 2])
def test_files_of_older_distributions_are_read(tmp_path, version):
    file = record(tmp_path / 'bag', 'sqlite3')
    database = sqlite3.connect(file)
    for table in ('schema', 'metadata', 'message_definitions'):
        database.execute(f'DROP TABLE {table}')
    database.execute('ALTER TABLE topics DROP COLUMN type_description_hash')
    if version == 1:
        database.execute('ALTER TABLE topics DROP COLUMN offered_qos_profiles')
    database.commit()
    database.close()
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    assert read(tmp_path / 'bag') == (everything(), '')

import contextlib
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import atomic


@contextlib.contextmanager
def full_disk():
    """Have writes fail beyond 1 kB, as they do where no space is left; pytest's own, too, so not for long."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / 'a.bin'
    atomic.write(path, b'old')
    atomic.write(path, b'new')
    assert path.read_bytes() == b'new'
    beside = tmp_path / 'beside'
    beside.touch()
    assert path.stat().st_mode == beside.stat().st_mode
    assert {entry.name for entry in tmp_path.iterdir()} == {'a.bin', 'beside'}


def test_without_space_the_old_file_is_intact_and_nothing_is_left_over(tmp_path):
    path = tmp_path / 'a.bin'
    atomic.write(path, b'old')
    with full_disk(), pytest.raises(FileError, match=r'a\.bin: 0\.1 MB cannot .*intact; make room'):
        atomic.write(path, bytes(100_000))
    assert path.read_bytes() == b'old'
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.bin']


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match='No such file or directory'):
        atomic.write(tmp_path / 'no' / 'a.bin', b'')


def test_where_every_file_has_a_name_it_is_written_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.os, 'O_TMPFILE', 1 << 30)
    test_a_file_is_replaced(tmp_path)
    (tmp_path / 'beside').unlink()
    test_without_space_the_old_file_is_intact_and_nothing_is_left_over(tmp_path)


def test_a_process_that_is_killed_leaves_the_old_or_the_new_file_and_nothing_else(tmp_path):
    program = f"""
from pathlib import Path
from irvis_fusion_ros.io import atomic
number = 0
while True:
    for name in 'ab':
        atomic.write(Path({str(tmp_path)!r}, name), bytes([number]) * 300_000)
    number = (number + 1) % 256
    print(number, flush=True)
"""
    for _ in range(8):
        process = subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE)
        for _ in range(3):
            process.stdout.readline()
        process.kill()
        process.communicate()
        assert {entry.name for entry in tmp_path.iterdir()} <= {'a', 'b', '.a.new', '.b.new'}
        for path in (tmp_path / 'a', tmp_path / 'b'):
            data = path.read_bytes()
            assert len(data) == 300_000 and len(set(data)) == 1
    atomic.write(tmp_path / 'a', b'a')
    atomic.write(tmp_path / 'b', b'b')
    assert {entry.name for entry in tmp_path.iterdir()} == {'a', 'b'}


def test_the_mask_of_the_process_is_kept_while_a_file_is_written(tmp_path):
    seen = set()
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            status = Path('/proc/self/status').read_text()
            seen.add(re.search(r'Umask:\s+(\d+)', status)[1])

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(200):
        atomic.write(tmp_path / 'a', bytes([number]))
    stop.set()
    watcher.join()
    assert len(seen) == 1


def test_several_that_write_one_file_at_once_leave_one_of_their_files(tmp_path):
    path = tmp_path / 'a.bin'

    def write(number):
        for _ in range(30):
            atomic.write(path, bytes([number]) * 10_000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = path.read_bytes()
    assert len(data) == 10_000 and len(set(data)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.bin']


def test_a_folder_is_replaced_when_all_of_it_is_written(tmp_path):
    path = tmp_path / 'new' / 'cache'

    def fill(text):
        return lambda folder: (folder / text).write_text(text)

    atomic.write_folder(path, fill('one'))
    path.with_name('.cache.new').mkdir()
    atomic.write_folder(path, fill('two'))
    assert [entry.name for entry in path.iterdir()] == ['two']

    def fail(folder):
        fill('three')(folder)
        raise KeyError

    with pytest.raises(KeyError):
        atomic.write_folder(path, fail)
    assert [entry.name for entry in path.iterdir()] == ['two']
    assert [entry.name for entry in path.parent.iterdir()] == ['cache']
    with pytest.raises(FileError, match='cannot be written'):
        atomic.write_folder(path / 'two' / 'below', fill('four'))

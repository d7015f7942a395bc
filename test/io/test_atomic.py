import contextlib
import resource
import signal

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

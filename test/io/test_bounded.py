import os

import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import bounded


def test_a_file_is_read_up_to_the_limit(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'12345')
    assert bounded.read(path, 'it', 5) == b'12345'
    with pytest.raises(FileError, match='a: it has 5e-06 MB, at most 4e-06 are read'):
        bounded.read(path, 'it', 4)
    path.write_bytes(b'')
    assert bounded.read(path, 'it', 5) == b''
    path.write_bytes(b'\xff')
    with pytest.raises(FileError, match='it is not text'):
        bounded.text(path, 'it', 5)


def test_files_of_the_kernel_say_that_they_are_empty():
    assert bounded.read('/proc/self/status', 'it', 1 << 20).startswith(b'Name:')


def test_what_is_no_file_is_refused_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'circle').symlink_to('circle')
    for path, reason in {
        tmp_path: 'has to be a file',
        tmp_path / 'pipe': 'has to be a file',
        '/dev/zero': 'has to be a file',
        tmp_path / 'circle': 'cannot be read .Too many levels',
        tmp_path / 'none': 'cannot be read .No such file',
        tmp_path / ('n' * 300): 'cannot be read .File name too long',
        'a\0b': 'cannot be read .*null',
    }.items():
        with pytest.raises(FileError, match=reason):
            bounded.read(path, 'it', 100)

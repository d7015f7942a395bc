"""Archives; test_hostile_files.py has those that mean harm."""

import zipfile

import numpy as np
import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import zip_file


def test_arrays_come_back_as_numpy_stores_them(tmp_path):
    arrays = {
        'plain': np.arange(6, dtype=np.uint16).reshape(2, 3),
        'columns': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        'one': np.array('text'),
        'none': np.empty((0, 3)),
    }
    np.savez(tmp_path / 'a.npz', **arrays)
    with zip_file.opened(tmp_path / 'a.npz', 'it', 1 << 20) as (_, archive):
        for name, array in arrays.items():
            np.testing.assert_array_equal(zip_file.array(archive, name), array)
        with zip_file.array_file(archive, 'plain') as (file, dtype, shape, fortran):
            assert (dtype, shape, fortran) == (np.uint16, (2, 3), False)
            assert file.read(4) == arrays['plain'].tobytes()[:4]


def test_what_is_compressed_or_too_large_is_refused(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez_compressed(path, a=np.zeros(9))
    with (
        pytest.raises(ValueError, match='compressed or encrypted'),
        zip_file.opened(path, 'it', 1 << 20),
    ):
        pass
    with pytest.raises(FileError, match='at most'), zip_file.opened(path, 'it', 10):
        pass
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.npy', b'none')
    with zip_file.opened(path, 'it', 1 << 20) as (_, archive), pytest.raises(ValueError, match='no header'):
        zip_file.array(archive, 'a')

"""Values in files: what is written is read back, and a file of somebody else does nothing."""

import io
import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import values


def test_values_come_back_as_they_were(tmp_path):
    value = {
        'numbers': [1, 2.5, True, None, 'text', (3, (4,))],
        7: np.arange(6, dtype=np.uint16).reshape(2, 3),
        'scalar': np.float32(0.1),
        'dtype': np.dtype('uint16'),
        'tensor': torch.arange(3.0),
        'alignment': Alignment(np.eye(3), 0.25, 'track', notes=(Note('a', 'b'),)),
    }
    values.write(tmp_path / 'f', value)
    found = values.read(tmp_path / 'f')
    assert found['numbers'] == value['numbers'] and found['scalar'] == value['scalar']
    assert found['scalar'].dtype == np.float32 and found['dtype'] == np.uint16
    np.testing.assert_array_equal(found[7], value[7])
    assert torch.equal(found['tensor'], value['tensor'])
    assert found['alignment'].notes == (Note('a', 'b'),)
    np.testing.assert_array_equal(found['alignment'].transform, np.eye(3))


def test_what_cannot_be_stored_is_refused(tmp_path):
    @dataclass
    class Foreign:
        a: int

    for value in (Foreign(1), object(), {'a': {1, 2}}):
        with pytest.raises(TypeError, match='cannot be stored'):
            values.write(tmp_path / 'f', value)


@pytest.mark.parametrize(
    'name', [['os', 'system'], ['irvis_fusion_ros.io.atomic', 'write'], ['irvis_fusion_ros.nothing', 'x']]
)
def test_only_our_dataclasses_are_made(tmp_path, name):
    tree = json.dumps({'class': name, 'fields': {'command': 'x'}}).encode()
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(tree, np.uint8))
    (tmp_path / 'f').write_bytes(buffer.getvalue())
    with pytest.raises(FileError, match='damaged'):
        values.read(tmp_path / 'f')


def test_damaged_and_missing_files_are_one_clear_error(tmp_path):
    values.write(tmp_path / 'f', {'a': np.arange(100)})
    data = (tmp_path / 'f').read_bytes()
    for content in (b'', b'hello', data[:50], data[: len(data) // 2]):
        (tmp_path / 'f').write_bytes(content)
        with pytest.raises(FileError):
            values.read(tmp_path / 'f')
    with pytest.raises(FileError, match='cannot be read'):
        values.read(tmp_path / 'nothing')

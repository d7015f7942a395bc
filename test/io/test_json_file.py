import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import json_file


def test_json_is_read(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"a": [1, -2.5e3, "x", null, true]}')
    assert json_file.read(path, 'it') == {'a': [1, -2500.0, 'x', None, True]}


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('[NaN]', 'NaN is not finite'),
        ('[-Infinity]', '-Infinity is not finite'),
        ('[1e999]', '1e999 is not finite'),
        ('[' + '9' * 50 + ']', 'a number of 50 digits'),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' is there twice"),
        ('[' * 200_000, 'in more levels than can be read'),
        ('[' + '[],' * 1_000_000 + '[]]', 'more than 1000000 objects and lists'),
        ('[1,', 'Expecting value'),
    ],
)
def test_what_is_none_is_refused(tmp_path, text, reason):
    path = tmp_path / 'a.json'
    path.write_text(text)
    with pytest.raises(FileError, match=rf'a\.json: it is not JSON \(.*{reason}'):
        json_file.read(path, 'it')

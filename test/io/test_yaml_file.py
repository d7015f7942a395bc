import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import yaml_file


def test_plain_yaml_is_read(tmp_path):
    path = tmp_path / 'a.yaml'
    path.write_bytes(b'\xef\xbb\xbfa: 1\nb: [x, 2.5, true, null]\nc: {d: "1"}\ne: ! "quoted"\n')
    assert yaml_file.read(path, 'it') == {'a': 1, 'b': ['x', 2.5, True, None], 'c': {'d': '1'}, 'e': 'quoted'}
    path.write_text('')
    assert yaml_file.read(path, 'it') is None


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('a: &x 1', 'aliases and anchors .* in line 1'),
        ('b: 1\na: *x', 'aliases and anchors .* in line 2'),
        ('a: !!python/name:os.system x', 'tags .*python/name'),
        ('a: 1\na: 2', "key 'a' is there twice"),
        ('[' * 40, 'more than 32 levels'),
        ('[' + '1,' * 60_000 + ']', 'more than 50000 values'),
        ('a: ' + 'x' * 70_000, 'a value of 70000 characters'),
        ('a: 9223372036854775808', 'a number of 19 digits'),
        ('a: 2001-99-99', 'month must be'),
        ('a: [', 'did not find expected'),
    ],
)
def test_what_is_not_plain_is_refused_with_its_place(tmp_path, text, reason):
    path = tmp_path / 'a.yaml'
    path.write_text(text)
    with pytest.raises(FileError, match=rf'a\.yaml: not YAML: .*{reason}'):
        yaml_file.read(path, 'it')

import numpy as np
import pytest

from irvis_fusion_ros import calibration
from irvis_fusion_ros.errors import FileError

GOOD = 'matrix: [2, 0.1, -4, 0, 2, 3, 0, 0, 1]\nthermal_size: [640, 512]\nvisible_size: [1280, 720]\n'


def write(tmp_path, text):
    path = tmp_path / 'rig.yaml'
    path.write_text(text)
    return path


def test_load(tmp_path):
    found = calibration.load(write(tmp_path, GOOD))
    np.testing.assert_array_equal(found.matrix, [[2, 0.1, -4], [0, 2, 3], [0, 0, 1]])
    assert found.thermal_shape == (512, 640)
    assert found.visible_shape == (720, 1280)


def test_matrix_may_be_nested(tmp_path):
    nested = GOOD.replace('[2, 0.1, -4, 0, 2, 3, 0, 0, 1]', '[[2, 0.1, -4], [0, 2, 3], [0, 0, 1]]')
    np.testing.assert_array_equal(calibration.load(write(tmp_path, nested)).matrix[0], (2, 0.1, -4))


def test_the_documented_example_loads(tmp_path):
    example = '\n'.join(line for line in calibration.__doc__.splitlines() if line.startswith('    '))
    assert calibration.load(write(tmp_path, example)).thermal_shape == (512, 640)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'needs the keys matrix, thermal_size, visible_size'),
        ('[1, 2]', 'needs the keys'),
        ('a: [', 'not YAML'),
        (GOOD.replace('thermal_size', 'thermal'), "unknown key 'thermal'|'thermal_size' is missing"),
        (GOOD + 'offset: 3\n', "unknown key 'offset'"),
        (GOOD.replace('-4, ', ''), "'matrix' has to be 9 numbers"),
        (GOOD.replace('-4', 'left'), "'matrix' has to be 9 numbers"),
        (GOOD.replace('-4', '.nan'), "'matrix' has to be 9 numbers"),
        (GOOD.replace('[2, 0.1, -4,', '[0, 0, 0,'), "'matrix' cannot be inverted"),
        (GOOD.replace('[640, 512]', '640'), "'thermal_size' has to be width and height"),
        (GOOD.replace('[640, 512]', '[640, 0.5]'), "'thermal_size' is .*whole pixels"),
        (GOOD.replace('[640, 512]', '{a: 1}'), "'thermal_size' has to be"),
    ],
)
def test_every_mistake_names_file_and_key(tmp_path, text, message):
    with pytest.raises(FileError, match=message) as caught:
        calibration.load(write(tmp_path, text))
    assert 'rig.yaml' in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileError, match=r'none\.yaml: calibration file cannot be read \(No such file'):
        calibration.load(tmp_path / 'none.yaml')
    (tmp_path / 'binary.yaml').write_bytes(bytes(range(128, 256)))
    with pytest.raises(FileError, match='is not text'):
        calibration.load(tmp_path / 'binary.yaml')

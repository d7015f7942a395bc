import numpy as np
import pytest

from irvis_fusion_ros import calibration
from irvis_fusion_ros.calibration import Calibration, Parallax
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry.lens import Lens
from irvis_fusion_ros.geometry.margins import Margins

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


def test_what_a_rig_has_beside_its_matrix_is_kept(tmp_path):
    example = '\n'.join(line for line in calibration.__doc__.splitlines() if line.startswith('    '))
    found = calibration.load(write(tmp_path, example))
    np.testing.assert_allclose(found.parallax.direction, (0.9798, -0.2), atol=1e-3)
    assert found.parallax.range == (-2, 9.5)
    assert found.spread == (1.1, 0.6, 0.5, 0.2, 0.4)
    assert found.clock == calibration.ClockOffset(-0.04, 0.002)
    assert found.frames == 112
    assert found.thermal_lens.coefficients == (-0.1,)
    assert found.visible_lens is None
    calibration.save(found, tmp_path / 'again.yaml')
    again = calibration.load(tmp_path / 'again.yaml')
    np.testing.assert_array_equal(again.matrix, found.matrix)
    np.testing.assert_allclose(again.parallax.direction, found.parallax.direction)
    assert (again.spread, again.clock, again.frames) == (found.spread, found.clock, found.frames)
    np.testing.assert_array_equal(again.thermal_lens.k, found.thermal_lens.k)


def test_a_file_of_three_keys_says_nothing_of_what_changes(tmp_path):
    found = calibration.load(write(tmp_path, GOOD))
    assert found.parallax is found.spread is found.clock is found.thermal_lens is None


def test_margins_that_are_cut_move_what_is_between():
    lens = Lens(np.array([[500.0, 0, 319.5], [0, 500, 255.5], [0, 0, 1]]), 'plumb_bob', (-0.1,))
    rig = Calibration(np.diag([2.0, 1.4, 1]), (512, 640), (720, 1280), lens)
    cuts = Margins(10, 20, 30, 40), Margins(5, 0, 7, 11)
    cut = rig.cut(*cuts)
    assert (cut.thermal_shape, cut.visible_shape) == ((452, 600), (709, 1268))
    whole = rig.alignment(rig.thermal_shape, rig.visible_shape).deformation_at(
        np.array([[300.0, 200.0]]), rig.visible_shape
    )
    found = cut.alignment(cut.thermal_shape, cut.visible_shape)
    found = found.uncut((rig.thermal_shape, cuts[0]), (rig.visible_shape, cuts[1]))
    at = found.deformation_at(np.array([[300.0, 200.0]]), rig.visible_shape)
    np.testing.assert_allclose(at, whole, atol=0.02)
    back = cut.cut(*(-margins for margins in cuts))
    assert (back.thermal_shape, back.visible_shape) == (rig.thermal_shape, rig.visible_shape)
    np.testing.assert_allclose(back.matrix, rig.matrix)
    np.testing.assert_allclose(back.thermal_lens.k, lens.k)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('parallax_direction: [1, 0]\n', 'need each other'),
        ('parallax_direction: [0, 0]\nparallax_range: [0, 1]\n', 'has no length'),
        ('parallax_direction: [1, 0]\nparallax_range: [2, 1]\n', 'the least comes first'),
        ('spread: [1, -1, 0, 0, 0]\n', 'must not be negative'),
        ('frames: -3\n', "'frames' is -3; it must not be negative"),
        ('thermal_offset: 0.1\nthermal_offset_error: -1\n', "'thermal_offset_error' is -1"),
        ('thermal_offset_error: 0.1\n', "'thermal_offset_error' needs 'thermal_offset'"),
        ('spread: 3\n', "'spread' has to be 5 numbers"),
        ('thermal_offset: soon\n', "'thermal_offset' has to be a number"),
        ('thermal_lens: 3\n', 'keys model, k and coefficients'),
        ('thermal_lens: {model: round, k: 1, coefficients: []}\n', 'valid: plumb_bob'),
        ('thermal_lens: {model: plumb_bob, k: 1, coefficients: []}\n', "'thermal_lens.k' has to be 9"),
        (
            'thermal_lens: {model: equidistant, k: [1,0,0,0,1,0,0,0,1], coefficients: [1,2,3,4,5]}\n',
            'has at most 4',
        ),
    ],
)
def test_every_mistake_in_what_is_optional_names_file_and_key(tmp_path, text, message):
    with pytest.raises(FileError, match=message) as caught:
        calibration.load(write(tmp_path, GOOD + text))
    assert 'rig.yaml' in str(caught.value)


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


def test_a_rig_in_another_size_puts_the_same_things_in_the_same_places():
    lens = Lens(np.array([[90.0, 0, 63.5], [0, 90.0, 47.5], [0, 0, 1]]), 'plumb_bob', (-0.2,))
    rig = Calibration(
        np.array([[2.0, 0.1, 5], [0, 2.1, -3], [0, 0, 1]]),
        (96, 128),
        (200, 300),
        thermal_lens=lens,
        parallax=Parallax((0.6, 0.8), (-2.0, 4.0)),
        spread=(1.0, 2.0, 3.0, 4.0, 5.0),
    )
    shapes = (48, 64), (100, 150)
    half = rig.resized(*shapes)
    assert (half.thermal_shape, half.visible_shape) == shapes
    assert half.parallax == Parallax((0.6, 0.8), (-1.0, 2.0)) and half.spread == (0.5, 1.0, 1.5, 2.0, 2.5)
    for shown in (shapes, (rig.thermal_shape, rig.visible_shape)):
        one, two = (each.alignment(*shown).deformation(shown[1]) for each in (rig, half))
        np.testing.assert_allclose(one, two, atol=1e-3)

import pytest

from irvis_fusion_ros.backbones.description import Layout, read
from irvis_fusion_ros.errors import FileError

BOTH = 'inputs: [{image: thermal}, {image: visible}]\n'


@pytest.fixture
def described(tmp_path):
    def of(text):
        (tmp_path / 'mine.yaml').write_text(text)
        return read(tmp_path / 'mine.yaml')

    return of


def test_what_is_not_said_is_a_plain_luminance_network(described):
    found = described(BOTH)
    assert found.order == ('thermal', 'visible')
    assert found.inputs == (Layout('luminance', (0, 1)),) * 2
    assert (found.joined, found.multiple, found.output) == (False, 1, Layout('luminance', (0, 1)))
    assert found.channels == (1, 1)
    assert found.index is None
    assert not found.takes_rgb and not found.gives_rgb


def test_everything_can_be_said(described):
    found = described(
        'inputs:\n'
        '  - {image: visible, colour: rgb, range: [0, 255]}\n'
        '  - {image: thermal, range: [-1, 1]}\n'
        'joined: true\nmultiple: 16\noutput: {colour: rgb, range: [-0.5, 0.5]}\n'
    )
    assert found.order == ('visible', 'thermal')
    assert found.inputs == (Layout('rgb', (0, 255)), Layout('luminance', (-1, 1)))
    assert found.channels == (4,)
    assert (found.multiple, found.output) == (16, Layout('rgb', (-0.5, 0.5)))


def test_mean_and_std_of_channels_give_the_values_of_black_and_white(described):
    found = described(
        'inputs:\n'
        '  - {image: visible, colour: rgb, mean: [0.5, 0.25, 0], std: 0.5}\n'
        '  - {image: thermal, colour: repeated, range: [0, 255], std: 2}\n'
        'output: {colour: rgb, index: 3}\n'
    )
    assert found.inputs[0].levels == ((-1, 1), (-0.5, 1.5), (0, 2))
    assert found.inputs[1].levels == ((0, 127.5),)
    assert found.channels == (3, 3)
    assert found.takes_rgb and found.gives_rgb
    assert found.index == 3


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            '',
            r'the file to be keys with values \(inputs, joined, multiple, output, trusted\), found None',
        ),
        ('multiple: 8', "no key 'inputs' in the file, found multiple"),
        (
            BOTH + 'size: 8',
            "unknown key 'size' in the file; valid: inputs, joined, multiple, output, trusted",
        ),
        ('inputs: [{image: visible}]', "expected 'inputs' to be a list of two images"),
        (
            'inputs: [{image: ir}, {image: visible}]',
            r"'inputs\[0\].image' to be visible or thermal, found 'ir'",
        ),
        ('inputs: [{image: visible}, {image: visible}]', 'visible and thermal, found visible twice'),
        ('inputs: [{image: visible}, thermal]', r"'inputs\[1\]' to be keys with values"),
        (BOTH + 'joined: 1', "expected 'joined' to be true or false, found 1"),
        (BOTH + 'trusted: 1', "expected 'trusted' to be true or false, found 1"),
        (BOTH + 'output: {range: [0, .inf]}', "'output.range' to be two rising numbers"),
        (BOTH + 'multiple: 0', "expected 'multiple' to be a whole number from 1 to 256, found 0"),
        (BOTH + 'multiple: true', "expected 'multiple' to be a whole number"),
        (BOTH + 'output: {colour: hsv}', "'output.colour' to be luminance or repeated or rgb, found 'hsv'"),
        (BOTH + 'output: {index: -1}', "'output.index' to be a whole number from 0 on, found -1"),
        (BOTH + 'output: {index: true}', "'output.index' to be a whole number"),
        (BOTH + 'output: {mean: [0, 1]}', "'output.mean' to be a number or a list of 1, found"),
        (BOTH + 'output: {colour: rgb, mean: [0, a, 1]}', "'output.mean' to be a number or a list of 3"),
        (BOTH + 'output: {std: 0}', "'output.std' to be above 0, found 0"),
        (BOTH + 'output: {range: [1, 0]}', "'output.range' to be two rising numbers"),
        (BOTH + 'output: {range: [a, b]}', "'output.range' to be two rising numbers"),
        ('inputs: [', 'not YAML'),
        ('!!python/object/apply:os.getcwd []', 'not YAML'),
    ],
)
def test_what_is_wrong_is_said_with_what_was_expected_and_found(described, text, words):
    with pytest.raises(FileError, match=words) as error:
        described(text)
    assert 'mine.yaml: ' in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r'none.yaml: the description of the network cannot be read'):
        read(tmp_path / 'none.yaml')

"""Which files are a pair."""

import json

import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import pairs


def folder(path, *names):
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_bytes(b'x')
    return path


def names(found):
    return {name: tuple(path.name for path in files) for name, files in found.items()}


def test_the_same_stem_goes_first(tmp_path):
    thermal = folder(tmp_path / 't', 'b10.png', 'b9.png', 'c_T.png')
    visible = folder(tmp_path / 'v', 'b9.jpg', 'b10.jpg', 'c_W.jpg')
    found, alone = pairs.by_stem(thermal, visible)
    assert list(found) == ['b9', 'b10']
    assert alone == [str(thermal / 'c_T.png'), str(visible / 'c_W.jpg')]


@pytest.mark.parametrize(
    ('thermal', 'visible'),
    [('FLIR_06.jpeg', 'FLIR_06_RGB.jpg'), ('DJI_06_T.JPG', 'DJI_06_W.JPG'), ('a_06_ir.png', 'a_06_vis.png')],
)
def test_marks_that_are_known(tmp_path, thermal, visible):
    expected = {thermal.partition('06')[0] + '06': (thermal, visible)}
    found, alone = pairs.by_stem(folder(tmp_path / 't', thermal), folder(tmp_path / 'v', visible))
    assert (names(found), alone) == (expected, [])
    one = folder(tmp_path / 'one', thermal, visible)
    assert names(pairs.by_stem(one, one)[0]) == expected


def test_marks_that_are_given(tmp_path):
    one = folder(tmp_path / 'one', 'a-hot.png', 'a-seen.png', 'b-hot.png')
    found, alone = pairs.by_stem(one, one, ('-hot', '-seen'))
    assert names(found) == {'a': ('a-hot.png', 'a-seen.png')} and alone == [str(one / 'b-hot.png')]
    for marks in (None, ('_T', '_W'), ('', '')):
        with pytest.raises(FileError, match='share a stem'):
            pairs.by_stem(one, one, marks)


def test_a_list(tmp_path):
    thermal, visible = folder(tmp_path / 't', 'a.png', 'b.png'), folder(tmp_path / 'v', 'c.png', 'd e.png')
    text = tmp_path / 'list.csv'
    text.write_text('# thermal, visible\na.png, d e.png\n\nb.png\tc.png\n')
    expected = {'a': ('a.png', 'd e.png'), 'b': ('b.png', 'c.png')}
    assert names(pairs.listed(text, thermal, visible)) == expected
    document = tmp_path / 'pairs.json'
    document.write_text(json.dumps([{'name': '../x', 'ir': 't/a.png', 'vi': 'v/c.png', 'scene': 1}]))
    assert names(pairs.listed(document, tmp_path / 'none', visible)) == {'.._x': ('a.png', 'c.png')}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'no pair in it'),
        ('a.png\n', 'line 1 does not have two files'),
        ('a.png c.png\na.png c.png\n', "two pairs are called 'a'"),
        ('a.png z.png\n', "no file 'z.png'"),
        ('[{"name": "a"}]', 'not a list of pairs'),
        ('[{"name": 1, "ir": "a.png", "vi": "c.png"}]', 'are texts'),
        ('[1]', 'not a list of pairs'),
        ('[', 'not a list of pairs'),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, text, message):
    listing = tmp_path / 'list'
    listing.write_text(text)
    with pytest.raises(FileError, match=message):
        pairs.listed(listing, folder(tmp_path / 't', 'a.png'), folder(tmp_path / 'v', 'c.png'))
    with pytest.raises(FileError, match='cannot be read'):
        pairs.listed(tmp_path / 'none', tmp_path, tmp_path)

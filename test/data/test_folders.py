"""Pairs of files: whatever cameras and data sets call them."""

import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data import datasets, folders
from irvis_fusion_ros.errors import FileError


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((4, 5), np.uint8))


def names(found, root):
    return {
        name: tuple(path.relative_to(root).as_posix() for path in pair) for name, pair in found.pairs.items()
    }


@pytest.mark.parametrize(
    ('preset', 'thermal', 'visible', 'name'),
    [
        ('dji', 'DCIM/DJI_0012_T.JPG', 'DCIM/DJI_0012_W.JPG', None),
        ('dji', 'DJI_20240101_0003_T.jpg', 'DJI_20240101_0003_V.jpg', 'DJI_20240101_0003'),
        ('flir_adas', 'FLIR_08862.jpeg', 'FLIR_08862_RGB.jpg', 'FLIR_08862'),
        ('flir_adas', 'a/FLIR_2_PreviewData.jpeg', 'a/FLIR_2_RGB.jpg', None),
        ('flir_adas', 'val/thermal_8_bit/FLIR_9.jpeg', 'val/RGB/FLIR_9.jpg', 'val_FLIR_9'),
        ('kaist', 'set06/V001/lwir/I00019.jpg', 'set06/V001/visible/I00019.jpg', 'set06_V001_I00019'),
        ('llvip', 'infrared/test/190001.jpg', 'visible/test/190001.jpg', 'test_190001'),
        ('m3fd', 'Ir/00123.png', 'Vis/00123.png', '00123'),
        ('dronevehicle', 'train/trainimgr/04000.jpg', 'train/trainimg/04000.jpg', 'train_train_04000'),
        ('dronevehicle', 'valimgr/7.jpg', 'valimg/7.jpg', 'val_7'),
    ],
)
def test_layouts_are_known_by_name_and_without_it(tmp_path, preset, thermal, visible, name):
    root = tmp_path / 'set'
    write(root, thermal, visible)
    for given in (preset, None):
        found = folders.find(root, root, given)
        assert list(names(found, root).values()) == [(thermal, visible)]
        assert found.unpaired == ()
        if name:
            assert list(found.pairs) == [name]
    folder = (root / thermal).parent
    if folder != (root / visible).parent:
        # the two folders that are named are those of the pattern
        assert len(folders.find(folder, (root / visible).parent, preset).pairs) == 1


def test_stems_come_first_and_in_natural_order(tmp_path):
    write(tmp_path, 't/f10.png', 't/f9.png', 't/x_T.png', 'v/f9.jpg', 'v/f10.jpg', 'v/x_W.jpg')
    found = folders.find(tmp_path / 't', tmp_path / 'v')
    assert list(found.pairs) == ['f9', 'f10']
    assert sorted(path.name for path in found.unpaired) == ['x_T.png', 'x_W.jpg']


@pytest.mark.parametrize(
    ('thermal', 'visible'),
    [
        ('FLIR_06.jpeg', 'FLIR_06_RGB.jpg'),
        ('DJI_06_T.JPG', 'DJI_06_W.JPG'),
        ('a_06_ir.png', 'a_06_vis.png'),
        ('a_06_IR.png', 'a_06_RGB.png'),
        ('06_lwir.png', '06_rgb.png'),
    ],
)
def test_marks_are_known_in_one_folder_and_in_two(tmp_path, thermal, visible):
    write(tmp_path, f't/{thermal}', f'v/{visible}', f'one/{thermal}', f'one/{visible}')
    name = thermal.partition('06')[0] + '06'
    for folder, other in (('t', 'v'), ('one', 'one')):
        found = folders.find(tmp_path / folder, tmp_path / other)
        assert names(found, tmp_path) == {name: (f'{folder}/{thermal}', f'{other}/{visible}')}
        assert found.unpaired == ()


@pytest.mark.parametrize(('thermal', 'visible'), [('thermal', 'rgb'), ('IR', 'vis'), ('lwir', 'rgb')])
def test_marks_at_the_beginning_are_known(tmp_path, thermal, visible):
    numbers = ('0001', '0002')
    write(
        tmp_path,
        *(
            f'{folder}/{mark}_{number}.png'
            for number in numbers
            for folder, mark in (('t', thermal), ('v', visible))
        ),
    )
    found = folders.find(tmp_path / 't', tmp_path / 'v')
    assert names(found, tmp_path) == {
        number: (f't/{thermal}_{number}.png', f'v/{visible}_{number}.png') for number in numbers
    }


def test_marks_that_are_given(tmp_path):
    write(tmp_path, 'a-hot.png', 'a-seen.png', 'b-hot.png')
    found = folders.find(tmp_path, tmp_path, '*-hot:*-seen')
    assert names(found, tmp_path) == {'a': ('a-hot.png', 'a-seen.png')}
    assert found.unpaired == (tmp_path / 'b-hot.png',)
    # no file is its own partner
    for pattern in (None, '*_T:*_W', '*:*'):
        with pytest.raises(FileError, match='share a stem'):
            folders.find(tmp_path, tmp_path, pattern)


def test_a_pattern_of_ones_own(tmp_path):
    write(tmp_path, 'cam0 (1)/img-7.tiff', 'cam1/7+rgb.png', 'cam1/8+rgb.png')
    found = folders.find(tmp_path, tmp_path, 'cam0 (1)/img-*:cam1/*+rgb')
    assert names(found, tmp_path) == {'7': ('cam0 (1)/img-7.tiff', 'cam1/7+rgb.png')}
    assert [path.name for path in found.unpaired] == ['8+rgb.png']
    for wrong in ('*_T', 'a:b', '*:*:*', 'nothing'):
        with pytest.raises(FileError, match='neither THERMAL:VISIBLE'):
            folders.find(tmp_path, tmp_path, wrong)
    with pytest.raises(FileError, match='fit a pattern'):
        folders.find(tmp_path, tmp_path, '*_T:*_W')


def test_lists_of_pairs(tmp_path):
    write(tmp_path, 't/a b.png', 't/c.png', 'v/1.png', 'v/2.png')
    listing = tmp_path / 'list.csv'
    listing.write_text('# thermal, visible\nt/a b.png, v/1.png\nt/c.png,2.png,third\n')
    found = folders.find(tmp_path / 't', tmp_path / 'v', listing=listing)
    assert names(found, tmp_path) == {'a b': ('t/a b.png', 'v/1.png'), 'third': ('t/c.png', 'v/2.png')}
    write(tmp_path, 't/both.png', 'v/both.png', 'both.png')
    listing.write_text('both.png both.png\n\nc.png\t1.png\n')
    found = folders.find(tmp_path / 't', tmp_path / 'v', listing=listing)
    assert names(found, tmp_path) == {'both': ('t/both.png', 'v/both.png'), 'c': ('t/c.png', 'v/1.png')}
    listing.write_text(json.dumps([{'name': 'x/../y', 'ir': 't/c.png', 'vi': 'v/2.png', 'more': 1}]))
    assert list(folders.find(tmp_path, tmp_path, listing=listing).pairs) == ['x_.._y']
    for text, reason in (
        ('t/c.png v/3.png', "no file 'v/3.png'"),
        ('t/c.png', 'line 1'),
        ('t/c.png v/1.png\nt/c.png v/2.png', "two pairs are called 'c'"),
        ('', 'no pair in it'),
        ('[1, 2]', 'not a list of pairs'),
        ('[', 'not a list of pairs'),
        ('[{"name": "a"}]', 'not a list of pairs'),
        ('[{"name": 1, "ir": "t/c.png", "vi": "v/1.png"}]', 'are texts'),
        ('[' * 100_000, 'not a list of pairs'),
    ):
        listing.write_text(text)
        with pytest.raises(FileError, match=reason):
            folders.find(tmp_path, tmp_path, listing=listing)
    with pytest.raises(FileError, match='cannot be read'):
        folders.find(tmp_path, tmp_path, listing=tmp_path / 'none')


def film(path, count, rate, size=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, size)
    for number in range(count):
        writer.write(np.full((size[1], size[0], 3), 20 * number, np.uint8))
    writer.release()


def test_two_videos_are_folders_of_frames(tmp_path):
    film(tmp_path / 'a.mp4', 6, 10)
    film(tmp_path / 'b.mp4', 9, 20)
    found = folders.find(tmp_path / 'a.mp4', tmp_path / 'b.mp4')
    assert [(one.number, two.number) for one, two in found.pairs.values()] == [
        (0, 0), (1, 2), (2, 4), (3, 6), (4, 8)
    ]  # fmt: skip
    for number in (3, 4, 1):
        one, two = found.pairs[f'{number:06d}']
        assert abs(float(folders.read(one).mean()) - 20 * number) < 4
        assert abs(float(folders.read(two).mean()) - 40 * number) < 4
    (tmp_path / 'c.mp4').write_bytes(b'nothing')
    with pytest.raises(FileError, match=r'c\.mp4: not a video'):
        folders.find(tmp_path / 'a.mp4', tmp_path / 'c.mp4')
    with pytest.raises(FileError, match='the other one is a video'):
        folders.find(tmp_path / 'a.mp4', tmp_path)


@pytest.mark.parametrize(('thermal', 'visible'), folders.FOLDERS)
def test_sub_folders_of_data_sets_are_known(tmp_path, thermal, visible):
    write(tmp_path, f'{thermal.upper()}/a.png', f'{visible}/a.png')
    assert [pair.name for pair in datasets.aligned(tmp_path)] == ['a']
    assert len(folders.find(tmp_path, tmp_path).pairs) == 1


def test_data_sets_of_these_layouts_are_read(tmp_path):
    write(tmp_path, 'set00/V000/lwir/I00000.jpg', 'set00/V000/visible/I00000.jpg')
    assert [pair.name for pair in datasets.aligned(tmp_path)] == ['set00_V000_I00000']

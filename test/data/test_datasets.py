import json

import cv2
import numpy as np
import pytest
from shared_data import shared

from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.errors import FileError


def write(path, shape=(40, 50), dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(len(path.name)).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 10, 300, 301, 600, 900, 901):
        write(tmp_path / 'ir' / f'frame{number}.png')
        write(tmp_path / 'vi' / f'frame{number}.jpg', (40, 50, 3))
    return tmp_path


def test_pairs_by_stem_in_natural_order(folder):
    pairs = datasets.aligned(folder)
    assert [pair.name for pair in pairs] == [f'frame{n}' for n in (1, 2, 10, 300, 301, 600, 900, 901)]
    assert pairs[0].thermal.name == 'frame1.png'
    assert pairs[0].visible.name == 'frame1.jpg'


@pytest.mark.parametrize('names', [('Thermal', 'Visible'), ('infrared', 'visible'), ('LWIR', 'RGB')])
def test_other_folder_names(tmp_path, names):
    write(tmp_path / names[0] / 'a.png')
    write(tmp_path / names[1] / 'a.png')
    assert [pair.name for pair in datasets.aligned(tmp_path)] == ['a']


def test_split_keeps_scenes_whole(folder):
    pairs = datasets.aligned(folder)
    scenes = {pair.scene: {other.part for other in pairs if other.scene == pair.scene} for pair in pairs}
    assert scenes == {
        'frame1': {'train'},
        'frame300': {'train'},
        'frame600': {'train'},
        'frame900': {'val'},
    }
    assert [pair.name for pair in datasets.select(pairs, 'val')] == ['frame900', 'frame901']


def test_stated_scenes_are_kept_whole(tmp_path):
    records = []
    for index in range(8):
        write(tmp_path / 'ir' / f'{index}.png')
        write(tmp_path / 'vi' / f'{index}.png')
        record = {'name': str(index), 'ir': f'ir/{index}.png', 'vi': f'vi/{index}.png'}
        records.append({**record, 'sequence': f'clip{index // 2}'})
    (tmp_path / 'pairs.json').write_text(json.dumps(records))
    pairs = datasets.aligned(tmp_path)
    assert [pair.name for pair in pairs if pair.part == 'val'] == ['6', '7']


def test_scenes_that_alternate_are_never_split(tmp_path):
    records = []
    for index in range(16):
        write(tmp_path / 'ir' / f'{index}.png')
        write(tmp_path / 'vi' / f'{index}.png')
        record = {'name': str(index), 'ir': f'ir/{index}.png', 'vi': f'vi/{index}.png'}
        records.append({**record, 'scene': f'street{index % 5}'})
    (tmp_path / 'pairs.json').write_text(json.dumps(records))
    pairs = datasets.aligned(tmp_path)
    parts = {part: {pair.scene for pair in pairs if pair.part == part} for part in ('train', 'val')}
    assert parts['val'] == {'street3'}
    assert not parts['train'] & parts['val']


def test_limit_spreads_over_the_data_set(folder):
    chosen = datasets.select(datasets.aligned(folder), limit=3)
    assert [pair.name for pair in chosen] == ['frame1', 'frame301', 'frame901']


def test_one_scene_cannot_be_held_out(tmp_path):
    write(tmp_path / 'ir' / '1.png')
    write(tmp_path / 'vi' / '1.png')
    with pytest.raises(FileError, match='--split all'):
        datasets.select(datasets.aligned(tmp_path), 'val')


def test_natural_takes_the_recorded_homography(tmp_path):
    for name, shape in (('ir/1.png', (40, 50)), ('raw/1.png', (60, 70)), ('vi/1.png', (40, 50))):
        write(tmp_path / name, shape)
    matrix = [[0.5, 0, 1], [0, 0.5, 2], [0, 0, 1]]
    record = {'name': '1', 'ir': 'ir/1.png', 'vi': 'vi/1.png'}
    listing = tmp_path / 'pairs.json'
    listing.write_text(json.dumps([{**record, 'ir_raw': 'raw/1.png', 'H_raw_to_vi': matrix}]))
    (pair,) = datasets.natural(tmp_path)
    assert datasets.read(pair)[0].shape == (60, 70)
    np.testing.assert_array_equal(pair.calibration, matrix)
    assert datasets.aligned(tmp_path)[0].thermal.parent.name == 'ir'

    listing.write_text(json.dumps([{**record, 'H_ir_to_vi': matrix}]))
    with pytest.raises(FileError, match='--protocol natural'):
        datasets.aligned(tmp_path)
    listing.write_text(json.dumps([{**record, 'H_ir_to_vi': [[1, 2], [3, 4]]}]))
    with pytest.raises(FileError, match="H_ir_to_vi of '1' is not an invertible 3x3"):
        datasets.natural(tmp_path)


def test_thermal_keeps_its_depth_and_loses_equal_channels(tmp_path):
    write(tmp_path / 'ir' / '1.png', dtype=np.uint16)
    write(tmp_path / 'ir' / '2.png', (40, 50, 3))
    write(tmp_path / 'vi' / '1.png')
    write(tmp_path / 'vi' / '2.png', (40, 50, 3))
    read = [datasets.read(pair) for pair in datasets.aligned(tmp_path)]
    assert [(thermal.shape, thermal.dtype) for thermal, _ in read] == [
        ((40, 50), 'uint16'),
        ((40, 50), 'uint8'),
    ]
    assert [visible.ndim for _, visible in read] == [2, 3]


@pytest.mark.parametrize(
    ('listing', 'message'),
    [
        ('{', 'the list of pairs is not JSON'),
        ('3', 'not a list of pairs'),
        ('[]', 'no pair in it'),
        ('[{"name": "1", "ir": "ir/1.png"}]', "without 'vi'"),
    ],
)
def test_broken_listing(tmp_path, listing, message):
    (tmp_path / 'pairs.json').write_text(listing)
    with pytest.raises(FileError, match=message):
        datasets.aligned(tmp_path)


def test_unusable_folders(tmp_path):
    with pytest.raises(FileError, match='no such folder'):
        datasets.aligned(tmp_path / 'nothing')
    with pytest.raises(FileError, match='sub-folders ir/ and vi/'):
        datasets.aligned(tmp_path)
    (tmp_path / 'ir').mkdir()
    write(tmp_path / 'vi' / 'b.png')
    with pytest.raises(FileError, match='no image in it'):
        datasets.aligned(tmp_path)
    write(tmp_path / 'ir' / 'a.png')
    with pytest.raises(FileError, match='share a stem'):
        datasets.aligned(tmp_path)
    with pytest.raises(FileError, match='protocol natural needs'):
        write(tmp_path / 'vi' / 'a.png')
        datasets.natural(tmp_path)


def test_aligned_pairs_have_one_size(tmp_path):
    write(tmp_path / 'ir' / 'a.png', (40, 50))
    write(tmp_path / 'vi' / 'a.png', (50, 60))
    with pytest.raises(FileError, match="pair 'a': thermal 50x40 and visible 60x50"):
        datasets.read(datasets.aligned(tmp_path)[0])


def test_listed_file_that_is_missing(tmp_path):
    (tmp_path / 'pairs.json').write_text('[{"name": "1", "ir": "ir/1.png", "vi": "vi/1.png"}]')
    with pytest.raises(FileError, match=r'ir/1\.png: the image cannot be read'):
        datasets.read(datasets.aligned(tmp_path)[0])


def test_shared_sets():
    roadscene = datasets.aligned(shared('data/roadscene'))
    assert len(roadscene) == 162
    assert len(datasets.natural(shared('data/roadscene'))) == 97
    video = datasets.aligned(shared('data/m3svd_frames'))
    assert {pair.scene for pair in datasets.select(video, 'val')} == {'0115_1834'}
    # the natural pairs of a set are split exactly as its aligned pairs are
    parts = {pair.name: pair.part for pair in roadscene}
    assert all(pair.part == parts[pair.name] for pair in datasets.natural(shared('data/roadscene')))

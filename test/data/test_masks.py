import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.masks import Masks
from irvis_fusion_ros.errors import FileError

THERMAL, VISIBLE = (48, 64), (96, 128)


@pytest.fixture
def folder(tmp_path):
    for name, shape in (('ir', THERMAL), ('vi', VISIBLE)):
        (tmp_path / name).mkdir()
        mask = np.zeros(shape, np.uint8)
        mask[10:20, 10:30] = 1
        cv2.imwrite(str(tmp_path / name / 'a.png'), mask)
    return tmp_path


def test_masks_are_where_a_pixel_is_not_0(folder):
    masks = Masks(folder)
    thermal, visible = masks.read('a', THERMAL, VISIBLE)
    assert (thermal.shape, visible.shape) == (THERMAL, VISIBLE)
    assert thermal.dtype == bool and thermal.sum() == visible.sum() == 200
    assert masks.read('b', THERMAL, VISIBLE) is None
    assert masks.names() == ['a']


def test_a_mask_in_colours_is_one_all_the_same(folder):
    mask = np.zeros((*THERMAL, 3), np.uint8)
    mask[:5, :5, 2] = 200
    cv2.imwrite(str(folder / 'ir' / 'a.png'), mask)
    assert Masks(folder).read('a', THERMAL, VISIBLE)[0].sum() == 25


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lambda folder: (folder / 'vi' / 'a.png').rename(folder / 'vi' / 'b.png'), 'expected a mask of that'),
        (
            lambda folder: cv2.imwrite(str(folder / 'vi' / 'a.png'), np.ones((50, 60), np.uint8)),
            r'vi/a.png: expected 128x96, as its image is, found 60x50',
        ),
        (
            lambda folder: cv2.imwrite(str(folder / 'ir' / 'a.png'), np.zeros(THERMAL, np.uint8)),
            r'ir/a.png: expected pixels that are not 0, found none',
        ),
        (lambda folder: (folder / 'ir' / 'a.png').write_bytes(b'no'), r'ir/a.png: '),
    ],
)
def test_a_mask_that_does_not_fit_says_what_is_expected(folder, spoil, words):
    spoil(folder)
    with pytest.raises(FileError, match=words):
        Masks(folder).read('a', THERMAL, VISIBLE)


def test_both_folders_are_needed(tmp_path):
    (tmp_path / 'ir').mkdir()
    with pytest.raises(FileError, match=r'ir: '):
        Masks(tmp_path)

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import images


def noise(shape, dtype):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


@pytest.mark.parametrize(
    ('name', 'image'),
    [
        ('gray8.png', noise((33, 47), np.uint8)),
        ('gray16.png', noise((33, 47), np.uint16)),
        ('gray16.tiff', noise((33, 47), np.uint16)),
        ('colour8.png', noise((33, 47, 3), np.uint8)),
        ('colour16.png', noise((33, 47, 3), np.uint16)),
        ('float.tiff', np.random.default_rng(0).random((33, 47), np.float32)),
    ],
)
def test_nothing_is_lost(tmp_path, name, image):
    cv2.imwrite(str(tmp_path / name), image)
    found = images.read(tmp_path / name)
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


def test_alpha_is_dropped(tmp_path):
    image = noise((33, 47, 4), np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    np.testing.assert_array_equal(images.read(tmp_path / 'a.png'), image[..., :3])


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tiff', '.bmp'])
def test_a_file_cut_short_is_refused(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    cv2.imwrite(str(path), noise((120, 160, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FileError, match=rf'a\{suffix}'):
        images.read(path)


def test_files_that_are_no_image(tmp_path):
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.png').write_text('not an image')
    with pytest.raises(FileError, match='is empty'):
        images.read(tmp_path / 'empty.png')
    with pytest.raises(FileError, match='not an image'):
        images.read(tmp_path / 'text.png')
    with pytest.raises(FileError, match='No such file'):
        images.read(tmp_path / 'nothing.png')


def test_by_stem_in_natural_order(tmp_path):
    for name in ('b10.png', 'b9.JPG', 'a.tiff', 'notes.txt', '.hidden.png'):
        (tmp_path / name).write_bytes(b'x')
    (tmp_path / 'folder.png').mkdir()
    assert list(images.by_stem(tmp_path)) == ['a', 'b9', 'b10']


def test_two_files_of_one_stem_are_refused(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'x')
    (tmp_path / 'a.jpg').write_bytes(b'x')
    with pytest.raises(FileError, match=r'a\.jpg and a\.png have one stem'):
        images.by_stem(tmp_path)

import resource

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.errors import FileError, ImageError
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


def encoded(suffix, image):
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize('dtype', ['int8', 'int16', 'int32', 'float64'])
def test_tiff_keeps_signs_and_depth(tmp_path, dtype):
    image = np.random.default_rng(0).normal(-20, 40, (33, 47)).astype(dtype)
    images.write(tmp_path / 'a.tiff', image)
    found = images.read(tmp_path / 'a.tiff')
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


def photograph(height=96, width=128):
    smooth = cv2.resize(noise((6, 8, 3), np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return encoded('.jpg', smooth), smooth


def test_what_lies_behind_a_jpeg_does_not_matter():
    """A preview is a JPEG itself; raw thermal values may hold the bytes of any marker."""
    data, _ = photograph()
    for behind in (photograph(24, 32)[0][:-20], b'\xff\xda' + bytes(100)):
        np.testing.assert_array_equal(images.decode(data + behind), images.decode(data))
        with pytest.raises(ImageError, match='cut short'):
            images.decode(data[: len(data) // 2] + behind[:2])


def with_orientation(data, orientation):
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01' + bytes(
        [0, orientation, 0, 0, 0, 0, 0, 0]
    )
    return data[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + data[2:]


def test_orientation_is_applied():
    data, _ = photograph()
    upright = images.decode(data)
    np.testing.assert_array_equal(images.decode(with_orientation(data, 3)), upright[::-1, ::-1])
    assert images.decode(with_orientation(data, 6)).shape == (128, 96, 3)


def test_cmyk_is_read():
    pil = pytest.importorskip('PIL.Image')
    import io

    _, image = photograph()
    file = io.BytesIO()
    pil.fromarray(image[..., ::-1]).convert('CMYK').save(file, 'JPEG', quality=95)
    assert np.abs(images.decode(file.getvalue()).astype(int) - image).mean() < 4


@pytest.mark.parametrize(
    ('name', 'write'), [('a.png', images.write), ('a.tiff', images.write), ('a.npy', images.write_array)]
)
def test_a_disk_without_room_is_named_and_no_part_of_a_file_stays(tmp_path, name, write):
    noise = np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(FileError, match=rf'{name}: cannot be written \(File too large\)'):
            write(tmp_path / name, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())

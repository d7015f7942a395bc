import io

import cv2
import hostile_images
import hypothesis
import mutation
import numpy as np
import pytest
from hostile_images import encoded, ramp
from memory_taken import taken_by

from irvis_fusion_ros.errors import FileError, ImageError
from irvis_fusion_ros.io import image_header, images

HOSTILE = hostile_images.all()
PARAMETERS = {
    'progressive.jpg': [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    'restarts.jpg': [cv2.IMWRITE_JPEG_RST_INTERVAL, 2],
    'lossless.webp': [cv2.IMWRITE_WEBP_QUALITY, 101],
}


def ordinary(height=37, width=41):
    """Return images of every format and kind that is read, by name."""
    gray, colour = ramp(height, width), ramp(height, width, 3)
    found = {
        f'{kind} {each.ndim}': encoded(f'.{kind}', each)
        for kind in ('png', 'jpg', 'tif', 'webp', 'bmp')
        for each in (gray, colour)
    }
    found |= {
        f'{kind} 16': encoded(f'.{kind}', ramp(height, width, 3, np.uint16)) for kind in ('png', 'tif', 'ppm')
    }
    found |= {f'tif {kind}': encoded('.tif', gray.astype(kind)) for kind in ('float32', 'int16')}
    found |= {'png alpha': encoded('.png', ramp(height, width, 4)), 'pgm': encoded('.pgm', gray)}
    found |= {
        name: encoded(f'.{name.partition(".")[2]}', colour, *values) for name, values in PARAMETERS.items()
    }
    found |= {'pgm text': b'P2 # a comment\n%d %d 255\n' % (width, height) + b'7 ' * width * height}
    pil = pytest.importorskip('PIL.Image')
    by_pil = {
        'png palette': (pil.fromarray(colour).quantize(), {'format': 'PNG'}),
        'png bits': (pil.fromarray(gray > 99), {'format': 'PNG'}),
        'jpg cmyk': (pil.fromarray(colour).convert('CMYK'), {'format': 'JPEG', 'progressive': True}),
        'tif lzw': (pil.fromarray(colour), {'format': 'TIFF', 'compression': 'tiff_lzw'}),
        'tif deflate': (pil.fromarray(colour).quantize(), {'format': 'TIFF', 'compression': 'tiff_deflate'}),
        'tif big': (pil.fromarray(colour), {'format': 'TIFF', 'big_tiff': True}),
        'webp alpha': (pil.fromarray(ramp(height, width, 4)), {'format': 'WEBP'}),
        'pbm': (pil.fromarray(gray > 99), {'format': 'PPM'}),
        'bmp palette': (pil.fromarray(colour).quantize(), {'format': 'BMP'}),
    }
    for name, (image, options) in by_pil.items():
        file = io.BytesIO()
        image.save(file, **options)
        found[name] = file.getvalue()
    return found


ORDINARY = ordinary()


@pytest.mark.parametrize('name', ORDINARY)
def test_the_size_is_known_before_an_image_is_decoded(name):
    data = ORDINARY[name]
    header = image_header.read(data)
    assert (header.width, header.height) == (41, 37)
    assert images.decode(data).shape[:2] == (37, 41)
    for short in (1, 9, 20, len(data) // 2):
        with pytest.raises(ImageError):
            image_header.read(data[:short])


@pytest.mark.parametrize('name', HOSTILE)
def test_what_attacks_a_decoder_is_refused_in_a_sentence(name, tmp_path):
    with pytest.raises(ImageError) as caught:
        images.decode(HOSTILE[name])
    assert caught.value.cause in ('corrupt', 'unknown_encoding', 'too_large')
    (tmp_path / 'a.png').write_bytes(HOSTILE[name])
    with pytest.raises(FileError, match=r'a\.png: '):
        images.read(tmp_path / 'a.png')


def test_no_image_takes_more_memory_than_it_says():
    for data in HOSTILE.values():
        assert taken_by(images.decode, data) < 32 << 20
    for name, data in ordinary(1500, 2000).items():
        assert taken_by(images.decode, data) < image_header.read(data).memory + (8 << 20), name


def test_the_limit_holds_for_pixels_and_memory():
    data = encoded('.tif', ramp(1000, 1000, 3).astype(np.float64))
    with pytest.raises(ImageError, match='1000x1000; at most 999999 pixels'):
        images.decode(data, 999_999)
    with pytest.raises(ImageError, match=r'takes [0-9]+ MB'):
        images.decode(data, 1_000_000)
    assert images.decode(data, 4_000_000).shape == (1000, 1000, 3)


def test_parts_that_decoders_would_unpack_are_left_out():
    bomb = hostile_images.chunk(b'zTXt', b'a\0\0' + bytes(1000))
    data = ORDINARY['png 3']
    found = image_header.read(data[:33] + bomb + data[33:] + b'behind the end')
    assert bytes(found.data) == data


def test_a_second_page_of_a_tiff_is_passed_over():
    one = hostile_images.tiff()
    directory = 16 + 64 * 64
    two = one[:-4] + len(one).to_bytes(4, 'little') + one[directory:]
    np.testing.assert_array_equal(images.decode(two), ramp())


@hypothesis.given(mutation.of(list(ORDINARY.values())))
@hypothesis.settings(max_examples=300)
def test_of_any_bytes_there_is_an_image_of_the_stated_size_or_a_sentence(data):
    try:
        image = images.decode(data, 1_000_000)
    except ImageError as error:
        assert str(error)
        return
    header = image_header.read(data)
    assert {*image.shape[:2]} == {header.width, header.height}
    assert header.memory < 32 << 20

"""Images and messages: round trips of every encoding, odd sizes and layouts, and refusals by cause."""

import array

import cv2
import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed (extra `ros`)')

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io import encodings
from irvis_fusion_ros.ros.conversions import to_compressed, to_image, to_picture

LIMIT = 20_000_000
# Those that are pixels as they are stored, but for alpha.
ENCODINGS = [
    'mono8',
    '8UC1',
    'mono16',
    '16UC1',
    '32FC1',
    '8UC3',
    'bgr8',
    'rgb8',
    'bgra8',
    'rgba8',
    'bgr16',
    'rgb16',
    '16SC1',
    '8SC1',
    '32SC1',
    '64FC1',
    '8UC4',
    '16UC3',
    '16UC4',
    'rgba16',
    '16SC4',
]


def pixels_of(encoding, height=47, width=33, seed=0):
    kind = encodings.find(encoding)
    rng = np.random.default_rng(seed)
    shape = (height, width) if kind.channels == 1 else (height, width, kind.channels)
    if kind.dtype.kind == 'f':
        pixels = rng.normal(300, 20, shape).astype(kind.dtype)
        pixels[3, 4] = np.nan
        return pixels
    limits = np.iinfo(kind.dtype)
    return rng.integers(limits.min, limits.max, shape, kind.dtype, endpoint=True)


def image(encoding, pixels, *, padding=0, big_endian=False):
    """Build a message by hand, independently of `to_image`."""
    data = pixels.astype(pixels.dtype.newbyteorder('>' if big_endian else '<'))
    rows = [row.tobytes() + b'\xaa' * padding for row in data]
    message = Image(
        height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=int(big_endian)
    )
    message.step = len(rows[0])
    message.data = array.array('B', b''.join(rows))
    return message


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('padding', [0, 1, 7, 32])
@pytest.mark.parametrize('big_endian', [False, True])
def test_every_encoding_is_read_in_every_layout(encoding, padding, big_endian):
    pixels = pixels_of(encoding)
    picture = to_picture(image(encoding, pixels, padding=padding, big_endian=big_endian), LIMIT)
    assert picture.pixels.dtype == pixels.dtype and picture.pixels.dtype.isnative
    np.testing.assert_array_equal(picture.pixels, pixels[..., :3] if pixels.ndim == 3 else pixels)
    assert picture.order == ('rgb' if encoding.startswith('rgb') else 'bgr')
    assert picture.encoding == encoding.replace('a8', '8').replace('a16', '16').replace('C4', 'C3')
    cv2.flip(picture.pixels, 0)  # OpenCV takes the view as it is


@pytest.mark.parametrize('encoding', [name for name in ENCODINGS if encodings.find(name).channels < 4])
def test_round_trip(encoding):
    pixels = pixels_of(encoding)
    header = Header(frame_id='camera_optical')
    message = to_image(pixels, encoding, header)
    assert (message.height, message.width, message.encoding) == (47, 33, encoding)
    assert message.step * message.height == len(message.data)
    assert message.header == header
    np.testing.assert_array_equal(to_picture(message, LIMIT).pixels, pixels)


def test_field_is_published_as_two_channels_with_nan():
    field = np.random.default_rng(0).normal(0, 5, (41, 37, 2)).astype(np.float32)
    field[0] = np.nan
    message = to_image(field, '32FC2', Header())
    assert message.step == 37 * 8
    np.testing.assert_array_equal(np.frombuffer(message.data, np.float32).reshape(41, 37, 2), field)


def test_pixels_that_do_not_fit_the_encoding_are_refused():
    with pytest.raises(ValueError, match='mono8'):
        to_image(np.zeros((40, 40, 3), np.uint8), 'mono8', Header())


def test_more_data_than_any_image_has_is_refused():
    message = image('mono8', np.zeros((64, 64), np.uint8))
    message.data = array.array('B', bytes(16 * 64 * 64))
    assert to_picture(message, 64 * 64).pixels.shape == (64, 64)
    message.data.append(0)
    with pytest.raises(ImageError, match='MB of data') as caught:
        to_picture(message, 64 * 64)
    assert caught.value.cause == 'too_large'


def test_reading_copies_nothing():
    message = image('mono16', pixels_of('mono16'), padding=4)
    assert np.shares_memory(to_picture(message, LIMIT).pixels, np.frombuffer(message.data, np.uint8))


def test_a_view_that_is_not_contiguous_is_published_whole():
    pixels = np.random.default_rng(0).integers(0, 255, (80, 90, 3), np.uint8)[::2, 10:, ::-1]
    np.testing.assert_array_equal(to_picture(to_image(pixels, 'bgr8', Header()), LIMIT).pixels, pixels)


def encoded(pixels, suffix, form):
    message = CompressedImage(format=form)
    message.data = array.array('B', cv2.imencode(suffix, pixels)[1].tobytes())
    return message


@pytest.mark.parametrize(
    ('encoding', 'form', 'expected'),
    [
        ('mono8', 'mono8; png compressed mono8', 'mono8'),
        ('mono16', '16UC1; png compressed ', '16UC1'),
        ('mono16', 'mono16; png compressed mono16', 'mono16'),
        ('mono16', 'png', 'mono16'),
        ('8UC1', '8UC1; png compressed ', '8UC1'),
        ('bgr8', 'rgb8; png compressed bgr8', 'bgr8'),
        ('bgr8', 'png', 'bgr8'),
        ('bgra8', 'bgra8; png compressed bgra8', 'bgr8'),
    ],
)
def test_png_is_read_exactly(encoding, form, expected):
    pixels = pixels_of(encoding)
    picture = to_picture(encoded(pixels, '.png', form), LIMIT)
    np.testing.assert_array_equal(picture.pixels, pixels[..., :3] if pixels.ndim == 3 else pixels)
    assert (picture.encoding, picture.order) == (expected, 'bgr')


@pytest.mark.parametrize('encoding', ['16SC1', '32FC1', '64FC1', 'mono16', 'bgr16'])
def test_tiff_is_read_exactly(encoding):
    pixels = pixels_of(encoding)
    for form, expected in ((f'{encoding}; tiff compressed ', encoding), ('tiff', encoding)):
        picture = to_picture(encoded(pixels, '.tiff', form), LIMIT)
        np.testing.assert_array_equal(picture.pixels, pixels)
        assert (picture.encoding, picture.order) == (expected, 'bgr')


@pytest.mark.parametrize('form', ['jpeg', 'rgb8; jpeg compressed bgr8', ''])
def test_jpeg_is_read(form):
    pixels = cv2.GaussianBlur(pixels_of('bgr8', 64, 96), (0, 0), 8)
    picture = to_picture(encoded(pixels, '.jpg', form), LIMIT)
    assert np.abs(picture.pixels.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'mono8'])
@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_compressed_output_is_what_image_transport_expects(encoding, kind):
    pixels = cv2.GaussianBlur(pixels_of(encoding, 64, 96), (0, 0), 8)
    message = to_compressed(pixels, encoding, Header(), kind=kind, jpeg_quality=95, png_level=1)
    assert message.format == f'{encoding}; {kind} compressed {"mono8" if encoding == "mono8" else "bgr8"}'
    blue_first = pixels[..., ::-1] if encoding == 'rgb8' else pixels
    assert np.abs(to_picture(message, LIMIT).pixels.astype(int) - blue_first).max() <= (
        12 if kind == 'jpeg' else 0
    )


def spoiled(**changes):
    message = image('bgr8', pixels_of('bgr8', 40, 40))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def cut(message, share):
    message.data = message.data[: int(len(message.data) * share)]
    return message


@pytest.mark.parametrize(
    ('cause', 'text', 'message'),
    [
        ('truncated', '40x40 bgr8', cut(spoiled(), 0.9)),
        ('step', 'step is 100', spoiled(step=100)),
        ('step', 'step is 0', spoiled(step=0)),
        ('unknown_encoding', 'yuv999.*bgr8.*cv_bridge', spoiled(encoding='yuv999')),
        ('unknown_encoding', "''", spoiled(encoding='')),
        ('empty', '40x40', spoiled(data=array.array('B'))),
        ('empty', '0x40', spoiled(width=0)),
        ('too_small', '1x1', image('mono8', np.zeros((1, 1), np.uint8))),
        ('too_small', '31x64', image('mono8', np.zeros((64, 31), np.uint8))),
        ('too_large', '8000x6000.*limits.max_pixels', spoiled(width=8000, height=6000)),
        ('too_large', '8000x6000', encoded(np.zeros((6000, 8000), np.uint8), '.png', 'png')),
        ('too_large', '8000x6000', encoded(np.zeros((6000, 8000), np.uint8), '.jpg', 'jpeg')),
        ('too_large', '8000x6000', encoded(np.zeros((6000, 8000), np.uint8), '.tiff', 'tiff')),
        ('too_small', '1x1', encoded(np.zeros((1, 1), np.uint8), '.png', 'png')),
        ('corrupt', 'cut short', cut(encoded(pixels_of('bgr8'), '.jpg', 'jpeg'), 0.5)),
        ('corrupt', 'cut short', cut(encoded(pixels_of('bgr8'), '.png', 'png'), 0.5)),
        ('corrupt', 'not an image', CompressedImage(format='jpeg', data=b'no image')),
        ('corrupt', 'no end', CompressedImage(format='jpeg', data=b'\xff\xd8\xff')),
        ('empty', 'without data', CompressedImage(format='jpeg')),
        ('unknown_encoding', 'compressedDepth', CompressedImage(format='16UC1; compressedDepth', data=b'x')),
    ],
)  # fmt: skip
def test_refusals_say_cause_and_remedy(cause, text, message):
    with pytest.raises(ImageError, match=text) as caught:
        to_picture(message, LIMIT)
    assert caught.value.cause == cause


def test_a_message_longer_than_needed_is_read():
    message = spoiled()
    message.data.extend(b'trailing')
    assert to_picture(message, LIMIT).pixels.shape == (40, 40, 3)


def test_the_last_row_needs_no_padding():
    message = image('mono8', pixels_of('mono8', 40, 40), padding=8)
    message.data = message.data[:-8]
    np.testing.assert_array_equal(to_picture(message, LIMIT).pixels, pixels_of('mono8', 40, 40))

"""The table of encodings: the colours of a scene come out, whatever they were sent as. No ROS needed."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io import encodings


def scene(height=96, width=128):
    """Return a smooth colourful picture, BGR uint8."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (255 * np.stack((x, 1 - y, 0.2 + 0.6 * x * y), axis=2)).astype(np.uint8)


def yuv(bgr):
    """BT.601 with 16 to 235, from its definition; Y, U, V as floats."""
    blue, green, red = np.moveaxis(bgr.astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return 16 + luma * 219 / 255, 128 + (blue - luma) * 112 / 225.93, 128 + (red - luma) * 112 / 178.755


def sent(encoding, picture):
    """Return what a camera stores of a picture in an encoding."""
    luma, u, v = (np.round(plane).astype(np.uint8) for plane in yuv(picture))
    chroma = {'u': u[:, ::2], 'v': v[:, ::2]}
    if encoding in ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'):
        values = np.empty((*luma.shape, 2), np.uint8)
        at = 1 if encoding in ('yuv422', 'uyvy') else 0
        values[..., at], values[:, ::2, 1 - at], values[:, 1::2, 1 - at] = luma, chroma['u'], chroma['v']
        return values
    if encoding in ('nv12', 'nv21'):
        planes = [chroma['u'][::2], chroma['v'][::2]][:: 1 if encoding == 'nv12' else -1]
        return np.vstack((luma, np.stack(planes, axis=2).reshape(-1, luma.shape[1])))
    if encoding == 'nv24':
        return np.vstack((luma, np.stack((u, v), axis=2).reshape(-1, luma.shape[1])))
    pattern = encoding[len('bayer_') :][:4]
    values = np.empty(luma.shape, np.uint8)
    for place, colour in enumerate(pattern):
        row, column = divmod(place, 2)
        values[row::2, column::2] = picture[row::2, column::2, 'bgr'.index(colour)]
    return values.astype(np.uint16) * 257 if encoding.endswith('16') else values


def message(encoding, values, *, padding=0, big_endian=False):
    rows = values.astype(values.dtype.newbyteorder('>' if big_endian else '<'))
    rows = [row.tobytes() + b'\xaa' * padding for row in rows]
    height = int(len(rows) / encodings.find(encoding).rows)
    return SimpleNamespace(
        encoding=encoding,
        height=height,
        width=values.shape[1],
        step=len(rows[0]),
        is_bigendian=int(big_endian),
        data=b''.join(rows),
    )


def decoded(sent_message):
    encodings.check(sent_message)
    return encodings.picture(encodings.stored(sent_message), sent_message.encoding)


CONVERTED = [name for name, encoding in encodings.NAMED.items() if encoding.convert and encoding.channels < 3]


@pytest.mark.parametrize('encoding', CONVERTED)
@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('big_endian', [False, True])
def test_colours_come_out(encoding, padding, big_endian):
    if encoding == 'nv24' and padding:
        pytest.skip('its rows cannot be padded')
    found = decoded(message(encoding, sent(encoding, scene()), padding=padding, big_endian=big_endian))
    deep = encoding.endswith('16')
    assert found.encoding == ('bgr16' if deep else 'bgr8') and found.order == 'bgr'
    error = np.abs(found.pixels / (257 if deep else 1) - scene())[2:-2, 2:-2]  # no neighbours at the border
    assert error.mean() < 2 and error.max() < 12


@pytest.mark.parametrize('encoding', CONVERTED)
def test_cut_data_is_refused(encoding):
    cut = message(encoding, sent(encoding, scene()))
    cut.data = cut.data[:-1]
    with pytest.raises(ImageError) as caught:
        encodings.check(cut)
    assert caught.value.cause == 'truncated'


@pytest.mark.parametrize(('encoding', 'size'), [('yuyv', (63, 48)), ('nv12', (64, 47)), ('nv21', (63, 48))])
def test_sizes_that_an_encoding_cannot_have_are_refused(encoding, size):
    width, height = size
    odd = SimpleNamespace(
        encoding=encoding, width=width, height=height, step=2 * width, is_bigendian=0, data=bytes(9999)
    )
    with pytest.raises(ImageError, match=f'{width}x{height}.*even') as caught:
        encodings.check(odd)
    assert caught.value.cause == 'odd_size'


@pytest.mark.parametrize('encoding', ['8UC2', '32FC2', '16UC5'])
def test_what_has_no_colours_is_no_picture(encoding):
    kind = encodings.find(encoding)
    with pytest.raises(ImageError, match=f'{kind.channels} channels'):
        encodings.picture(np.zeros((48, 64, kind.channels), kind.dtype), encoding)


@pytest.mark.parametrize('name', ['', 'yuv', '8UC0', '32UC1', '8UC', 'mono12', '16SC1 '])
def test_what_is_not_known_is_named(name):
    with pytest.raises(ImageError, match=f"'{name}'; known are mono8"):
        encodings.find(name)


@pytest.mark.parametrize(
    ('dtype', 'shape', 'wanted', 'name'),
    [
        ('uint8', (4, 5), '', 'mono8'),
        ('uint8', (4, 5), '8UC1', '8UC1'),
        ('uint16', (4, 5), 'mono8', 'mono16'),
        ('uint8', (4, 5, 3), 'rgb8', 'bgr8'),
        ('uint16', (4, 5, 3), '', 'bgr16'),
        ('int16', (4, 5), '', '16SC1'),
        ('float64', (4, 5), 'bayer_rggb8', '64FC1'),
        ('uint8', (4, 5), 'bayer_rggb8', 'mono8'),
    ],
)
def test_names_of_pixels(dtype, shape, wanted, name):
    assert encodings.name_of(np.zeros(shape, dtype), wanted) == name


def test_the_format_of_image_transport():
    assert encodings.stated('16UC1; png compressed ') == '16UC1'
    assert encodings.stated('jpeg') == encodings.stated('') == ''


def test_patterns_are_named_as_ros_names_them():
    """A red picture through a filter that begins with red has its first pixel lit."""
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 200
    values = sent('bayer_rggb8', red)
    assert values[0, 0] == 200 and not values[0, 1] and not values[1, 1]
    assert cv2.mean(encodings.picture(values, 'bayer_rggb8').pixels)[:3] == (0, 0, 200)

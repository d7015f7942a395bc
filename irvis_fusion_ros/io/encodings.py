"""
The table of image encodings: how the bytes of a message become pixels, for the node, bags and training.

It does not depend on ROS: a message is any object with the fields of sensor_msgs/Image.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from irvis_fusion_ros.errors import ImageError

Convert = Callable[[np.ndarray], np.ndarray]
# YUV (BT.601, 16 to 235) to BGR, equal to OpenCV's conversion of subsampled images; it has none for nv24.
_YUV_TO_BGR = np.array(
    [
        [1.164, 2.018, 0.0, -1.164 * 16 - 2.018 * 128],
        [1.164, -0.391, -0.813, -1.164 * 16 + (0.391 + 0.813) * 128],
        [1.164, 0.0, 1.596, -1.164 * 16 - 1.596 * 128],
    ]
)


@dataclass(frozen=True)
class Encoding:
    """
    How an image is stored, and how it becomes pixels.

    dtype, channels: type and number of stored values per pixel. rows: stored rows per row of the image, more
    than one where planes are stored one below the other. even: (width, height), whether it must be even.
    order: of the colours, 'bgr' or 'rgb'; 'bgr' for gray. pixels: the encoding of the pixels. convert: from
    stored values to pixels; None where they are the same.
    """

    dtype: np.dtype
    channels: int
    pixels: str
    order: str = 'bgr'
    convert: Convert | None = None
    rows: Fraction = Fraction(1)
    even: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class Picture:
    """pixels: H x W or H x W x 3, maybe read-only. encoding: its ROS name. order: 'bgr' or 'rgb'."""

    pixels: np.ndarray
    encoding: str
    order: str

    @property
    def kind(self) -> tuple:
        """The properties that must stay the same in a stream: shape, type and encoding."""
        return (*self.pixels.shape[1::-1], self.encoding)


def _by_opencv(code: int) -> Convert:
    return lambda stored: cv2.cvtColor(stored, code)


def _without_alpha(stored: np.ndarray) -> np.ndarray:
    if stored.dtype.name in ('uint8', 'uint16', 'float32'):
        return cv2.cvtColor(stored, cv2.COLOR_BGRA2BGR)  # drops the last channel in any colour order
    return np.ascontiguousarray(stored[..., :3])  # OpenCV does not convert the other types


def _from_nv24(stored: np.ndarray) -> np.ndarray:
    height, width = stored.shape[0] // 3, stored.shape[1]
    luma, chroma = stored[:height, :, None], stored[height:].reshape(height, width, 2)
    return cv2.transform(np.concatenate((luma, chroma), axis=2), _YUV_TO_BGR)


def _plain(name: str, kind: str, channels: int, order: str = 'bgr') -> Encoding:
    return Encoding(np.dtype(kind), channels, name, order)


def _with_alpha(kind: str, pixels: str, order: str = 'bgr') -> Encoding:
    return Encoding(np.dtype(kind), 4, pixels, order, _without_alpha)


def _packed_yuv(code: int) -> Encoding:
    return Encoding(np.dtype('u1'), 2, 'bgr8', convert=_by_opencv(code), even=(True, False))


def _planar_yuv(convert: Convert, rows: Fraction, even: bool) -> Encoding:
    return Encoding(np.dtype('u1'), 1, 'bgr8', convert=convert, rows=rows, even=(even, even))


def _bayer(kind: str, pixels: str, code: int) -> Encoding:
    return Encoding(np.dtype(kind), 1, pixels, convert=_by_opencv(code))


_UYVY = _packed_yuv(cv2.COLOR_YUV2BGR_UYVY)
_YUYV = _packed_yuv(cv2.COLOR_YUV2BGR_YUY2)
# OpenCV names a Bayer pattern by its second row from the second column on, ROS by its first row from the
# first.
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2BGR,
    'bggr': cv2.COLOR_BayerRG2BGR,
    'gbrg': cv2.COLOR_BayerGR2BGR,
    'grbg': cv2.COLOR_BayerGB2BGR,
}
# The names of sensor_msgs/image_encodings.hpp, and nv12, which drivers also send. Names of OpenCV's types,
# such as 16SC1, are parsed.
NAMED = {
    'mono8': _plain('mono8', 'u1', 1),
    'mono16': _plain('mono16', 'u2', 1),
    'bgr8': _plain('bgr8', 'u1', 3),
    'rgb8': _plain('rgb8', 'u1', 3, 'rgb'),
    'bgr16': _plain('bgr16', 'u2', 3),
    'rgb16': _plain('rgb16', 'u2', 3, 'rgb'),
    'bgra8': _with_alpha('u1', 'bgr8'),
    'rgba8': _with_alpha('u1', 'rgb8', 'rgb'),
    'bgra16': _with_alpha('u2', 'bgr16'),
    'rgba16': _with_alpha('u2', 'rgb16', 'rgb'),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
    'nv12': _planar_yuv(_by_opencv(cv2.COLOR_YUV2BGR_NV12), Fraction(3, 2), even=True),
    'nv21': _planar_yuv(_by_opencv(cv2.COLOR_YUV2BGR_NV21), Fraction(3, 2), even=True),
    'nv24': _planar_yuv(_from_nv24, Fraction(3), even=False),
    **{f'bayer_{pattern}8': _bayer('u1', 'bgr8', code) for pattern, code in _BAYER.items()},
    **{f'bayer_{pattern}16': _bayer('u2', 'bgr16', code) for pattern, code in _BAYER.items()},
}
_GENERIC = re.compile(r'(8U|8S|16U|16S|16F|32S|32F|64F)C([1-9]\d{0,2})')
_KINDS = {'U': 'u', 'S': 'i', 'F': 'f'}
# Names of pixels without a stated encoding, by type and number of channels; other pixels are named by their
# type.
_OF_PIXELS = {('uint8', 1): 'mono8', ('uint8', 3): 'bgr8', ('uint16', 1): 'mono16', ('uint16', 3): 'bgr16'}


def find(name: str) -> Encoding:
    """Return an encoding by its name. Raises ImageError, cause 'unknown_encoding'."""
    if name in NAMED:
        return NAMED[name]
    match = _GENERIC.fullmatch(name)
    if not match:
        raise ImageError('unknown_encoding', f"unknown image encoding '{name[:60]}'; known are {listed()}")
    kind, channels = f'{_KINDS[match[1][-1]]}{int(match[1][:-1]) // 8}', int(match[2])
    if channels == 4:
        return _with_alpha(kind, f'{match[1]}C3')
    return _plain(name, kind, channels)


def listed() -> str:
    """Return the known encodings, as part of a sentence."""
    return f'{", ".join(NAMED)}, 8UC1 to 64FC4'


def name_of(pixels: np.ndarray, wanted: str = '') -> str:
    """Return the encoding of pixels in OpenCV's order of colours: `wanted`, if they are of that type."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    try:
        known = find(wanted)
    except ImageError:
        known = None
    if (
        known
        and not known.convert
        and (known.dtype, known.channels, known.order)
        == (
            pixels.dtype,
            channels,
            'bgr',
        )
    ):
        return wanted
    kind = {'u': 'U', 'i': 'S', 'f': 'F'}[pixels.dtype.kind]
    return _OF_PIXELS.get((pixels.dtype.name, channels), f'{8 * pixels.dtype.itemsize}{kind}C{channels}')


def stated(form: str) -> str:
    """Return the encoding at the start of a CompressedImage's format ('16UC1; png compressed '), or ''."""
    match = re.match(r'\s*(\w+)\s*;', form)
    return match[1] if match else ''


def check(message: Any) -> None:
    """
    Refuse an image whose data does not match its fields.

    Raises ImageError with cause 'unknown_encoding', 'odd_size', 'step' or 'truncated'.
    """
    encoding = find(message.encoding)
    width, height = message.width, message.height
    for name, size, even in zip(('width', 'height'), (width, height), encoding.even, strict=True):
        if even and size % 2:
            raise ImageError('odd_size', f'image is {width}x{height}: {message.encoding} has an even {name}')
    row = width * encoding.channels * encoding.dtype.itemsize
    if message.step < row:
        raise ImageError(
            'step', f'step is {message.step}, but {width} pixels of {message.encoding} take {row} bytes'
        )
    if message.encoding == 'nv24' and message.step != row:  # its second plane has rows twice as long
        raise ImageError('step', f'step is {message.step}; rows of nv24 cannot be padded')
    least = message.step * (int(height * encoding.rows) - 1) + row
    if len(message.data) < least:
        raise ImageError(
            'truncated',
            f'{len(message.data)} bytes of data, but {width}x{height} {message.encoding} '
            f'with step {message.step} takes {least}',
        )


def stored(message: Any) -> np.ndarray:
    """
    Return the stored values of an image that passed `check`: rows x width, or rows x width x channels.

    They are in native byte order and without padding; a view of the message's memory where possible.
    """
    encoding = find(message.encoding)
    channels, dtype = encoding.channels, encoding.dtype.newbyteorder('>' if message.is_bigendian else '<')
    rows = int(message.height * encoding.rows)
    shape = (rows, message.width) + (() if channels == 1 else (channels,))
    strides = (message.step, channels * dtype.itemsize) + (() if channels == 1 else (dtype.itemsize,))
    values = np.ndarray(shape, dtype, message.data, strides=strides)
    if not dtype.isnative:
        return values.astype(dtype.newbyteorder('='))
    return np.ascontiguousarray(values) if message.step % dtype.itemsize else values


def picture(values: np.ndarray, name: str) -> Picture:
    """Convert values stored in an encoding to pixels. Raises ImageError if they are not an image."""
    encoding = find(name)
    if encoding.convert is not None:
        return Picture(encoding.convert(values), encoding.pixels, encoding.order)
    if encoding.channels not in (1, 3):
        raise ImageError(
            'unknown_encoding', f"encoding '{name}' has {encoding.channels} channels; a picture has 1, 3 or 4"
        )
    return Picture(values, encoding.pixels, encoding.order)

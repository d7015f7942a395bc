"""
ROS image messages to NumPy and back, without a copy where the memory layout allows it.

The encodings that cameras of this kind send are converted here; cv_bridge, where installed, does the rest.
"""

import array
import functools
import re
import struct
import sys
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io import images
from irvis_fusion_ros.predictor import LARGEST_SIDE, SMALLEST_SIDE

# encoding: (type of a channel, channels, order of the colours)
ENCODINGS = {
    'mono8': ('u1', 1, 'bgr'),
    '8UC1': ('u1', 1, 'bgr'),
    'mono16': ('u2', 1, 'bgr'),
    '16UC1': ('u2', 1, 'bgr'),
    '32FC1': ('f4', 1, 'bgr'),
    '8UC3': ('u1', 3, 'bgr'),
    'bgr8': ('u1', 3, 'bgr'),
    'rgb8': ('u1', 3, 'rgb'),
    'bgra8': ('u1', 4, 'bgr'),
    'rgba8': ('u1', 4, 'rgb'),
}
_FIELD_ENCODING = '32FC2'
_CHANNELS = {name: channels for name, (_, channels, _) in ENCODINGS.items()} | {_FIELD_ENCODING: 2}
_WITHOUT_ALPHA = {'bgra8': 'bgr8', 'rgba8': 'rgb8'}
_BIG_ENDIAN_HOST = sys.byteorder == 'big'


@dataclass(frozen=True)
class Picture:
    """pixels: H x W or H x W x 3, maybe read-only. encoding: its ROS name. order: 'bgr' or 'rgb'."""

    pixels: np.ndarray
    encoding: str
    order: str

    @property
    def kind(self) -> tuple:
        """What has to stay the same in a stream: shape, type and encoding."""
        return (*self.pixels.shape[1::-1], self.encoding)


def check(message: Any, max_pixels: int) -> None:
    """
    Refuse an Image or CompressedImage that cannot be used, as far as its fields tell, at next to no cost.

    Raises ImageError with cause 'empty', 'too_small', 'too_large', 'unknown_encoding', 'step' or 'truncated'.
    """
    if isinstance(message, CompressedImage):
        _check_compressed(message, max_pixels)
    else:
        _check_raw(message, max_pixels)


def to_picture(message: Any, max_pixels: int) -> Picture:
    """
    Return the pixels of an Image or CompressedImage.

    Raises ImageError as `check` and `decode` do.
    """
    check(message, max_pixels)
    return decode(message)


def decode(message: Any) -> Picture:
    """
    Return the pixels of an Image or CompressedImage that `check` let pass.

    They are a view of the message's memory where it needs no conversion; alpha is dropped, big-endian values
    are swapped, padding of rows is skipped. Raises ImageError with cause 'corrupt' or 'unknown_encoding'.
    """
    if isinstance(message, CompressedImage):
        return _decode(message)
    if message.encoding not in ENCODINGS:
        return _by_cv_bridge(message)
    kind, channels, order = ENCODINGS[message.encoding]
    dtype = np.dtype(kind).newbyteorder('>' if message.is_bigendian else '<')
    shape = (message.height, message.width) + (() if channels == 1 else (channels,))
    strides = (message.step, channels * dtype.itemsize) + (() if channels == 1 else (dtype.itemsize,))
    pixels = np.ndarray(shape, dtype, message.data, strides=strides)
    if not dtype.isnative:
        pixels = pixels.astype(dtype.newbyteorder('='))
    elif message.step % dtype.itemsize:
        pixels = np.ascontiguousarray(pixels)
    encoding = _WITHOUT_ALPHA.get(message.encoding, message.encoding)
    if channels == 4:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)  # drops the fourth channel, whatever the order
    return Picture(pixels, encoding, order)


def to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an Image of H x W x channels pixels; raises ValueError if they do not fit the encoding."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if _CHANNELS.get(encoding) != channels:
        raise ValueError(f'pixels of shape {pixels.shape} are not {encoding}')
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.step = width * channels * pixels.itemsize
    message.is_bigendian = int(_BIG_ENDIAN_HOST)
    message.data = _bytes(pixels)
    return message


def to_compressed(
    pixels: np.ndarray, encoding: str, header: Header, *, kind: str, jpeg_quality: int, png_level: int
) -> CompressedImage:
    """Return a CompressedImage of bgr8, rgb8 or mono8 pixels; kind: 'jpeg' or 'png'."""
    if encoding == 'rgb8':
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    parameters = {
        'jpeg': [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality],
        'png': [cv2.IMWRITE_PNG_COMPRESSION, png_level],
    }[kind]
    _, data = cv2.imencode('.jpg' if kind == 'jpeg' else '.png', pixels, parameters)
    stored = 'mono8' if pixels.ndim == 2 else 'bgr8'
    message = CompressedImage(header=header, format=f'{encoding}; {kind} compressed {stored}')
    message.data = _bytes(data)
    return message


def in_encoding(pixels: np.ndarray, order: str, encoding: str) -> np.ndarray:
    """Return 8-bit pixels, H x W or H x W x 3 in `order`, as bgr8, rgb8 or mono8."""
    if encoding == 'mono8':
        if pixels.ndim == 2:
            return pixels
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY if order == 'bgr' else cv2.COLOR_RGB2GRAY)
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return pixels if encoding.startswith(order) else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _bytes(pixels: np.ndarray) -> array.array:
    # rclpy checks any other type element by element: 79 ms for an image instead of 0.03
    data = array.array('B')
    data.frombytes(memoryview(np.ascontiguousarray(pixels)).cast('B'))
    return data


def _check_raw(message: Image, max_pixels: int) -> None:
    if not message.width or not message.height or not message.data:
        raise ImageError('empty', f'{message.width}x{message.height} image with {len(message.data)} bytes')
    _check_size(message.width, message.height, max_pixels)
    if message.encoding not in ENCODINGS:
        if _cv_bridge() is None:
            raise ImageError(
                'unknown_encoding',
                f"encoding '{message.encoding}' is none of {', '.join(ENCODINGS)}; "
                f'have the driver publish one of them, or install cv_bridge, which converts others',
            )
        return
    kind, channels, _ = ENCODINGS[message.encoding]
    row = message.width * channels * np.dtype(kind).itemsize
    if message.step < row:
        raise ImageError(
            'step',
            f'step is {message.step}, but {message.width} pixels of {message.encoding} take {row} bytes',
        )
    least = message.step * (message.height - 1) + row
    if len(message.data) < least:
        raise ImageError(
            'truncated',
            f'{len(message.data)} bytes of data, but {message.width}x{message.height} {message.encoding} '
            f'with step {message.step} takes {least}',
        )


def _check_compressed(message: CompressedImage, max_pixels: int) -> None:
    if not message.data:
        raise ImageError('empty', f"compressed image ('{message.format}') without data")
    if 'compresseddepth' in message.format.lower():
        raise ImageError(
            'unknown_encoding',
            f"format '{message.format}' is of the compressedDepth transport; publish the compressed one",
        )
    size = _encoded_size(message.data)
    if size is None:
        raise ImageError('corrupt', f"compressed image ('{message.format}') is neither JPEG nor PNG")
    _check_size(*size, max_pixels)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if min(width, height) < SMALLEST_SIDE:
        raise ImageError('too_small', f'image is {width}x{height}; at least {SMALLEST_SIDE} pixels a side')
    if width * height > max_pixels:
        raise ImageError(
            'too_large',
            f"image is {width}x{height}; 'limits.max_pixels' is {max_pixels}: resize it or raise that",
        )
    if max(width, height) > LARGEST_SIDE:
        raise ImageError('too_large', f'image is {width}x{height}; at most {LARGEST_SIDE} pixels a side')


def _decode(message: CompressedImage) -> Picture:
    data = message.data.tobytes() if isinstance(message.data, array.array) else bytes(message.data)
    pixels = None
    if not images.cut_short(data):
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            pixels = None
    if pixels is None:
        raise ImageError(
            'corrupt',
            f"compressed image ('{message.format}', {len(data)} bytes) is cut short or damaged",
        )
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    # The decoder gives blue first, whatever was compressed. The format of image_transport begins with the
    # stream's own name for its encoding ("16UC1; png compressed ").
    if pixels.ndim == 3:
        return Picture(pixels, 'bgr8' if pixels.dtype == np.uint8 else 'bgr16', 'bgr')
    stated = re.match(r'\s*(\w+)\s*;', message.format)
    same_type = [name for name, (kind, channels, _) in ENCODINGS.items()
                 if channels == 1 and np.dtype(kind) == pixels.dtype]  # fmt: skip
    if not same_type:
        raise ImageError('unknown_encoding', f"compressed image ('{message.format}') is {pixels.dtype}")
    return Picture(pixels, stated[1] if stated and stated[1] in same_type else same_type[0], 'bgr')


def _encoded_size(data: Any) -> tuple[int, int] | None:
    """Width and height from the header of a JPEG or PNG file, so that a bomb is not decoded."""
    head = bytes(memoryview(data)[:24])
    if head.startswith(b'\x89PNG\r\n\x1a\n') and len(head) == 24:
        return struct.unpack('>II', head[16:24])
    if not head.startswith(b'\xff\xd8'):
        return None
    data, place = memoryview(data), 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack('>HH', data[place + 5 : place + 9])
            return width, height
        place += 1 if marker == 0xFF else 2 + struct.unpack('>H', data[place + 2 : place + 4])[0]
    return None


def _by_cv_bridge(message: Image) -> Picture:
    try:
        pixels = _cv_bridge().imgmsg_to_cv2(message, 'bgr8')
    except Exception as error:  # it raises its own, OpenCV's and NumPy's errors
        raise ImageError(
            'unknown_encoding', f"cv_bridge cannot convert encoding '{message.encoding}': {error}"
        ) from error
    return Picture(pixels, 'bgr8', 'bgr')


@functools.cache
def _cv_bridge() -> Any:
    try:
        from cv_bridge import CvBridge
    except Exception:  # built for another NumPy, it fails in several ways
        return None
    return CvBridge()

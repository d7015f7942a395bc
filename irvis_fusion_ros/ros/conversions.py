"""
ROS image messages to NumPy and back, without a copy where the memory layout allows it.

Encodings that io/encodings.py does not know go to cv_bridge, where that is installed.
"""

import array
import functools
import sys
from typing import Any

import cv2
import numpy as np

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.geometry.plausible import LARGEST_SIDE
from irvis_fusion_ros.imaging.acceptable import SMALLEST_SIDE
from irvis_fusion_ros.io import encodings, image_header, images, video_stream
from irvis_fusion_ros.io.encodings import Picture
from irvis_fusion_ros.io.video_stream import VideoDecoder

try:
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header
except ImportError:  # messages of a bag are converted without ROS; none is made of pixels
    CompressedImage = Image = Header = Any

_BIG_ENDIAN_HOST = sys.byteorder == 'big'


def check(message: Any, max_pixels: int) -> None:
    """
    Refuse an Image or CompressedImage that cannot be used, as far as its fields tell, at next to no cost.

    Raises ImageError with cause 'empty', 'too_small', 'too_large', 'unknown_encoding', 'step' or 'truncated'.
    """
    if codec_of(message):
        if not len(message.data):
            raise ImageError('empty', 'a frame of video without data')
    elif _is_compressed(message):
        _check_compressed(message, max_pixels)
    else:
        _check_raw(message, max_pixels)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image by its size. Raises ImageError with cause 'too_small' or 'too_large'."""
    if min(width, height) < SMALLEST_SIDE:
        raise ImageError('too_small', f'image is {width}x{height}; at least {SMALLEST_SIDE} pixels a side')
    if width * height > max_pixels:
        raise ImageError(
            'too_large',
            f"image is {width}x{height}; 'limits.max_pixels' is {max_pixels}: resize it or raise that",
        )
    if max(width, height) > LARGEST_SIDE:
        raise ImageError('too_large', f'image is {width}x{height}; at most {LARGEST_SIDE} pixels a side')


def codec_of(message: Any) -> str | None:
    """Return the codec of a message that is a frame of video (CompressedVideo, or the others used so)."""
    return video_stream.codec_of(message.format if _is_compressed(message) else message.encoding)


def header_of(message: Any) -> Header:
    """Return the header of a message; CompressedVideo has its fields instead."""
    if hasattr(message, 'header'):
        return message.header
    return Header(stamp=message.timestamp, frame_id=message.frame_id)


def to_picture(message: Any, max_pixels: int) -> Picture:
    """
    Return the pixels of an Image or CompressedImage.

    Raises ImageError as `check` and `decode` do.
    """
    check(message, max_pixels)
    return decode(message, max_pixels)


def decode(message: Any, max_pixels: int = LARGEST_SIDE**2) -> Picture:
    """
    Return the pixels of an Image or CompressedImage that `check` let pass.

    They are a view of the message's memory where it needs no conversion; alpha is dropped, big-endian values
    are swapped, padding of rows is skipped. Raises ImageError with cause 'corrupt', 'unknown_encoding' or
    'too_large'.
    """
    codec = codec_of(message)
    if codec:  # a key frame can be decoded by itself; streams are decoded by the camera
        return Picture(VideoDecoder().decode(message.data, codec, max_pixels), 'bgr8', 'bgr')
    if _is_compressed(message):
        return _decode(message, max_pixels)
    if not _is_known(message.encoding):
        return _by_cv_bridge(message)
    return encodings.picture(encodings.stored(message), message.encoding)


def to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an Image of H x W x channels pixels; raises ValueError if they do not fit the encoding."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    stored = encodings.find(encoding)
    if (stored.channels, stored.rows) != (channels, 1):
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


def _is_compressed(message: Any) -> bool:
    # not by its class: a bag has others than ROS
    return not hasattr(message, 'encoding')


def _bytes(pixels: np.ndarray) -> array.array:
    # rclpy checks any other type element by element: 79 ms for an image instead of 0.03
    data = array.array('B')
    data.frombytes(memoryview(np.ascontiguousarray(pixels)).cast('B'))
    return data


def _check_raw(message: Image, max_pixels: int) -> None:
    if not message.width or not message.height or not len(message.data):
        raise ImageError('empty', f'{message.width}x{message.height} image with {len(message.data)} bytes')
    check_size(message.width, message.height, max_pixels)
    if len(message.data) > max_pixels * image_header.PIXEL_BYTES:
        raise ImageError(
            'too_large',
            f'image of {message.width}x{message.height} with {len(message.data) >> 20} MB of data: '
            'have the driver send no more than its pixels',
        )
    if _is_known(message.encoding):
        encodings.check(message)
    elif _cv_bridge() is None:
        raise ImageError(
            'unknown_encoding',
            f"unknown image encoding '{message.encoding[:60]}'; known are {encodings.listed()}; "
            f'have the driver publish one of them, or install cv_bridge, which may know it',
        )


def _is_known(encoding: str) -> bool:
    try:
        encodings.find(encoding)
    except ImageError:
        return False
    return True


def _check_compressed(message: CompressedImage, max_pixels: int) -> None:
    if not len(message.data):
        raise ImageError('empty', f"compressed image ('{message.format[:60]}') without data")
    if 'compresseddepth' in message.format.lower():
        raise ImageError(
            'unknown_encoding',
            f"format '{message.format[:60]}' is of the compressedDepth transport; publish the compressed one",
        )
    try:
        header = image_header.read(message.data)
    except ImageError as error:
        raise ImageError(error.cause, f"compressed image ('{message.format[:60]}'): {error}") from error
    check_size(header.width, header.height, max_pixels)
    image_header.check_size(header, max_pixels)


def _decode(message: CompressedImage, max_pixels: int) -> Picture:
    pixels = images.decode(message.data, max_pixels)
    return Picture(pixels, encodings.name_of(pixels, encodings.stated(message.format)), 'bgr')


def _by_cv_bridge(message: Image) -> Picture:
    try:
        pixels = _cv_bridge().imgmsg_to_cv2(message, 'bgr8')
    except Exception as error:  # it raises its own, OpenCV's and NumPy's errors
        raise ImageError(
            'unknown_encoding', f"cv_bridge cannot convert encoding '{message.encoding[:60]}': {error}"
        ) from error
    return Picture(pixels, 'bgr8', 'bgr')


@functools.cache
def _cv_bridge() -> Any:
    try:
        from cv_bridge import CvBridge
    except Exception:  # built for another NumPy, it fails in several ways
        return None
    return CvBridge()

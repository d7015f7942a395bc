"""
Images that come as a video: one compressed frame a message, most of them differences from the one before.

Needs PyAV (extra `video`), which is imported when the first frame comes.
"""

from typing import Any

import numpy as np

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io.image_header import MAX_PIXELS

# Encodings of Image, and formats of CompressedImage and CompressedVideo, to the names that decoders have.
CODECS = {'h264': 'h264', 'h265': 'hevc', 'hevc': 'hevc'}


def codec_of(stated: str) -> str | None:
    """Return the codec that an encoding or format states, one of CODECS, or None."""
    name = stated.partition(';')[0].strip().lower()
    return name if name in CODECS else None


class VideoDecoder:
    """Decodes the frames of one stream, which must come in order and without B-frames."""

    def __init__(self):
        self._kind: tuple[str, int] = '', 0
        self._context: Any = None

    def decode(self, data: Any, codec: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """
        Return the picture of a frame, H x W x 3 (BGR).

        codec: one of CODECS. Raises ImageError with cause 'no_decoder', 'corrupt', 'too_large', or
        'no_key_frame' as long as nothing was seen that the frame could differ from.
        """
        av = _pyav(codec)
        if (codec, max_pixels) != self._kind:
            self._kind, self._context = (codec, max_pixels), av.CodecContext.create(CODECS[codec], 'r')
            self._context.options = {'max_pixels': str(max_pixels)}  # nothing is allocated beyond it
            self._context.flags |= av.codec.context.Flags.low_delay  # a frame comes out with its own message
        try:
            frames = self._context.decode(av.Packet(bytes(data)))
        except av.error.FFmpegError as error:
            width, height = self._context.width, self._context.height
            if width * height > max_pixels:
                raise ImageError(
                    'too_large', f'video is {width}x{height}; at most {max_pixels} pixels are read: resize it'
                ) from error
            if width:  # which comes with the first key frame
                raise ImageError('corrupt', f'a frame of {codec} is damaged: {error.strerror}') from error
            frames = []
        if not frames:
            raise ImageError('no_key_frame', f'{codec} begins with a key frame, and none has come yet')
        return frames[-1].to_ndarray(format='bgr24')


def _pyav(codec: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise ImageError(
            'no_decoder',
            f'images of {codec} are decoded by PyAV, which is not installed: '
            f"pip install 'irvis_fusion_ros[video]'",
        ) from error
    return av

"""What the readers of headers return, and how they refuse."""

from collections.abc import Callable
from dataclasses import dataclass

from irvis_fusion_ros.errors import ImageError


@dataclass(frozen=True)
class Header:
    """
    What an encoded image says of itself.

    width, height: in pixels, as stored. memory: bytes that a decoder takes at most, for the pixels in its own
    layout and in ours. data: what the decoder has to be given; of formats in which it matters, without the
    parts that are not needed for the pixels.
    """

    format: str
    width: int
    height: int
    memory: int
    data: memoryview


Reader = Callable[[memoryview], Header]


def damaged(format: str, what: str) -> ImageError:
    """Return the error for a file that is not whole, or not as its format says."""
    return ImageError('corrupt', f'the {format} is cut short or damaged ({what})')


def unsupported(format: str, what: str) -> ImageError:
    """Return the error for a file that may be in order, but is of a kind that is not read."""
    return ImageError('unknown_encoding', f'{format} {what} is not read; store it as an ordinary PNG or JPEG')

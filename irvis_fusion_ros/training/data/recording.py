"""
Training items from a recording of the user's own rig, for `train SYSTEM --bag`.

Pairs are matched first, by their stamps, so that only the few dozen images in use are decoded.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from irvis_fusion_ros.errors import BagError, FileError, ImageError, IncompleteBagError
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.depth import VisibleDepth
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.io import encodings
from irvis_fusion_ros.io.bags import (
    COMPRESSED_IMAGE,
    COMPRESSED_VIDEO,
    IMAGE,
    BagReader,
    Record,
    to_nanoseconds,
)
from irvis_fusion_ros.io.video_stream import VideoDecoder, codec_of
from irvis_fusion_ros.pairing import NANO, STREAMS, NearestPairing, Pair
from irvis_fusion_ros.ros.topics import compressed_of, image_of, video_of
from irvis_fusion_ros.training.data.pack import Item, resize_to

# Number of pairs that are used, evenly spaced, and largest difference of the stamps of a pair, seconds.
PAIRS, TOLERANCE = 96, 0.02
TYPES = (IMAGE, COMPRESSED_IMAGE, COMPRESSED_VIDEO)
# The topics of the node, in the order in which they are tried.
TOPICS = {stream: (image_of(stream), compressed_of(stream), video_of(stream)) for stream in STREAMS}


def collect(
    path: Path,
    topics: tuple[str, str] | None = None,
    count: int = PAIRS,
    thermal_offset: float = 0.0,
    say: Callable[[str], None] = print,
) -> list[Item]:
    """
    Return pairs of a recording, with the thermal images resized to the visible ones.

    topics: of thermal and visible images, by default those of the node. count: largest number of pairs.
    thermal_offset: seconds that are added to thermal stamps, as the node's parameter. say(text) is told what
    of the bag is damaged and not used. Raises FileError, with the content of the bag, for a bag that cannot
    be used.
    """
    try:
        with BagReader(path) as bag:
            names = {stream: _topic(bag, stream, topics) for stream in STREAMS}
            return _Recording(bag, names, say).items(count, thermal_offset)
    except BagError as error:
        raise FileError(str(error)) from error


def _topic(bag: BagReader, stream: str, given: tuple[str, str] | None) -> str:
    if given is not None:
        return bag.topic(given[STREAMS.index(stream)], TYPES).name
    for name in TOPICS[stream]:
        if any(name == topic.strip('/') for topic in bag.topics):
            return bag.topic(name, TYPES).name
    raise BagError(
        f"bag '{bag.path}' has no topic '{TOPICS[stream][0]}'; name both with --topics THERMAL VISIBLE. "
        f'It holds:\n{bag.contents()}'
    )


class _Recording:
    """The images of both cameras of a bag; what is damaged is said and left out."""

    def __init__(self, bag: BagReader, names: dict[str, str], say: Callable[[str], None]):
        self._bag = bag
        self._streams = {name: stream for stream, name in names.items()}
        self._say = say
        self._incomplete = ''

    def items(self, count: int, offset: float) -> list[Item]:
        """Return the items of `count` pairs, spread evenly."""
        pairs = self._pairs(offset)
        if not pairs:
            counts = ' and '.join(
                f'{self._bag.topics[name].count} images of {name}' for name in self._streams
            )
            raise BagError(
                f"bag '{self._bag.path}': no thermal and visible image within {TOLERANCE} s of each other "
                f'({counts}); do both cameras use one clock? If not, give --thermal-offset'
            )
        chosen = [pairs[at] for at in np.unique(np.linspace(0, len(pairs) - 1, count).round().astype(int))]
        images = self._brightness(chosen)
        items = []
        for pair in chosen:
            (stamp, thermal), (_, visible) = (
                images.get((name, getattr(pair, name)), (0, None)) for name in STREAMS
            )
            if thermal is None or visible is None:
                continue
            if thermal.shape != visible.shape:
                thermal = resize_to(thermal, visible)
            folder = self._bag.path.name
            items.append(Item(f'{folder}/{stamp}', folder, 'train', thermal, visible, aligned=False))
        if not items:
            raise BagError(f"bag '{self._bag.path}': no image of a pair can be used")
        return items

    def _pairs(self, offset: float) -> list[Pair]:
        """Return the pairs that the node would fuse; payloads are the numbers of images in their topics."""
        pairs: list[Pair] = []
        pairing = NearestPairing(pairs.append, tolerance=TOLERANCE, offset=offset, eager=False, give_up=False)
        for stream, number, record in self._numbered():
            message = self._message(record)
            if message is not None:
                # CompressedVideo has the fields of a header instead of one
                stamp = message.header.stamp if hasattr(message, 'header') else message.timestamp
                pairing.put(stream, to_nanoseconds(stamp), number, record.time / NANO)
        pairing.flush()
        return pairs

    def _numbered(self) -> Iterator[tuple[str, int, Record]]:
        """Iterate over the images: stream, number within the stream, record."""
        numbers = dict.fromkeys(STREAMS, 0)
        try:
            for record in self._bag.records(self._streams):
                stream = self._streams[record.topic]
                yield stream, numbers[stream], record
                numbers[stream] += 1
        except IncompleteBagError as error:
            if not self._incomplete:
                self._incomplete = str(error)
                self._say(f'{error}; what is whole is learnt from')

    def _message(self, record: Record) -> Any:
        try:
            return self._bag.decode(record)
        except BagError:
            return None

    def _brightness(self, pairs: list[Pair]) -> dict[tuple[str, int], tuple[int, np.ndarray]]:
        """Return stamp and 8-bit brightness, H x W, of the images of pairs, by stream and number."""
        tone, depth, found = ThermalTone(), VisibleDepth(), {}
        decoders = {stream: VideoDecoder() for stream in STREAMS}
        wanted = {stream: {getattr(pair, stream) for pair in pairs} for stream in STREAMS}
        damaged: list[str] = []
        for stream, number, record in self._numbered():
            try:
                read = self._picture(record, decoders[stream], number in wanted[stream])
            except (BagError, ImageError) as error:
                if number in wanted[stream]:
                    damaged.append(
                        f'{record.topic}: {error}' if isinstance(error, ImageError) else str(error)
                    )
                continue
            if read is None:
                continue
            stamp, picture = read
            if stream == 'visible':
                visible, _ = depth.adjust(picture.pixels)
                found[stream, number] = stamp, color.to_byte(color.luminance(visible, picture.order))
            else:
                thermal = color.gray(picture.pixels, picture.order)
                tone.update(thermal)
                found[stream, number] = stamp, color.to_byte(tone.apply(thermal))
        if damaged:
            self._say(f'{len(damaged)} images of the bag are not used; the first: {damaged[0]}')
        return found

    def _picture(
        self, record: Record, decoder: VideoDecoder, wanted: bool
    ) -> tuple[int, encodings.Picture] | None:
        """Return stamp and pixels of an image; frames of video are decoded even if they are not wanted."""
        message = self._bag.decode(record)
        codec = codec_of(message.encoding if record.type == IMAGE else message.format)
        if codec:
            frame = decoder.decode(message.data, codec)
            stamp = message.timestamp if record.type == COMPRESSED_VIDEO else message.header.stamp
            return (to_nanoseconds(stamp), encodings.Picture(frame, 'bgr8', 'bgr')) if wanted else None
        if not wanted:
            return None
        recorded = self._bag.image(record)
        return recorded.stamp, encodings.picture(recorded.image, recorded.encoding)

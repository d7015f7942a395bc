"""
Training items from a recording of the user's own rig, for `train SYSTEM --bag`.

Pairs are matched first, by their stamps, so that only the few dozen images in use are decoded.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from irvis_fusion_ros.errors import BagError, FileError, ImageError
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.depth import VisibleDepth
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.io import encodings
from irvis_fusion_ros.io.bags import COMPRESSED_IMAGE, IMAGE, BagReader, Record, to_nanoseconds
from irvis_fusion_ros.pairing import NANO, STREAMS, NearestPairing, Pair
from irvis_fusion_ros.ros.topics import compressed_of, image_of
from irvis_fusion_ros.training.data.pack import Item, resize_to

# Number of pairs that are used, evenly spaced, and largest difference of the stamps of a pair, seconds.
PAIRS, TOLERANCE = 96, 0.02
# The topics of the node, in the order in which they are tried.
TOPICS = {stream: (image_of(stream), compressed_of(stream)) for stream in STREAMS}


def collect(
    path: Path, topics: tuple[str, str] | None = None, count: int = PAIRS, thermal_offset: float = 0.0
) -> list[Item]:
    """
    Return pairs of a recording, with the thermal images resized to the visible ones.

    topics: of thermal and visible images, by default those of the node. count: largest number of pairs.
    thermal_offset: seconds that are added to thermal stamps, as the node's parameter. Raises FileError, with
    the content of the bag, for a bag that cannot be used.
    """
    try:
        with BagReader(path) as bag:
            names = {stream: _topic(bag, stream, topics) for stream in STREAMS}
            return _items(bag, names, count, thermal_offset)
    except BagError as error:
        raise FileError(str(error)) from error


def _topic(bag: BagReader, stream: str, given: tuple[str, str] | None) -> str:
    if given is not None:
        return bag.topic(given[STREAMS.index(stream)], (IMAGE, COMPRESSED_IMAGE)).name
    for name in TOPICS[stream]:
        if any(name == topic.strip('/') for topic in bag.topics):
            return bag.topic(name, (IMAGE, COMPRESSED_IMAGE)).name
    raise BagError(
        f"bag '{bag.path}' has no topic '{TOPICS[stream][0]}'; name both with --topics THERMAL VISIBLE. "
        f'It holds:\n{bag.contents()}'
    )


def _items(bag: BagReader, names: dict[str, str], count: int, offset: float) -> list[Item]:
    pairs = _pairs(bag, names, offset)
    if not pairs:
        found = ' and '.join(f'{bag.topics[name].count} images of {name}' for name in names.values())
        raise BagError(
            f"bag '{bag.path}': no thermal and visible image within {TOLERANCE} s of each other ({found}); "
            'do both cameras use one clock? If not, give --thermal-offset'
        )
    chosen = [pairs[at] for at in np.unique(np.linspace(0, len(pairs) - 1, count).round().astype(int))]
    memory, images = (ThermalTone(), VisibleDepth()), {}
    wanted = {stream: {getattr(pair, stream) for pair in chosen} for stream in STREAMS}
    for stream, number, record in _numbered(bag, names):
        if number in wanted[stream]:
            images[stream, number] = _brightness(bag, record, stream, *memory)
    items = []
    for pair in chosen:
        (stamp, thermal), (_, visible) = images['thermal', pair.thermal], images['visible', pair.visible]
        if thermal.shape != visible.shape:
            thermal = resize_to(thermal, visible)
        items.append(
            Item(f'{bag.path.name}/{stamp}', bag.path.name, 'train', thermal, visible, aligned=False)
        )
    return items


def _pairs(bag: BagReader, names: dict[str, str], offset: float) -> list[Pair]:
    """Return the pairs that the node would fuse; payloads are the indices of the images in their topics."""
    pairs: list[Pair] = []
    pairing = NearestPairing(pairs.append, tolerance=TOLERANCE, offset=offset, eager=False, give_up=False)
    for stream, number, record in _numbered(bag, names):
        stamp = to_nanoseconds(bag.decode(record).header.stamp)
        pairing.put(stream, stamp, number, record.time / NANO)
    pairing.flush()
    return pairs


def _numbered(bag: BagReader, names: dict[str, str]) -> Iterator[tuple[str, int, Record]]:
    """Iterate over the images of a recording: stream, number within the stream, record."""
    streams = {name: stream for stream, name in names.items()}
    numbers = dict.fromkeys(STREAMS, 0)
    for record in bag.records(streams):
        stream = streams[record.topic]
        yield stream, numbers[stream], record
        numbers[stream] += 1


def _brightness(
    bag: BagReader, record: Record, stream: str, tone: ThermalTone, depth: VisibleDepth
) -> tuple[int, np.ndarray]:
    """Return stamp and 8-bit brightness of an image; tone and depth keep state from earlier images."""
    recorded = bag.image(record)
    try:
        picture = encodings.picture(recorded.image, recorded.encoding)
    except ImageError as error:
        raise BagError(f"topic '{recorded.topic}': {error}") from error
    if stream == 'visible':
        visible, _ = depth.adjust(picture.pixels)
        return recorded.stamp, color.to_byte(color.luminance(visible, picture.order))
    thermal = color.gray(picture.pixels, picture.order)
    tone.update(thermal)
    return recorded.stamp, color.to_byte(tone.apply(thermal))

"""
Training items of a recording of the user's own rig: what `train SYSTEM --bag` learns from.

Stamps are read first, so that a long recording is not decoded to use a few dozen pairs of it.
"""

from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.errors import BagError, FileError
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.io.bags import COMPRESSED_IMAGE, IMAGE, BagReader, RecordedImage, to_nanoseconds
from irvis_fusion_ros.training.data.pack import Item, stretched

# Pairs that are used of a recording, evenly spread, and seconds that the stamps of one may differ by.
PAIRS, TOLERANCE = 96, 0.02
# The topics of the node, in the order in which they are looked for.
TOPICS = {
    stream: (f'{stream}/image_raw', f'{stream}/image_raw/compressed') for stream in ('thermal', 'visible')
}
# Encodings with an order of colours other than OpenCV's, and with a channel too many.
RGB, ALPHA = ('rgb8', 'rgba8', 'rgb16'), {'bgra8': cv2.COLOR_BGRA2BGR, 'rgba8': cv2.COLOR_RGBA2RGB}


def collect(
    path: Path, topics: tuple[str, str] | None = None, count: int = PAIRS, thermal_offset: float = 0.0
) -> list[Item]:
    """
    Return pairs of a recording, the thermal images stretched over the visible ones.

    topics: of thermal and visible images; those of the node unless given. count: pairs at most.
    thermal_offset: seconds that are added to thermal stamps, as the node's parameter. Raises FileError, with
    what is in the bag, for one that cannot be used.
    """
    try:
        with BagReader(path) as bag:
            names = [_topic(bag, stream, topics) for stream in TOPICS]
            return _items(bag, names, count, round(thermal_offset * 1e9))
    except BagError as error:
        raise FileError(str(error)) from error


def nearest(thermal: np.ndarray, visible: np.ndarray, tolerance: int) -> list[tuple[int, int]]:
    """Return (thermal, visible) stamps that are each other's nearest, sorted, from stamps in nanoseconds."""
    pairs = []
    if len(thermal) and len(visible):
        there, back = _nearest_of(thermal, visible), _nearest_of(visible, thermal)
        for index, other in enumerate(there):
            apart = abs(int(thermal[index]) - int(visible[other]))
            if back[other] == index and apart <= tolerance:
                pairs.append((int(thermal[index]), int(visible[other])))
    return pairs


def _nearest_of(stamps: np.ndarray, others: np.ndarray) -> np.ndarray:
    right = np.clip(np.searchsorted(others, stamps), 1, max(len(others) - 1, 1))
    right = np.minimum(right, len(others) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(others[left] - stamps) <= np.abs(others[right] - stamps), left, right)


def _topic(bag: BagReader, stream: str, given: tuple[str, str] | None) -> str:
    if given is not None:
        return bag.topic(given[list(TOPICS).index(stream)], (IMAGE, COMPRESSED_IMAGE)).name
    for name in TOPICS[stream]:
        if any(name == topic.strip('/') for topic in bag.topics):
            return bag.topic(name, (IMAGE, COMPRESSED_IMAGE)).name
    raise BagError(
        f"bag '{bag.path}' has no topic '{TOPICS[stream][0]}'; name both with --topics THERMAL VISIBLE. "
        f'It holds:\n{bag.contents()}'
    )


def _items(bag: BagReader, topics: list[str], count: int, offset: int) -> list[Item]:
    stamps = {name: [] for name in topics}
    for record in bag.records(topics):
        stamps[record.topic].append(to_nanoseconds(bag.decode(record).header.stamp))
    thermal, visible = (np.unique(stamps[name]) for name in topics)
    pairs = nearest(thermal + offset, visible, round(TOLERANCE * 1e9))
    pairs = [(stamp - offset, other) for stamp, other in pairs]
    if not pairs:
        found = ' and '.join(f'{len(stamps[name])} images of {name}' for name in topics)
        raise BagError(
            f"bag '{bag.path}': no thermal and visible image within {TOLERANCE} s of each other ({found}); "
            'do both cameras use one clock? If not, give --thermal-offset'
        )
    chosen = [pairs[at] for at in np.unique(np.linspace(0, len(pairs) - 1, count).round().astype(int))]
    wanted = {(name, stamp) for pair in chosen for name, stamp in zip(topics, pair, strict=True)}
    images, tone = {}, ThermalTone()
    for recorded in bag.images(*topics):
        key = (recorded.topic, recorded.stamp)
        if key in wanted and key not in images:
            images[key] = _thermal(recorded, tone) if recorded.topic == topics[0] else _visible(recorded)
    items = []
    for thermal_stamp, visible_stamp in chosen:
        thermal, visible = images[topics[0], thermal_stamp], images[topics[1], visible_stamp]
        if thermal.shape != visible.shape:
            thermal = stretched(thermal, visible)
        name = f'{bag.path.name}/{thermal_stamp}'
        items.append(Item(name, bag.path.name, 'train', thermal, visible, aligned=False))
    return items


def _thermal(recorded: RecordedImage, tone: ThermalTone) -> np.ndarray:
    image = color.gray(_colours(recorded), _order(recorded))
    tone.update(image)
    return color.to_byte(tone.apply(image))


def _visible(recorded: RecordedImage) -> np.ndarray:
    return color.to_byte(color.luminance(_colours(recorded), _order(recorded)))


def _order(recorded: RecordedImage) -> str:
    return 'rgb' if recorded.encoding in RGB else 'bgr'


def _colours(recorded: RecordedImage) -> np.ndarray:
    image = recorded.image
    if recorded.encoding in ALPHA:
        image = cv2.cvtColor(image, ALPHA[recorded.encoding])
    if image.dtype not in (np.uint8, np.uint16) or (image.ndim > 2 and image.shape[2] != 3):
        raise BagError(
            f"topic '{recorded.topic}': nothing is learned from images of encoding {recorded.encoding}; "
            'record mono8, mono16, bgr8 or rgb8'
        )
    return image

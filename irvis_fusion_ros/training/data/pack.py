"""
A training set in one file: every usable pair decoded, gray, 8-bit, stored without loss.

`train --pack OUT.npz --data FOLDER...` makes one. Neighbouring frames of a video are nearly identical, so
only FRAMES of each are taken. All parts of a data set are kept, and each image is marked with its part:
`train` is used for training, `val` for validation.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.data import datasets, terms
from irvis_fusion_ros.data.datasets import ImagePair
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.io import atomic, images, json_file, zip_file
from irvis_fusion_ros.training.data.cleaning import Cleaner, CleaningError, common_region

FRAMES = 8
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mkv', '.mov')
FORMAT = 'irvis_fusion_ros training pack 1'
# In bytes. It is read pair by pair.
_LARGEST = 1 << 40


@dataclass(frozen=True)
class Item:
    """
    One pair: thermal and visible luminance, both H x W uint8.

    name: SET/PAIR. scene: pairs of one scene show the same things. part: 'train' or 'val'. aligned: whether
    the thermal image is aligned with the visible one; otherwise it is only stretched to its size.
    """

    name: str
    scene: str
    part: str
    thermal: np.ndarray
    visible: np.ndarray
    aligned: bool = True

    @property
    def images(self) -> tuple[np.ndarray, ...]:
        """The images, which identify the item."""
        return self.thermal, self.visible


def collect(
    folders: Sequence[Path],
    accepted: frozenset[str] = frozenset(),
    frames: int = FRAMES,
    aligned: bool = True,
    cleaner: Cleaner | None = None,
) -> tuple[list[Item], list[str]]:
    """
    Return the items of data sets, and a line for each set, pair or video that is left out.

    folders: data sets, or folders of data sets. accepted: names of sets that are used although terms.KNOWN
    refuses them. frames: number of frames per video. aligned: True for aligned pairs, False for pairs as
    recorded. cleaner: aligns pairs not known to be aligned, or refuses them. Raises FileError for data that
    cannot be used.
    """
    paths = [Path(folder) for folder in folders]
    sets, remarks = terms.expand(paths, accepted, aligned, cleaner is not None)
    items: list[Item] = []
    for folder in sets:
        as_aligned = aligned and terms.taken_as_aligned(folder, cleaner is not None)
        pairs, left_out = terms.usable(folder, accepted, as_aligned)
        remarks += left_out
        for pair in _limit_frames(pairs, frames):
            if aligned and not as_aligned:
                found, refused = _align_items(folder, pair, frames, cleaner)
                remarks += refused
            else:
                found = _items(folder, pair, frames, aligned)
            items += found
    if not items:
        raise FileError(f'{", ".join(map(str, folders))}: nothing there may be learned from')
    return items, remarks


def save(path: Path, items: Sequence[Item]) -> int:
    """Write a pack; returns its size in bytes. Raises FileError if it cannot be written."""
    images, ends, listing = [], [0], []
    for item in items:
        entry = {'name': item.name, 'scene': item.scene, 'part': item.part, 'aligned': item.aligned}
        listing.append(entry)
        for image in (item.thermal, item.visible):
            images.append(cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].ravel())
            ends.append(ends[-1] + images[-1].size)
    buffer = io.BytesIO()
    text = json.dumps({'format': FORMAT, 'items': listing})
    np.savez(buffer, listing=np.array(text), ends=np.array(ends), images=np.concatenate(images))
    atomic.write(path, buffer.getvalue())
    return buffer.tell()


def load(path: Path) -> list[Item]:
    """Return the items of a pack. Raises FileError if it is missing, damaged or no pack."""
    try:
        with zip_file.opened(path, 'the pack', _LARGEST) as (_, archive):
            listing = json_file.parsed(str(zip_file.array(archive, 'listing')[()]))
            if listing['format'] != FORMAT:
                raise ValueError(f"its format is '{listing['format']}'")
            sizes = np.diff(zip_file.array(archive, 'ends')).tolist()
            with zip_file.array_file(archive, 'images') as (file, _, shape, _):
                whole = len(sizes) == 2 * len(listing['items']) and shape == (sum(sizes),)
                if not whole or not 0 <= min(sizes) <= max(sizes) <= images.LARGEST:
                    raise ValueError('its images are not as many as it lists')
                return [
                    _listed(entry, *(file.read(sizes[2 * index + each]) for each in (0, 1)))
                    for index, entry in enumerate(listing['items'])
                ]
    except FileError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as it has parts
        raise FileError(f'{path}: not a training pack ({error}); make one with train --pack') from error


def _listed(entry: dict, *stored: bytes) -> Item:
    thermal, visible = (images.decode(each) for each in stored)
    texts = [entry[key] for key in ('name', 'scene', 'part')]
    aligned = entry.get('aligned', True)
    if not all(isinstance(text, str) for text in texts) or not isinstance(aligned, bool):
        raise ValueError(f"'{str(texts[0])[:60]}' is not described as a pair")
    if thermal.shape != visible.shape or thermal.dtype != np.uint8 or thermal.ndim != 2:
        raise ValueError(f"the images of '{texts[0][:60]}' are not gray and of one size")
    return Item(*texts, thermal, visible, aligned)


def _limit_frames(pairs: Sequence[ImagePair], frames: int) -> list[ImagePair]:
    """Return at most `frames` evenly spaced frames of each video, and all other pairs."""
    clips: dict[str, list[ImagePair]] = {}
    for pair in pairs:
        clips.setdefault(pair.video or pair.name, []).append(pair)
    return [pair for clip in clips.values() for pair in datasets.select(clip, limit=frames)]


def resize_to(thermal: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return a thermal image resized to the visible one."""
    shrinks = thermal.size > visible.size
    size = visible.shape[1::-1]
    return cv2.resize(thermal, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _items(folder: Path, pair: ImagePair, frames: int, aligned: bool) -> Iterator[Item]:
    offset = terms.correction(folder, pair) if aligned else None
    for name, thermal, visible in _images(pair, frames, aligned):
        gray, luma = _gray(thermal, visible)
        if offset is not None:
            gray, luma = _shift(gray, luma, offset)
        if gray.shape != luma.shape:
            gray = resize_to(gray, luma)
        yield _item(folder, pair, name, gray, luma, aligned)


def _align_items(
    folder: Path, pair: ImagePair, frames: int, cleaner: Cleaner
) -> tuple[list[Item], list[str]]:
    """Return the items of a pair that could be aligned, and a line for each that could not."""
    items, refused = [], []
    for name, thermal, visible in _images(pair, frames, aligned=False):
        try:
            deformation, part = cleaner(thermal, visible)
        except CleaningError as error:
            refused.append(f'{folder.name}/{name}: left out: {error}')
            continue
        gray, luma = _gray(thermal, visible)
        items.append(_item(folder, pair, name, *_crop(gray, luma, deformation, part), aligned=True))
    return items, refused


def _gray(thermal: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert recorded images to the format of training, H x W uint8 each."""
    tone = ThermalTone()
    tone.update(thermal)
    return color.to_byte(tone.apply(thermal)), color.to_byte(color.luminance(visible, 'bgr'))


def _item(
    folder: Path, pair: ImagePair, name: str, thermal: np.ndarray, visible: np.ndarray, aligned: bool
) -> Item:
    # the set is part of the scene, because scenes of different sets may have the same name
    return Item(f'{folder.name}/{name}', f'{folder.name}/{pair.scene}', pair.part, thermal, visible, aligned)


def _images(pair: ImagePair, frames: int, aligned: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    if pair.thermal.suffix.lower() not in VIDEO_SUFFIXES:
        yield pair.name, *datasets.read(pair, aligned)
        return
    thermals, visibles = (_frames(path, frames) for path in (pair.thermal, pair.visible))
    for (index, thermal), (other, visible) in zip(thermals, visibles, strict=True):
        if index != other or (aligned and thermal.shape != visible.shape):
            raise FileError(f'{pair.thermal} and {pair.visible} differ in length or in size')
        yield f'{pair.name}_{index:04d}', color.gray(thermal, 'bgr'), visible


def _frames(path: Path, count: int) -> list[tuple[int, np.ndarray]]:
    capture = cv2.VideoCapture(str(path))
    total = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    wanted = set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())
    found = []
    # read sequentially, because seeking lands on key frames
    for index in range(total):
        if not capture.grab():
            break
        if index in wanted:
            found.append((index, capture.retrieve()[1]))
    capture.release()
    if len(found) < max(1, len(wanted)):
        raise FileError(f'{path}: {len(found)} of {len(wanted)} frames can be read; is the video whole?')
    return found


def _shift(
    thermal: np.ndarray, visible: np.ndarray, offset: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Shift the thermal image by its offset, and crop both images to the region that it covers."""
    deformation = np.full((*thermal.shape, 2), offset, np.float32)
    return _crop(thermal, visible, deformation, common_region(deformation, thermal.shape))


def _crop(
    thermal: np.ndarray, visible: np.ndarray, deformation: np.ndarray, part: tuple[slice, slice]
) -> tuple[np.ndarray, np.ndarray]:
    """Register a thermal image, and crop both images to a region of the visible one."""
    return warp.warp(thermal, deformation)[part].copy(), visible[part].copy()

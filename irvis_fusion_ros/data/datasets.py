"""
Folders of thermal and visible pairs, and their split into training and validation.

A data set is a folder with two sub-folders, `ir` and `vi` (or others of folders.FOLDERS, in any case), whose
images are paired by file stem, or one of a layout that folders.py knows. An optional `pairs.json` beside them
gives details: a list with one object per pair, of which these keys are used (paths relative to the data set):

    name, ir, vi        the pair (required)
    H_ir_to_vi          3x3, p_visible ~ H p_thermal, 0-based: the pair was recorded misaligned
    people_ir,          boxes [x1, y1, x2, y2] of the same people in both images of a pair that was recorded
    people_vi           misaligned, where no homography is known
    ir_raw, H_raw_to_vi the same for a second, unaligned thermal image of an aligned pair
    sequence            the video that the pair is a frame of, in natural order of name
    scene, location     what the pair shows, if it is not part of a video; a scene is never split
    light               'day' or 'night'

Split. Neighbouring frames show the same scene, so pairs are not split at random. A scene is given by
pairs.json, or else it is a run of frames whose numbers (the last number in the name) are at most SCENE_GAP
apart. Every fourth scene, in natural order of name, is validation data (`val`); the others are `train`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from irvis_fusion_ros.data import folders
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import plausible
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.io import images, json_file

SCENE_KEYS = ('sequence', 'scene', 'location')
SCENE_GAP = 100
# Characters of a name; and what may be a number as well as a text.
_LONGEST = 1000
_TEXTS = dict.fromkeys(SCENE_KEYS, (str, int))
PARTS = ('all', 'train', 'val')
BOX_KEYS = ('people_ir', 'people_vi')


@dataclass(frozen=True)
class ImagePair:
    """
    One thermal and one visible image.

    scene: pairs of one scene show the same things. part: 'train' or 'val'. video: the clip that the pair is a
    frame of, or None. calibration: 3x3 from thermal to visible pixels, or None where the two images are
    aligned. light: 'day' or 'night' if pairs.json gives it, else None. boxes: [x1, y1, x2, y2] of the same
    things, first those of the thermal and then those of the visible image, or None.
    """

    name: str
    thermal: Path
    visible: Path
    scene: str
    part: str
    video: str | None = None
    calibration: np.ndarray | None = field(default=None, compare=False)
    light: str | None = None
    boxes: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False)


def recorded(folder: Path, raw: bool = False) -> list[ImagePair]:
    """
    Return every pair of a data set, aligned or not, of whatever sizes.

    raw: use the unaligned thermal image, where there are two.
    """
    return [
        ImagePair(
            record['name'],
            record.get('ir_raw', record['ir']) if raw else record['ir'],
            record['vi'],
            scene,
            part,
            record.get('sequence'),
            light=record.get('light'),
        )
        for record, scene, part in _records(Path(folder))
    ]


def aligned(folder: Path) -> list[ImagePair]:
    """Return the aligned pairs of a data set. Raises FileError if it has none or cannot be used."""
    keys = {'H_ir_to_vi', *BOX_KEYS}
    misaligned = {record['name'] for record, _, _ in _records(Path(folder)) if keys & set(record)}
    pairs = [pair for pair in recorded(folder) if pair.name not in misaligned]
    if not pairs:
        raise FileError(f'{folder}: all its pairs are misaligned as recorded; use --protocol natural')
    return pairs


def natural(folder: Path) -> list[ImagePair]:
    """
    Return the pairs that were recorded misaligned and tell by how much, by a homography or by boxes.

    Raises FileError if the data set has none.
    """
    pairs = []
    for record, scene, part in _records(Path(folder)):
        for image, matrix in (('ir', 'H_ir_to_vi'), ('ir_raw', 'H_raw_to_vi')):
            if image in record and matrix in record:
                calibration = _matrix(record[matrix], f"{folder}/pairs.json: {matrix} of '{record['name']}'")
                pair = ImagePair(
                    record['name'], record[image], record['vi'], scene, part, calibration=calibration
                )
                pairs.append(pair)
        if all(record.get(key) for key in BOX_KEYS):
            boxes = _boxes(record, f"{folder}/pairs.json: people of '{record['name']}'")
            pairs.append(ImagePair(record['name'], record['ir'], record['vi'], scene, part, boxes=boxes))
    if not pairs:
        raise FileError(
            f'{folder}: protocol natural needs pairs with a known homography: a pairs.json with '
            'H_ir_to_vi, or ir_raw and H_raw_to_vi, or with boxes of the same people, people_ir and people_vi'
        )
    return pairs


def videos(pairs: Sequence[ImagePair]) -> dict[str, list[ImagePair]]:
    """Return the videos among pairs by name, each with its frames in order. Raises FileError if none."""
    found: dict[str, list[ImagePair]] = {}
    for pair in pairs:
        if pair.video is not None:
            found.setdefault(pair.video, []).append(pair)
    found = {name: frames for name, frames in found.items() if len(frames) > 1}
    if not found:
        raise FileError('no video in the data set: frames of one share a "sequence" in pairs.json')
    return found


def select(pairs: Sequence[ImagePair], part: str = 'all', limit: int | None = None) -> list[ImagePair]:
    """
    Return the pairs of one part, at most `limit` of them, evenly spaced over the data set.

    Raises FileError if nothing is left.
    """
    chosen = [pair for pair in pairs if part in ('all', pair.part)]
    if not chosen:
        scenes = len({pair.scene for pair in pairs})
        raise FileError(f"no pair in part '{part}': the data set has {scenes} scene(s); use --split all")
    if limit is not None and limit < len(chosen):
        chosen = [chosen[index] for index in np.linspace(0, len(chosen) - 1, limit).round().astype(int)]
    return chosen


def read(pair: ImagePair, aligned: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """
    Return thermal (H x W, its own depth) and visible (H x W or H x W x 3 BGR).

    aligned: whether a pair without a calibration is aligned. Raises FileError for a file that cannot be read,
    for an aligned pair of two sizes, and for a calibration that no rig has.
    """
    thermal, visible = color.gray(images.read(pair.thermal), 'bgr'), images.read(pair.visible)
    if aligned and pair.calibration is None and thermal.shape != visible.shape[:2]:
        raise FileError(
            f"pair '{pair.name}': thermal {_size(thermal)} and visible {_size(visible)}, but an aligned pair "
            'has one size; give a homography in pairs.json and use --protocol natural, or resize the images'
        )
    if pair.calibration is not None:
        problem = plausible.problem_of_homography(pair.calibration, thermal.shape, visible.shape)
        if problem:
            raise FileError(f"pair '{pair.name}': its homography in pairs.json {problem}; correct it")
    return thermal, visible


def _records(folder: Path) -> list[tuple[dict, str, str]]:
    """Return every pair as (record with absolute paths, scene, part)."""
    if not folder.is_dir():
        raise FileError(f'{folder}: no such folder')
    listing = folder / 'pairs.json'
    # a list that is no file is an error, not none
    there = listing.exists() or listing.is_symlink()
    records = _read_listing(listing) if there else _find_pairs(folder)
    records.sort(key=lambda record: images.natural_key(record['name']))
    scenes = _scenes(records)
    order = {scene: number for number, scene in enumerate(dict.fromkeys(scenes))}
    return [
        (record, scene, 'val' if order[scene] % 4 == 3 else 'train')
        for record, scene in zip(records, scenes, strict=True)
    ]


def _read_listing(listing: Path) -> list[dict]:
    entries = json_file.read(listing, 'the list of pairs')
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FileError(f'{listing}: not a list of pairs, which are objects with name, ir and vi')
    if not entries:
        raise FileError(f'{listing}: no pair in it')
    return [_record(listing, number, entry) for number, entry in enumerate(entries, 1)]


def _record(listing: Path, number: int, entry: dict) -> dict:
    """Return an entry of a list with absolute paths. Raises FileError."""
    for key in ('name', 'ir', 'vi', 'ir_raw', *SCENE_KEYS, 'light'):
        if key not in entry and key in ('name', 'ir', 'vi'):
            raise FileError(f"{listing}: a pair without '{key}'; needed are name, ir and vi")
        value = entry.get(key, '')
        if not isinstance(value, _TEXTS.get(key, str)) or '\0' in str(value) or len(str(value)) > _LONGEST:
            raise FileError(
                f"{listing}: '{key}' of pair {number} is {str(value)[:60]!r}, which is no short text"
            )
    paths = {key: listing.parent / entry[key] for key in ('ir', 'vi', 'ir_raw') if key in entry}
    return {**entry, **paths}


def _find_pairs(folder: Path) -> list[dict]:
    below = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    for thermal, visible in folders.FOLDERS:
        if thermal in below and visible in below:
            found = folders.find(below[thermal], below[visible]).pairs
            break
    else:
        found = _by_layout(folder)
    return [{'name': name, 'ir': thermal, 'vi': visible} for name, (thermal, visible) in found.items()]


def _by_layout(folder: Path) -> dict:
    try:
        return folders.find(folder, folder).pairs
    except FileError as error:
        pairs = ' or '.join(f'{thermal}/ and {visible}/' for thermal, visible in folders.FOLDERS)
        raise FileError(
            f'{folder}: not a data set: it needs the sub-folders {pairs}, a pairs.json, or the layout of '
            f'{", ".join(folders.PRESETS)}'
        ) from error


def _scenes(records: list[dict]) -> list[str]:
    scenes: list[str] = []
    previous: tuple[str, int] | None = None
    for record in records:
        stated = next((str(record[key]) for key in SCENE_KEYS if key in record), None)
        match = re.match(r'(.*?)(\d+)\D*$', record['name'])
        if stated is not None or match is None:
            scenes.append(stated or record['name'])
            previous = None
            continue
        prefix, number = match[1], int(match[2])
        near = previous is not None and previous[0] == prefix and number - previous[1] <= SCENE_GAP
        scenes.append(scenes[-1] if near else record['name'])
        previous = (prefix, number)
    return scenes


def _matrix(values: object, where: str) -> np.ndarray:
    try:
        matrix = np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < 3:
        raise FileError(f'{where} is not an invertible 3x3')
    return matrix


def _boxes(record: dict, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        found = tuple(np.array(record[key], np.float64).reshape(-1, 4) for key in BOX_KEYS)
    except (ValueError, TypeError) as error:
        raise FileError(f'{where} are not boxes [x1, y1, x2, y2] ({error})') from error
    if not all(np.isfinite(boxes).all() for boxes in found):
        raise FileError(f'{where} are not finite')
    return found


def _size(image: np.ndarray) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'

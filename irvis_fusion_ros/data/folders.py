"""
Which files are the thermal and the visible image of a pair: by stem, by a pattern, by a list; or two videos.

A pattern is THERMAL:VISIBLE, two paths without suffix, relative to the folders, in which `*` stands for a
part that both share (`**/` for sub-folders, or none): `*_T:*_W` pairs DJI_0006_T.JPG with DJI_0006_W.JPG,
both in one folder or not. Capitals do not matter. The parts that are shared, joined by `_`, name the pair.
"""

import contextlib
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import bounded, images, json_file, video_file
from irvis_fusion_ros.io.images import SUFFIXES, natural_key
from irvis_fusion_ros.io.video_file import Frame, Video

# Cameras and data sets by name: the patterns of which one is theirs.
PRESETS: dict[str, tuple[str, ...]] = {
    'dji': ('**/*_T:**/*_W', '**/*_T:**/*_V', '**/*_T:**/*_Z'),
    'flir_adas': ('**/*_PreviewData:**/*_RGB', '**/*:**/*_RGB', '**/thermal_8_bit/*:**/RGB/*'),
    'kaist': ('**/lwir/*:**/visible/*',),
    'llvip': ('infrared/**/*:visible/**/*',),
    'm3fd': ('**/ir/*:**/vis/*', '**/ir/*:**/vi/*'),
    'dronevehicle': ('**/*imgr/*:**/*img/*',),
}
# What the sub-folders of data sets are called, thermal and visible, in any case.
FOLDERS = (
    ('ir', 'vi'),
    ('ir', 'vis'),
    ('thermal', 'visible'),
    ('thermal', 'rgb'),
    ('infrared', 'visible'),
    ('lwir', 'rgb'),
    ('lwir', 'visible'),
    ('trainimgr', 'trainimg'),
    ('valimgr', 'valimg'),
    ('testimgr', 'testimg'),
)
# Marks at the end or the beginning of a stem that are met.
MARKS = (
    ('ir', 'vis'),
    ('ir', 'vi'),
    ('ir', 'rgb'),
    ('thermal', 'rgb'),
    ('thermal', 'visible'),
    ('lwir', 'rgb'),
)
# Patterns of these folders and marks.
_OTHERS = (
    *(f'{thermal}/*:{visible}/*' for thermal, visible in FOLDERS),
    *(
        pattern
        for thermal, visible in MARKS
        for pattern in (f'*_{thermal}:*_{visible}', f'{thermal}_*:{visible}_*')
    ),
)
# How many folders above the one that was named may belong to a pattern.
_ABOVE = 3
Source = Path | Frame


@dataclass(frozen=True)
class Pairs:
    """Pairs by name, in natural order. unpaired: files without a partner. pattern: by which it was paired."""

    pairs: dict[str, tuple[Source, Source]]
    unpaired: tuple[Path, ...] = ()
    pattern: str = ''


def find(thermal: Path, visible: Path, pattern: str | None = None, listing: Path | None = None) -> Pairs:
    """
    Pair the images of two folders, or of one that is given twice, or the frames of two videos.

    pattern: a pattern or one of PRESETS. listing: see `listed`. Without either the stems are the same or,
    where none are, the known pattern that makes the most pairs is taken. Raises FileError without a pair.
    """
    thermal, visible = Path(thermal), Path(visible)
    if video_file.is_video(thermal) or video_file.is_video(visible):
        return _of_videos(thermal, visible)
    if listing is not None:
        return Pairs(listed(listing, thermal, visible))
    if pattern is not None:
        return _best(thermal, visible, patterns(pattern))
    same = thermal.resolve() == visible.resolve()
    if not same and (found := _by_stem(thermal, visible)):
        return found
    return _best(thermal, visible, [*sum(PRESETS.values(), ()), *_OTHERS])


def patterns(text: str) -> Sequence[str]:
    """Return the patterns of a preset, or the one that `text` is. Raises FileError."""
    if text.lower() in PRESETS:
        return PRESETS[text.lower()]
    if text.count(':') != 1 or not all('*' in side for side in text.split(':')):
        raise FileError(
            f"pattern '{text}': neither THERMAL:VISIBLE, such as '*_T:*_W', nor one of {', '.join(PRESETS)}"
        )
    return (text,)


def listed(listing: Path, *folders: Path) -> dict[str, tuple[Path, Path]]:
    """
    Return the pairs of a list, by name.

    It is a pairs.json as data sets have it (objects with name, ir and vi), or has a line for each pair: the
    thermal file, the visible file and maybe a name, separated by commas, tabs or blanks. Paths are relative
    to the folder of their camera or, where there is no such file, to the list. Raises FileError.
    """
    listing = Path(listing)
    try:
        text = bounded.text(listing, 'the list of pairs', json_file.LARGEST)
        rows = _objects(text) if text.lstrip().startswith('[') else _lines(text)
    except FileError:
        raise
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise FileError(f'{listing}: not a list of pairs ({type(error).__name__}: {error})') from error
    if not rows:
        raise FileError(f'{listing}: no pair in it')
    found: dict[str, tuple[Path, Path]] = {}
    for name, *files in rows:
        if name in found:
            raise FileError(f"{listing}: two pairs are called '{name}'")
        thermal, visible = (
            _existing(listing, file, folders[number : number + 1]) for number, file in enumerate(files)
        )
        found[name] = thermal, visible
    return found


def read(source: Source) -> np.ndarray:
    """Return an image: see `images.read`. Raises FileError."""
    return source.video.read(source.number) if isinstance(source, Frame) else images.read(source)


def below(folder: Path) -> list[Path]:
    """Return the image files in a folder and its sub-folders, in natural order. Raises FileError."""
    if not folder.is_dir():
        what = 'a file, not a folder of images' if folder.exists() else 'no such folder'
        raise FileError(f'{folder}: {what}')
    found = [
        path
        for path in folder.rglob('*')
        if path.suffix.lower() in SUFFIXES and not path.name.startswith('.') and path.is_file()
    ]
    return sorted(found, key=lambda path: natural_key(str(path)))


def _by_stem(thermal: Path, visible: Path) -> Pairs | None:
    thermals, visibles = images.by_stem(thermal), images.by_stem(visible)
    pairs = {name: (path, visibles[name]) for name, path in thermals.items() if name in visibles}
    unpaired = [path for each in (thermals, visibles) for name, path in each.items() if name not in pairs]
    return Pairs(pairs, tuple(unpaired)) if pairs else None


def _best(thermal: Path, visible: Path, candidates: Sequence[str]) -> Pairs:
    files = below(thermal), below(visible)
    found = max((_matched(thermal, visible, files, each) for each in candidates), key=lambda f: len(f.pairs))
    if not found.pairs:
        names = ', '.join(str(each[0].name) if each else 'no image' for each in files)
        where = (
            f'{thermal} is the partner of another'
            if files[0] == files[1]
            else f'{thermal} has the stem of a file of {visible}'
        )
        raise FileError(
            f'no file of {where} ({names}, ...): the files of a pair share a stem or fit a pattern; give one '
            f"(--pattern '*_T:*_W', or {', '.join(PRESETS)}) or a list of pairs (--pairs)"
        )
    return found


def _matched(thermal: Path, visible: Path, files: tuple[list[Path], list[Path]], pattern: str) -> Pairs:
    sides = [_expression(side) for side in pattern.split(':')]
    literal = [len(side.replace('*', '')) for side in pattern.split(':')]
    found: list[dict[tuple, Path]] = [{}, {}]
    for number, (folder, paths) in enumerate(zip((thermal, visible), files, strict=True)):
        for path in paths:
            shared = _shared(sides[number], folder, path)
            # `*` fits what is meant by `*_RGB`, too: the one that says more is meant
            other = literal[1 - number] > literal[number] and _shared(sides[1 - number], folder, path)
            if shared is not None and not other:
                found[number].setdefault(shared, path)
    # where both cameras share a folder, `*:*` fits a file twice
    keys = [key for key, path in found[0].items() if found[1].get(key, path) != path]
    pairs: dict[str, tuple[Source, Source]] = {}
    for key in keys:
        name = '_'.join(part.replace('/', '_') for part in key if part)
        if name in pairs:
            raise FileError(f"{found[0][key]}: the pattern '{pattern}' calls two pairs '{name}'")
        pairs[name] = found[0][key], found[1][key]
    used = {path for pair in pairs.values() for path in pair}
    everything = dict.fromkeys([*files[0], *files[1]])
    return Pairs(pairs, tuple(path for path in everything if path not in used), pattern)


def _expression(side: str) -> re.Pattern:
    parts = re.split(r'(\*\*/|\*)', side)
    known = {'**/': r'(?:(.*)/)?', '*': r'([^/]*)'}
    return re.compile(''.join(known.get(part) or re.escape(part) for part in parts), re.IGNORECASE)


def _shared(expression: re.Pattern, folder: Path, path: Path) -> tuple | None:
    inside = path.relative_to(folder).with_suffix('').as_posix()
    # the folders that were named may be those of the pattern themselves
    above = folder.resolve().parts[-_ABOVE:]
    for number in range(len(above), -1, -1):
        if match := expression.fullmatch('/'.join((*above[number:], inside))):
            return tuple(part or '' for part in match.groups())
    return None


def _of_videos(thermal: Path, visible: Path) -> Pairs:
    for path in (thermal, visible):
        if not video_file.is_video(path):
            raise FileError(f'{path}: the other one is a video; give two videos or two folders')
    one, two = Video(thermal), Video(visible)
    pairs: dict[str, tuple[Source, Source]] = {}
    for number in range(one.count):
        # of two rates: the frame that is nearest in time
        partner = round(number * two.rate / one.rate)
        if partner < two.count:
            pairs[f'{number:06d}'] = Frame(one, number), Frame(two, partner)
    return Pairs(pairs)


def _objects(text: str) -> list[tuple[str, str, str]]:
    rows = [(entry['name'], entry['ir'], entry['vi']) for entry in json_file.parsed(text)]
    if not all(
        isinstance(value, str) and '\0' not in value and len(value) < 1000 for row in rows for value in row
    ):
        raise ValueError('name, ir and vi are texts, and short')
    # a name is that of a file of the results: it leads into no other folder
    return [(re.sub(r'[/\\]', '_', name), ir, vi) for name, ir, vi in rows]


def _lines(text: str) -> list[tuple[str, str, str]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        separator = next((each for each in ',\t' if each in line), None)
        files = next(csv.reader([line], delimiter=separator)) if separator else line.split()
        files = [file.strip() for file in files]
        if len(files) not in (2, 3) or not all(files):
            raise ValueError(f'line {number} is not a thermal and a visible file')
        name = files[2] if len(files) == 3 else Path(files[0]).stem
        rows.append((re.sub(r'[/\\]', '_', name), files[0], files[1]))
    return rows


def _existing(listing: Path, name: str, folders: Sequence[Path]) -> Path:
    for folder in (*folders, listing.parent):
        with contextlib.suppress(OSError):  # a name that is too long, a folder that may not be entered
            if (folder / name).is_file():
                return folder / name
    raise FileError(f"{listing}: there is no file '{name[:200]}' in the folder of its camera or beside it")

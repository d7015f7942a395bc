"""
Matches files of thermal and visible images to pairs: by the stems of their names, or by a list.

Stems are equal, or differ in a suffix that cameras add: FLIR_0006 and FLIR_0006_RGB, DJI_0006_T and
DJI_0006_W. With such suffixes both may be in one folder.
"""

import json
from pathlib import Path

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import images

# Suffixes that cameras and data sets add to the stems of thermal and of visible images.
MARKS = (
    ('_T', '_W'),
    ('_T', '_V'),
    ('_T', '_Z'),
    ('', '_RGB'),
    ('_IR', '_RGB'),
    ('_IR', '_VIS'),
    ('_ir', '_vis'),
    ('_ir', '_vi'),
    ('_ir', '_rgb'),
    ('_thermal', '_rgb'),
    ('_thermal', '_visible'),
    ('_lwir', '_rgb'),
)
Pairs = dict[str, tuple[Path, Path]]


def by_stem(
    thermal_dir: Path, visible_dir: Path, marks: tuple[str, str] | None = None
) -> tuple[Pairs, list[str]]:
    """
    Return pairs by name, in natural order, and the files that have no partner.

    marks: the suffixes of the stems of thermal and of visible images. Without it, stems must be equal or, if
    none are, end in the suffixes of MARKS that give the most pairs. Raises FileError if there is no pair.
    """
    thermals, visibles = images.by_stem(thermal_dir), images.by_stem(visible_dir)
    one_folder = Path(thermal_dir).resolve() == Path(visible_dir).resolve()
    if marks is not None:
        found = _matched(thermals, visibles, marks)
    else:
        found = {} if one_folder else _matched(thermals, visibles, ('', ''))
        found = found or max((_matched(thermals, visibles, each) for each in MARKS), key=len)
    if not found:
        raise FileError(
            f'no file of {thermal_dir} has the stem of a file of {visible_dir} '
            f'({next(iter(thermals.values())).name}, {next(iter(visibles.values())).name}, ...): images of a '
            'pair share a stem, but for a mark such as _T and _W; say which, or give a list of pairs'
        )
    used = {path for pair in found.values() for path in pair}
    everything = dict.fromkeys((*thermals.values(), *visibles.values()))
    return found, [str(path) for path in everything if path not in used]


def listed(listing: Path, thermal_dir: Path, visible_dir: Path) -> Pairs:
    """
    Return the pairs of a list, by name.

    The list is a pairs.json as in data sets (objects with name, ir and vi), or has one line per pair: thermal
    and visible file, separated by a comma or blanks. Paths are relative to the folder of their camera or to
    that of the list. Raises FileError.
    """
    try:
        text = Path(listing).read_text(encoding='utf-8')
        rows = _objects(text) if text.lstrip().startswith('[') else _lines(text)
    except OSError as error:
        raise FileError(f'{listing}: cannot be read ({error.strerror})') from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileError(f'{listing}: not a list of pairs ({type(error).__name__}: {error})') from error
    found: Pairs = {}
    for name, *files in rows:
        if name in found:
            raise FileError(f"{listing}: two pairs are called '{name}'")
        folders = (thermal_dir, visible_dir)
        found[name] = tuple(_file(listing, Path(f), file) for f, file in zip(folders, files, strict=True))
    if not found:
        raise FileError(f'{listing}: no pair in it')
    return found


def _matched(thermals: dict[str, Path], visibles: dict[str, Path], marks: tuple[str, str]) -> Pairs:
    thermal_mark, visible_mark = marks
    found: Pairs = {}
    for stem, path in thermals.items():
        name = stem.removesuffix(thermal_mark)
        partner = visibles.get(name + visible_mark)
        if stem == name + thermal_mark and name and partner is not None and partner != path:
            found[name] = path, partner
    return found


def _objects(text: str) -> list[tuple[str, str, str]]:
    # a name becomes the name of a result file, so it must not contain a path
    rows = [(entry['name'], entry['ir'], entry['vi']) for entry in json.loads(text)]
    if not all(isinstance(value, str) and '\0' not in value for row in rows for value in row):
        raise ValueError('name, ir and vi are texts')
    return [(name.replace('/', '_').replace('\\', '_'), ir, vi) for name, ir, vi in rows]


def _lines(text: str) -> list[tuple[str, str, str]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        files = [part.strip() for part in (line.split(',') if ',' in line else line.split())]
        if len(files) != 2 or not all(files):
            raise ValueError(f'line {number} does not have two files')
        rows.append((Path(files[0]).stem, *files))
    return rows


def _file(listing: Path, folder: Path, name: str) -> Path:
    for place in (folder, Path(listing).parent):
        if (place / name).is_file():
            return place / name
    raise FileError(f"{listing}: there is no file '{name}' in {folder} or beside the list")

"""Which files a bag consists of, in which order, and each of them opened, decompressed if need be."""

import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io import bounded
from irvis_fusion_ros.io.images import natural_key
from irvis_fusion_ros.io.storage import mcap, sqlite
from irvis_fusion_ros.io.storage.base import Storage
from irvis_fusion_ros.io.storage.compression import ZSTD_MAGIC, open_zstd
from irvis_fusion_ros.io.storage.mcap import McapFile
from irvis_fusion_ros.io.storage.metadata import LARGEST, Metadata, parsed
from irvis_fusion_ros.io.storage.sqlite import SqliteFile

METADATA = 'metadata.yaml'
SUFFIXES = ('.mcap', '.db3')
COMPRESSED = ('.zstd', '.zst')
_ROS_1 = b'#ROSBAG V'
# A recording that is compressed as a whole becomes at most so many times as large, or this many bytes.
_LARGEST_RATIO, _SMALL = 100, 32 << 20


@dataclass(frozen=True)
class Contents:
    """The files of a bag and what is stated of them. notes: what the user should know. missing: files."""

    files: Sequence[Path]
    metadata: Metadata
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def contents(path: Path) -> Contents:
    """Find the files of a bag: a rosbag2 directory, or one of its files. Raises BagError."""
    try:
        if path.is_dir():
            return _of_folder(path)
        if not path.exists():
            raise BagError(f"there is no bag at '{path}'")
    except OSError as error:
        raise BagError(f"cannot read the bag '{path}': {error.strerror}") from error
    if _suffix(path) not in SUFFIXES or not path.is_file():
        if path.is_file() and _is_of_ros_1(path):
            raise BagError(
                f"'{path}' is a bag of ROS 1; convert it: rosbags-convert --src '{path}' "
                f"--dst '{path.with_suffix('')}'"
            )
        raise BagError(f"'{path}' is not a bag: expected a rosbag2 directory, or a .mcap or .db3 file")
    return Contents([path], Metadata())


def _is_of_ros_1(path: Path) -> bool:
    try:
        with path.open('rb') as file:
            return file.read(len(_ROS_1)) == _ROS_1
    except OSError:
        return False


def opened(path: Path, stack: ExitStack) -> Storage:
    """Open a file of a bag; `stack` closes it. Raises BagError if nothing can be read of it."""
    notes = []
    try:
        with path.open('rb') as file:
            begin = file.read(16)
    except OSError as error:
        raise BagError(f"cannot read the bag file '{path}': {error.strerror}") from error
    source = path
    if begin.startswith(ZSTD_MAGIC):
        source, problem = _decompressed(path, stack)
        notes += [f"'{path.name}': {problem}"] if problem else []
        with source.open('rb') as file:
            begin = file.read(16)
    is_sqlite = begin.startswith(sqlite.MAGIC) or (
        _suffix(path) == '.db3' and not begin.startswith(mcap.MAGIC)
    )
    try:
        storage = SqliteFile(source) if is_sqlite else McapFile(source)
    except BagError as error:
        raise BagError(str(error).replace(str(source), str(path))) from error
    stack.callback(storage.close)
    storage.notes[:0] = notes
    return storage


def _of_folder(path: Path) -> Contents:
    there = sorted(
        (file for file in path.iterdir() if _suffix(file) in SUFFIXES and file.is_file()),
        key=lambda file: natural_key(file.name),
    )
    # a recorder that was killed while it compressed a file left both
    names = {file.name for file in there}
    there = [file for file in there if file.suffix not in COMPRESSED or file.stem not in names]
    stated, notes = _stated(path / METADATA)
    if not there:
        raise BagError(
            f"'{path}' is not a bag: it has no {METADATA} and no .mcap or .db3 file"
            if stated is None
            else f"'{path}' is not a whole bag: no file that its {METADATA} names is there"
        )
    if stated is None or not stated.files:
        if len({_suffix(file) for file in there}) > 1:
            raise BagError(f"'{path}' holds .mcap and .db3 files and no {METADATA}; name one of the files")
        return Contents(there, stated or Metadata(), tuple(notes))
    by_name = {file.name: file for file in there}
    by_name |= {_plain(file): file for file in there if _plain(file) not in by_name}
    found = {name: by_name.get(name) or by_name.get(_plain(Path(name))) for name in stated.files}
    files = [file for file in found.values() if file is not None]
    # the last file of a recorder that was killed is not in the metadata that it wrote before
    families = {_family(Path(name)) for name in stated.files}
    later = [file for file in there if file not in files and _family(file) in families]
    notes += [f"'{file.name}' is not in {METADATA}; it is read, too" for file in later]
    if not files:
        notes.append(f'the files that {METADATA} names are not there; those that are there are read')
        return Contents(there, stated, tuple(notes))
    missing = tuple(name for name, file in found.items() if file is None)
    return Contents([*files, *later], stated, tuple(notes), missing)


def _stated(path: Path) -> tuple[Metadata | None, list[str]]:
    if not path.exists():
        return None, [f'there is no {METADATA}: the bag is read without it']
    try:
        return parsed(bounded.read(path, METADATA, LARGEST).decode('utf-8', 'replace')), []
    except ValueError as error:
        reason = str(error)
    return None, [f'{METADATA} cannot be used ({reason}): the bag is read without it']


def _decompressed(path: Path, stack: ExitStack) -> tuple[Path, str]:
    """Decompress a file into a temporary one; returns it, and why it is not all of it, or ''."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='irvis_bag_')))
    target, problem = folder / _plain(path), ''
    with path.open('rb') as raw, target.open('wb') as file:
        try:
            with open_zstd(raw, 'rb') as source:
                most = max(_SMALL, path.stat().st_size * _LARGEST_RATIO)
                while part := source.read(1 << 20):
                    file.write(part)
                    if file.tell() > most:
                        problem = f'it expands to more than {most >> 20} MB; what comes before is read'
                        break
        except EOFError:
            problem = 'it is cut short; what is whole in it is read'
        except OSError as error:
            raise BagError(
                f"cannot decompress '{path}' into {tempfile.gettempdir()}: {error.strerror or error}"
            ) from error
        except Exception as error:  # ZstdError is none of the others
            problem = f'its compression is damaged ({error}); what comes before is read'
    return target, problem


def _plain(path: Path) -> str:
    return path.stem if path.suffix in COMPRESSED else path.name


def _suffix(path: Path) -> str:
    return Path(_plain(path)).suffix


def _family(path: Path) -> tuple[str, str]:
    """Return what the files of one recording have in common: name without its number, and storage."""
    return re.sub(r'_?\d+$', '', Path(_plain(path)).stem), _suffix(path)

"""
What comes home of training: for each run one file NAME.tar, uncompressed, with weights, curve, log and
checkpoint; where that is larger than a file may be, in parts NAME.tar.1, NAME.tar.2 ...

A checkpoint is the network, its moving average and two moments of the optimiser in single precision: nothing
compresses it by more than a tenth. Where the files do not hold it, it is left behind, and said to be.
"""

import io
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

CHECKPOINT = 'checkpoint.pt'
WANTED = ('*.safetensors', 'curve.csv', 'curve.png', 'log.txt', CHECKPOINT)


@dataclass(frozen=True)
class Limits:
    """files: how many may be written. size: bytes of each. total: bytes of all together."""

    files: int
    size: int
    total: int


def pack(folders: list[Path], out: Path, limits: Limits) -> list[str]:
    """Write the runs to OUT within the limits, and return a line for each."""
    wholes = [_archive(folder, True) for folder in folders]
    smalls = [_archive(folder, False) for folder in folders]
    files, total = limits.files, limits.total
    lines = []
    for index, folder in enumerate(folders):
        # room for the others without their checkpoints comes first
        later = smalls[index + 1 :]
        files_left = files - sum(_parts(each, limits.size) for each in later)
        total_left = total - sum(map(len, later))
        for content, remark in ((wholes[index], ''), (smalls[index], ' (no room for its checkpoint)')):
            parts = _parts(content, limits.size)
            if parts <= files_left and len(content) <= total_left:
                written = _write(out / f'{folder.name}.tar', content, limits.size)
                files, total = files - parts, total - len(content)
                lines.append(f'{", ".join(written)}: {len(content) / 2**20:.1f} MiB{remark}')
                break
        else:
            lines.append(f'{folder.name}: no room, left behind')
    return lines


def restore(folder: Path, name: str, into: Path) -> bool:
    """Bring back the run `name` from a folder that `pack` wrote, or that has a folder NAME; says whether."""
    archive = folder / f'{name}.tar'
    parts = sorted(folder.glob(f'{name}.tar.[0-9]*'), key=lambda path: int(path.suffix[1:]))
    if archive.is_file() or parts:
        content = b''.join(path.read_bytes() for path in ([archive] if archive.is_file() else parts))
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar.getmembers():
                # names that lead elsewhere are not ours
                if member.isfile() and Path(member.name).name == member.name:
                    (into / member.name).write_bytes(tar.extractfile(member).read())
    elif (folder / name).is_dir():
        for path in (folder / name).iterdir():
            if path.is_file():
                shutil.copy(path, into / path.name)
    return (into / CHECKPOINT).is_file()


def _archive(folder: Path, checkpoint: bool) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for pattern in WANTED:
            for path in sorted(folder.glob(pattern)):
                if checkpoint or path.name != CHECKPOINT:
                    tar.add(path, path.name)
    return buffer.getvalue()


def _parts(content: bytes, size: int) -> int:
    return max(1, -(-len(content) // size))


def _write(path: Path, content: bytes, size: int) -> list[str]:
    count = _parts(content, size)
    if count == 1:
        path.write_bytes(content)
        return [path.name]
    names = [f'{path.name}.{number}' for number in range(1, count + 1)]
    for index, name in enumerate(names):
        (path.parent / name).write_bytes(content[index * size : (index + 1) * size])
    return names

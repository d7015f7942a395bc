"""The pairs that a run learns from, of packs and data sets."""

import zlib
from collections.abc import Sequence
from pathlib import Path

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.training.config import TrainConfig
from irvis_fusion_ros.training.data import pack
from irvis_fusion_ros.training.data.batches import PairSource
from irvis_fusion_ros.training.data.pack import Item
from irvis_fusion_ros.training.data.targets import TargetItem


def items(data: Sequence[str], accepted: frozenset[str], aligned: bool) -> list[Item]:
    """
    Return the pairs of packs and data sets, and print which are left out.

    accepted: names of sets to use although they are refused. aligned: whether the system learns from aligned
    pairs. Raises FileError if there is nothing to learn from.
    """
    paths = [Path(entry) for entry in data]
    if not paths:
        raise FileError("no training data: give --data, or 'data' in the configuration")
    found = [item for path in paths if path.is_file() for item in pack.load(path)]
    folders = [path for path in paths if not path.is_file()]
    if folders:
        more, remarks = pack.collect(folders, accepted, aligned=aligned)
        print(*remarks, sep='\n', end='\n' if remarks else '')
        found += more
    unaligned = sum(not item.aligned for item in found)
    if aligned and unaligned:
        raise FileError(
            f'{", ".join(data)}: {unaligned} of {len(found)} pairs are as recorded, and this system learns '
            'from aligned ones; make the pack without --unaligned'
        )
    return found


def fingerprint(items: Sequence[Item] | Sequence[TargetItem]) -> int:
    """Return a number that identifies the training set, wherever it is stored."""
    found = 0
    for item in items:
        found = zlib.crc32(f'{item.name} {item.part} {item.thermal.shape}'.encode(), found)
        for image in item.images:
            found = zlib.crc32(image, found)
    return found


def sources(items: Sequence[Item], run: TrainConfig, device: str) -> tuple[PairSource, PairSource | None]:
    """Return what a run learns from, and what it is validated on, or None if there is no aligned pair."""
    train = PairSource(items, 'train', run.seed, device, run.joint, run.sensors)
    # validation uses aligned pairs only, because their error is known
    validation = [item for item in items if item.part == 'val' and item.aligned]
    if not validation:
        return train, None
    return train, PairSource(validation, 'val', run.seed, device, run.joint, run.sensors)

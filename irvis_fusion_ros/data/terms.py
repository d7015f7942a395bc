"""
Known facts about public data sets that training must respect: terms, bad pairs, corrections.

A set is recognised by the name of its folder; a folder of another name is used without these checks.
Alignment was measured by a global registration of the pairs.
"""

from dataclasses import dataclass, field
from pathlib import Path

from irvis_fusion_ros.data import datasets, folders
from irvis_fusion_ros.data.datasets import ImagePair
from irvis_fusion_ros.errors import FileError


@dataclass(frozen=True)
class Known:
    """
    refused: why the set is not used for training, or None. misaligned: why its pairs do not count as aligned,
    or None.

    left_out: pairs or videos by name, with the reason. corrected: pairs or videos by name, with the constant
    deformation (dx, dy) in pixels that aligns their thermal images.
    """

    refused: str | None = None
    misaligned: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    corrected: dict[str, tuple[float, float]] = field(default_factory=dict)


KNOWN = {
    'llvip': Known('its terms allow non-commercial use only'),
    'metu_vistir': Known('its terms (CC BY-NC-SA) forbid commercial use', 'it is misaligned as recorded'),
    'uav_twmm': Known(misaligned='it is misaligned as recorded'),
    'wisard': Known(misaligned='it is misaligned as recorded'),
    'msrs': Known(misaligned='it is aligned to 2 to 5 px only: false labels'),
    'tno': Known(misaligned='it is aligned to 4 to 8 px only: false labels'),
    'vifb': Known(misaligned='some of it is aligned to 6 px only: false labels'),
    'roadscene': Known(
        left_out=dict.fromkeys(
            ('FLIR_video_03237', 'FLIR_07620', 'FLIR_05872'), 'aligned to several pixels only'
        )
    ),
    # The vectors are those that structure maps find in every frame of a clip, by evaluation.half_turn, to
    # 0.1 px (docs/bias.md). 0115_1834 and 0111_1716 are off by less than what the methods differ by.
    'm3svd_frames': Known(
        corrected={'0111_1803': (-0.3, -0.4), '0114_1551': (0.4, -1.5), '0115_1831': (-0.3, -0.8)}
    ),
    'm3svd_video': Known(
        left_out={'0117_1605': 'its alignment is unknown: smoke'}, corrected={'1230_1202': (0.1, -4.4)}
    ),
}


def taken_as_aligned(folder: Path, clean: bool) -> bool:
    """Return whether the pairs of a set count as aligned; with `clean`, only sets known to be aligned do."""
    known = KNOWN.get(folder.name)
    return not clean or (known is not None and known.misaligned is None)


def expand(
    folders: list[Path],
    accepted: frozenset[str] = frozenset(),
    aligned: bool = True,
    clean: bool = False,
) -> tuple[list[Path], list[str]]:
    """
    Return the data sets that may be used for training, and a line for each that is left out.

    A folder that contains data sets stands for those of them that may be used. A set that is named directly
    but must not be used raises FileError with the reason, unless its name is among `accepted`. aligned:
    whether the pairs must be aligned. clean: whether unaligned pairs are registered first.
    """
    sets, remarks = [], []
    for folder in folders:
        if not folder.is_dir():
            raise FileError(f'{folder}: no such folder')
        if _is_set(folder):
            reason = _refusal(folder, accepted, aligned and taken_as_aligned(folder, clean))
            if reason:
                raise FileError(
                    f'{folder}: not used for training: {reason}; if that is no hindrance for you, say '
                    f'--accept {folder.name}'
                )
            sets.append(folder)
            continue
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and _is_set(path))
        if not inside:
            raise FileError(f'{folder}: neither a data set (sub-folders ir and vi) nor a folder of some')
        for path in inside:
            reason = _refusal(path, accepted, aligned and taken_as_aligned(path, clean))
            if reason:
                remarks.append(f'{path.name}: left out: {reason}')
            else:
                sets.append(path)
    return sets, remarks


def usable(
    folder: Path, accepted: frozenset[str] = frozenset(), aligned: bool = True
) -> tuple[list[ImagePair], list[str]]:
    """
    Return the pairs of a set without those known to be bad, and a line for each that is left out.

    aligned: only aligned pairs; otherwise every pair as it was recorded.
    """
    if not aligned:
        return datasets.recorded(folder, raw=True), []
    left_out = {} if folder.name in accepted else KNOWN.get(folder.name, Known()).left_out
    pairs, remarks = [], []
    for pair in datasets.aligned(folder):
        reason = left_out.get(pair.name) or left_out.get(pair.video or '')
        if reason:
            remarks.append(f'{folder.name}/{pair.name}: left out: {reason}')
        else:
            pairs.append(pair)
    return pairs, remarks


def correction(folder: Path, pair: ImagePair) -> tuple[float, float] | None:
    """Return the constant deformation that aligns the thermal image of a pair, or None."""
    corrected = KNOWN.get(folder.name, Known()).corrected
    return corrected.get(pair.name) or corrected.get(pair.video or '')


def _is_set(folder: Path) -> bool:
    below = {path.name.lower() for path in folder.iterdir() if path.is_dir()}
    return (folder / 'pairs.json').is_file() or any(
        thermal in below and visible in below for thermal, visible in folders.FOLDERS
    )


def _refusal(folder: Path, accepted: frozenset[str], aligned: bool) -> str | None:
    known = KNOWN.get(folder.name)
    if folder.name in accepted:
        return None
    if known is not None:
        reasons = [reason for reason in (known.refused, aligned and known.misaligned) if reason]
        if reasons:
            return ', and '.join(reasons)
    try:
        datasets.aligned(folder) if aligned else datasets.recorded(folder)
    except FileError as error:
        return str(error)
    return None

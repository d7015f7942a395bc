"""Masks of the same things in both images of a pair, drawn by a user: a registration has to lay them over."""

from pathlib import Path

import numpy as np

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import images

FOLDERS = ('ir', 'vi')


class Masks:
    """
    A folder of masks: ir/NAME.png of the thermal and vi/NAME.png of the visible image of the pair NAME.

    A pixel that is not 0 belongs to the things. Raises FileError if a folder is missing or has no images.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._files = {name: images.by_stem(Path(folder) / name) for name in FOLDERS}

    def names(self) -> list[str]:
        """Return the names of pairs for which there is at least one mask."""
        return sorted(set().union(*self._files.values()), key=images.natural_key)

    def read(
        self, name: str, thermal: tuple[int, int], visible: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """
        Return the masks of a pair, H x W bool each, thermal first, or None if it has none.

        thermal, visible: height and width of its images. Raises FileError, saying what is expected, for a
        mask that does not fit: one without its partner, of another size, empty, or no image.
        """
        found = [self._files[folder].get(name) for folder in FOLDERS]
        if found == [None, None]:
            return None
        masks = []
        for path, folder, shape in zip(found, FOLDERS, (thermal, visible), strict=True):
            if path is None:
                other = next(each for each in found if each is not None)
                raise FileError(f'{other}: expected a mask of that name in {self.folder}/{folder}, too')
            mask = images.read(path)
            mask = (mask if mask.ndim == 2 else mask.max(-1)) > 0
            if mask.shape != tuple(shape):
                raise FileError(
                    f'{path}: expected {_size(shape)}, as its image is, found {_size(mask.shape)}'
                )
            if not mask.any():
                raise FileError(f'{path}: expected pixels that are not 0, found none')
            masks.append(mask)
        return tuple(masks)


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]}x{shape[0]}'

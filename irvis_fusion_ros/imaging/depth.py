"""
How many of its 16 bits a visible image uses.

Cameras of 10, 12 or 14 bits send them in the low bits of a 16-bit image: taken as 16 bits it would be dark.
"""

from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.config import option

DEPTHS = (10, 12, 14, 16)


@dataclass(frozen=True)
class DepthConfig:
    """What is known of the depth of the visible image."""

    bits: int = option(
        0,
        'Bits that the camera uses of a 16-bit image (10 or 12 in mono16, say). 0 finds them: the fewest of '
        '10, 12, 14 and 16 that hold every value seen since the start.',
        minimum=0,
        maximum=16,
        live=True,
    )


class VisibleDepth:
    """Shifts 16-bit images up, so that white is the largest value the camera has. Remembers the stream."""

    STREAM = ('_found',)

    def __init__(self, config: DepthConfig = DepthConfig()):
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._found = 0

    def adjust(self, visible: np.ndarray) -> tuple[np.ndarray, tuple[Note, ...]]:
        """Return a visible image with all its bits used, and a note when fewer than 16 are found."""
        if visible.dtype != np.uint16:
            return visible, ()
        notes = ()
        bits = self.config.bits
        if not bits:
            # the depth of a stream only grows: a dark frame must not be brighter than the one before
            most = int(visible.max())
            bits = max(self._found, next(depth for depth in DEPTHS if most < 1 << depth))
            if bits != self._found and bits < 16:
                notes = (_note(bits),)
            self._found = bits
        if bits == 16:
            return visible, notes
        return np.minimum(visible, np.uint16((1 << bits) - 1)) << np.uint16(16 - bits), notes


def _note(bits: int) -> Note:
    return Note(
        'visible_bits',
        f'the visible image uses {bits} of its 16 bits, as far as was seen, and is brightened accordingly; '
        f'set visible.bits if the camera has more',
    )

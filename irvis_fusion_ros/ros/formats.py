"""What has to stay the same in the stream of a camera; imports no ROS."""

from typing import Any


class Format:
    """The size and encoding of a camera's images; a change has to last for two of them."""

    STREAM = ('_kind', '_candidate')

    def __init__(self):
        self.changes = 0
        self.reset()

    def reset(self) -> None:
        """Forget what came before."""
        self._kind: tuple | None = None
        self._candidate: tuple | None = None

    def accept(self, kind: tuple) -> bool:
        """Take the kind of the next image (`Picture.kind`); False if that image is to be left out."""
        if self._kind is None or kind == self._kind:
            self._kind, self._candidate = kind, None
            return True
        if kind == self._candidate:
            self._kind, self._candidate = kind, None
            self.changes += 1
            return True
        self._candidate = kind
        return False

    def __str__(self) -> str:
        return described(self._kind) if self._kind else 'nothing yet'


def described(kind: tuple[Any, ...]) -> str:
    """Return size and encoding, for a sentence."""
    width, height, encoding = kind
    return f'{width}x{height} {encoding}'

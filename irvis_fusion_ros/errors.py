"""Errors about a user's files, options and images; each message names the cause and the remedy."""

from collections.abc import Mapping


class FileError(ValueError):
    """A file or folder that cannot be used; the text names it and the remedy."""


class ChoiceError(ValueError):
    """An unknown name, or one that does not go with the other options; `option` is the option it is for."""

    def __init__(self, option: str, text: str):
        super().__init__(text)
        self.option = option


class BagError(RuntimeError):
    """A bag that cannot be read or written; the text names the bag and the remedy."""


class IncompleteBagError(BagError):
    """
    A bag of which not everything could be read; raised after everything that is whole has been read.

    read, claimed: messages by topic.
    """

    def __init__(self, text: str, read: Mapping[str, int], claimed: Mapping[str, int]):
        super().__init__(text)
        self.read = read
        self.claimed = claimed


class ImageError(ValueError):
    """
    An image that cannot be used.

    cause: a stable code for counting. camera: 'thermal' or 'visible', None where it is unknown.
    """

    def __init__(self, cause: str, text: str, camera: str | None = None):
        super().__init__(text)
        self.cause = cause
        self.camera = camera

"""
The margins of images that are no scene: borders, and what lies beyond a region of interest.

scene.py cuts them away, or fills them.
"""

from dataclasses import astuple, dataclass

import cv2
import numpy as np

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.geometry.margins import NONE, Margins

# Frames that a change of the borders has to last: the scene may look like one for a moment.
LASTING = 8
# Pixels of a side of the scene at least.
SMALLEST = 32
# Grey levels of 255 that a black rim has on average, and the share of a side that it takes, at most.
BLACK, RIM = 4, 0.05


def roi_margins(name: str, roi: tuple[int, ...], shape: tuple[int, int]) -> Margins:
    """Return what lies beyond a region of interest; raises ImageError if that is not within an image."""
    x, y, width, height = roi
    width, height = width or shape[1] - x, height or shape[0] - y
    right, bottom = shape[1] - x - width, shape[0] - y - height
    if min(x, y, right, bottom) < 0 or min(width, height) < SMALLEST:
        text = (
            f"'{name}.roi' is {list(roi)}: it has to lie within the {name} image, which is "
            f'{shape[1]}x{shape[0]}, with at least {SMALLEST} pixels a side'
        )
        raise ImageError('roi', text, name)
    return Margins(x, y, right, bottom)


def roi_of(text: str) -> tuple[int, ...]:
    """
    Return the region of interest that a text says, `x, y, width, height`; an empty one is none, ().

    Raises ValueError, saying what has to be, for another text.
    """
    if not text.strip():
        return ()
    try:
        roi = tuple(int(part) for part in text.strip().strip('[]()').replace(',', ' ').split())
    except ValueError:
        roi = ()
    if len(roi) != 4:
        raise ValueError("must be four whole numbers, 'x, y, width, height', or empty")
    if min(roi) < 0 or any(0 < side < SMALLEST for side in roi[2:]):
        raise ValueError(f'must not be negative, and width and height are 0 or at least {SMALLEST}')
    return roi


@dataclass
class LastingMargins:
    """The margins of a stream. They change only when another value has lasted for LASTING frames."""

    kept: Margins | None = None
    shape: tuple[int, ...] = ()
    candidate: Margins = NONE
    frames: int = 0

    def settled(self, found: Margins, shape: tuple[int, int]) -> Margins:
        """Take the margins of a frame of `shape` and return those of the stream."""
        self.frames = self.frames + 1 if found == self.candidate else 1
        self.candidate = found
        if self.kept is None or shape != self.shape or self.frames >= LASTING:
            self.kept, self.shape = found, shape
        return self.kept


def with_roi(found: Margins, name: str, roi: tuple[int, ...], shape: tuple[int, int]) -> Margins:
    """Return the border of an image and what lies beyond its region of interest."""
    if any(roi):
        beyond = roi_margins(name, roi, shape)
        found = Margins(*(max(pair) for pair in zip(astuple(found), astuple(beyond), strict=True)))
    height, width = shape
    small = min(width - found.left - found.right, height - found.top - found.bottom) < SMALLEST
    return NONE if small else found


def has_black_rim(images: list[np.ndarray], margins: list[Margins]) -> bool:
    """
    Return whether one image alone has a border, a thin black one: what a warp leaves where it has no values.

    The networks have learned from such images, and the maps find nothing in it. To cut it costs precision,
    because the same scene then lies on another grid: 7 pairs of roadscene under `fr` are consistent to 0.79
    px with the cut and to 0.39 px without it (swift_lite).
    """
    bordered = [(image, own) for image, own in zip(images, margins, strict=True) if own]
    if len(bordered) != 1:
        return False
    image, own = bordered[0]
    if np.max(np.divide(astuple(own), _lengths(image.shape))) > RIM:
        return False
    border = np.ones(image.shape, np.uint8)
    own.inner(border)[:] = 0
    # a slanted rim leaves a little of the scene within its border
    return cv2.mean(image, border)[0] <= BLACK


def cuts_of(margins: list[Margins], shapes: list[tuple[int, int]]) -> list[Margins]:
    """
    Return what is cut from both images.

    A border around an image leaves all of its picture: each image is cut by its own. A border over an image
    takes a part of its picture: both are cut by the larger share of every side, so that what is left of both
    has the same size in the scene. The first is so where the pictures have one size, or are nearer to one
    aspect than the images.
    """
    inner = [own.shape_of(shape) for own, shape in zip(margins, shapes, strict=True)]
    if inner[0] == inner[1] or _stretched(*inner) < _stretched(*shapes):
        return margins
    shares = np.max(
        [np.divide(astuple(own), _lengths(shape)) for own, shape in zip(margins, shapes, strict=True)], axis=0
    )
    cuts = [Margins(*np.rint(shares * _lengths(shape)).astype(int).tolist()) for shape in shapes]
    smallest = min(min(cut.shape_of(shape)) for cut, shape in zip(cuts, shapes, strict=True))
    # what is left of two that overlap little is filled
    return cuts if smallest >= SMALLEST else [NONE, NONE]


def _lengths(shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return what left, top, right and bottom are a share of."""
    return shape[1], shape[0], shape[1], shape[0]


def _stretched(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Return by how much one image is stretched more along one axis to lie over another; 0 is not at all."""
    return abs(float(np.log(a[0] * b[1] / (a[1] * b[0]))))

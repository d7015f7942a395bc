"""
Borders of an image that are not part of the scene: letterboxes, frames, caption bars, rounded corners.

A border is one brightness along a whole edge of the image, of whatever brightness, and ends at once along a
straight line. A sky or a dark ground may be of one brightness, too, but it ends elsewhere in every column.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.geometry.margins import Margins

# Grey levels of 255 by which compression changes a border: where it meets the scene, and away from that.
RINGING, FLAT = 12, 3
# Pixels from the end of a border within which compression makes ringing, and over which it ends at most.
BLOCK, SOFT = 8, 3
# Share of a row that has the brightness of the border: of its outermost row and of its last one at least, in
# the lines of a caption at least, and the share of it that is flat.
OUTERMOST, LAST, CAPTION, QUIET = 0.98, 0.9, 0.4, 0.9
# Share of the columns that end together: of a border that nothing else speaks for, and of one that the
# opposite side or the other image has as well. A dark scene leaves little of the end of a black border.
TOGETHER, SUPPORTED = 0.5, 0.2
# Pixels that such a border may be deeper or less deep.
ALIKE = 2
# Pixels of the thinnest border, and the share of a side that the thickest takes.
THINNEST, THICKEST = 4, 0.45
# Rounded corners: pixels of one at least, the share of the image that it takes at most, by how much another
# one may be larger, the ratio of its sides at most, the share of its shape that has its value at every
# corner, and the grey levels by which the scene beside them differs on average.
CORNER_PIXELS, CORNER, CORNERS_ALIKE, CORNER_ASPECT, CORNER_SHARE, CORNER_STEP = 12, 0.06, 1.2, 2.5, 0.97, 20


def as_byte(image: np.ndarray) -> np.ndarray:
    """Return an image, H x W of integers or floats, as uint8 over its whole range; NaN is the low end."""
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    # what OpenCV converts at once
    values = image if image.dtype in (np.uint16, np.float32) else image.astype(np.float32)
    if values.dtype.kind == 'f':
        finite = np.isfinite(values)
        if not finite.all():
            values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    low, high, _, _ = cv2.minMaxLoc(values)
    gain = 255 / max(high - low, 1e-12)
    return cv2.convertScaleAbs(values, alpha=gain, beta=-low * gain)


def find(*images: np.ndarray) -> list[Margins]:
    """Return the borders of the images of one rig, each H x W uint8."""
    known = [_Known(image) for image in images]
    # a border across a side hides how another one ends until it is taken away
    while any([each.grow(others) for each, others in _with_others(known)]):
        pass
    for each, others in _with_others(known):
        each.continue_hidden(others)
    return [each.margins for each in known]


def corners(image: np.ndarray) -> np.ndarray | None:
    """
    Return where an image without its borders, H x W uint8, has rounded corners, uint8 0/1, or None.

    All four have one brightness and one shape; two of them have to end where it does, the scene at the others
    may be as dark as they are.
    """
    ends = image[:: max(1, image.shape[0] - 1), :: max(1, image.shape[1] - 1)]
    if ends.shape != (2, 2) or int(ends.max()) - int(ends.min()) > RINGING:
        return None
    # each corner brought to the top left
    turned = [image[::down, ::along] for down in (1, -1) for along in (1, -1)]
    found = sorted((_corner(each) for each in turned), key=lambda corner: corner[0])
    areas = [area for area, _ in found]
    if not CORNER_PIXELS <= areas[0] <= CORNER * image.size or areas[1] > CORNERS_ALIKE * areas[0]:
        return None
    shape, value = found[0][1], int(image[0, 0])
    around = cv2.dilate(shape, np.ones((5, 5), np.uint8)) - shape
    steps = sorted(abs(cv2.mean(np.ascontiguousarray(each), around)[0] - value) for each in turned)
    _, _, width, height = cv2.boundingRect(shape)
    # the rim of a turned image is a thin wedge
    thin = max(width, height) > CORNER_ASPECT * min(width, height)
    shares = [float((np.abs(each[shape > 0].astype(np.int16) - value) <= RINGING).mean()) for each in turned]
    if thin or min(shares) < CORNER_SHARE or steps[-2] < CORNER_STEP:
        return None
    mirrored = [shape[::down, ::along] for down in (1, -1) for along in (1, -1)]
    return np.ascontiguousarray(mirrored[0] | mirrored[1] | mirrored[2] | mirrored[3])


def _corner(image: np.ndarray) -> tuple[int, np.ndarray]:
    """Return what is connected to the top left pixel and of its value: how many pixels, and uint8 0/1."""
    height, width = image.shape
    mask = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    # the pixels of a message cannot be written, which OpenCV wants of what it does not write either
    writable = np.require(image, requirements='CW')
    area, *_ = cv2.floodFill(writable, mask, (0, 0), 0, RINGING, RINGING, flags)
    return area, mask[1:-1, 1:-1]


def _sides(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return views in which left, top, right and bottom are the first row."""
    return image.T, image, image[:, ::-1].T, image[::-1]


class _Known:
    """
    What is known of the borders of one image, by side: left, top, right, bottom.

    depths: pixels. values: grey levels.
    """

    def __init__(self, image: np.ndarray):
        self.image = image
        self.depths, self.values = [0] * 4, [-1] * 4
        self.proposed = [0] * 4

    @property
    def margins(self) -> Margins:
        return Margins(*self.depths)

    def grow(self, others: list['_Known']) -> bool:
        """Add what is found within the known borders; says whether something was."""
        ends = [_end(side) for side in _sides(self.margins.inner(self.image))]
        self.proposed = [depth + end.depth for depth, end in zip(self.depths, ends, strict=True)]
        grown = False
        for side, end in enumerate(ends):
            deep = self.proposed[side] > THICKEST * self._length(side)
            if not end.depth or deep or (end.together < TOGETHER and not self._supported(side, end, others)):
                continue
            self.depths[side], self.values[side] = self.proposed[side], end.value
            grown = True
        return grown

    def continue_hidden(self, others: list['_Known']) -> None:
        """Add borders whose end does not show, such as white ones before a white sky, as deep as others."""
        for side, image in enumerate(_sides(self.image)):
            if self.depths[side]:
                continue
            opposite = (side + 2) % 4
            depths = []
            if self.depths[opposite] and _alike(self.values[opposite], _median(image[0])):
                depths.append(self.depths[opposite])
            depths += [
                round(other.depths[side] / other._length(side) * self._length(side)) for other in others
            ]
            for depth in depths:
                if depth and _is_flat(image[:depth]):
                    self.depths[side] = depth
                    break

    def _supported(self, side: int, end: '_End', others: list['_Known']) -> bool:
        depth, opposite = self.proposed[side], (side + 2) % 4
        same_here = abs(depth - self.proposed[opposite]) <= ALIKE and self.proposed[opposite] > 0
        ratio = self._length(side)
        return same_here or any(
            abs(depth - other.proposed[side] * ratio / other._length(side)) <= ALIKE
            for other in others
            if other.proposed[side]
        )

    def _length(self, side: int) -> int:
        return self.image.shape[1 - side % 2]


@dataclass(frozen=True)
class _End:
    """The depth of a border, pixels, 0 for none, its value, and the share of columns that end it together."""

    depth: int = 0
    value: int = -1
    together: float = 0.0


def _end(image: np.ndarray) -> _End:
    """Return the end of the border that begins with the first row."""
    value = _median(image[0])
    limit = int(THICKEST * image.shape[0])
    # most images have no border: one row says so
    if limit < THINNEST or _share(image[:1], value, RINGING)[0] < OUTERMOST:
        return _End()
    share = _share(image[: limit + SOFT], value, RINGING)
    scene = np.flatnonzero(share < CAPTION)
    last = np.flatnonzero(share[: scene[0] if scene.size else limit] >= LAST)[-1]
    depth = int(last) + 1
    together = float(share[last] - share[min(last + SOFT, len(share) - 1)])
    if depth < THINNEST or together < SUPPORTED:
        return _End()
    rows = image[: max(1, depth - BLOCK)]
    quiet = _share(rows, value, FLAT).sum() >= QUIET * _share(rows, value, RINGING).sum()
    return _End(depth, value, together) if quiet else _End()


def _with_others(known: list[_Known]) -> list[tuple[_Known, list[_Known]]]:
    return [(each, [other for other in known if other is not each]) for each in known]


def _median(values: np.ndarray) -> int:
    """Return the median of uint8, rounded down: counting takes a tenth of the time of np.median."""
    up_to = np.cumsum(np.bincount(values, minlength=256))
    middle = (values.size - 1) // 2, values.size // 2
    return int(np.searchsorted(up_to, middle, 'right').sum()) // 2


def _alike(a: int, b: int) -> bool:
    return abs(a - b) <= RINGING


def _is_flat(rows: np.ndarray) -> bool:
    return bool((_share(rows, _median(rows[0]), FLAT) >= OUTERMOST).all())


def _share(rows: np.ndarray, value: int, tolerance: int) -> np.ndarray:
    """Return the share of each row that has a value."""
    low, high = max(0, value - tolerance), min(255, value + tolerance)
    # inRange wants memory in order; a transposed view is looked at as it lies
    if rows.flags.f_contiguous and not rows.flags.c_contiguous:
        return cv2.reduce(cv2.inRange(rows.T, low, high), 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[0] / 255
    inside = cv2.inRange(np.ascontiguousarray(rows), low, high)
    return cv2.reduce(inside, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[:, 0] / 255

"""
Shows targets in a fused picture: people, engines, or what is colder.

What a target lacks of its thermal contrast is measured against its surroundings, coarsely. Its silhouette and
texture are those of the thermal image and of the picture, at full size. What is clearly seen already stays as
it is, and nothing changes outside targets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

# A brightness range, as a share of all, below which a contrast is not trusted.
FAINT = 0.03


@dataclass(frozen=True)
class DisplayConfig:
    """
    How targets are shown; brightness is in [0, 1], of the stretched thermal image and of the picture.

    Tuned on the people of roadscene, msrs, vifb, tno, m3svd_frames and wisard (test/data/targets): the share
    of them that is kept against what changes outside them and the edges of the visible image that are lost.
    """

    # Thermal contrast, of all there is and in standard deviations of the surroundings, from which a place is
    # taken for a target, and fully: what the thermal image hardly shows is not shown.
    faint: tuple[float, float] = (0.03, 0.07)
    separate: tuple[float, float] = (0.5, 1.0)
    # Share of the rim of a target that is colder than it, by `rim` of its contrast, from which a place is
    # taken for one, and fully: a piece of a hot road goes on as warm as it is.
    enclosed: tuple[float, float] = (0.6, 0.72)
    rim: float = 0.35
    # Warmth above the surroundings from which all parts of a target count the same in its means.
    counted: float = 0.1
    # What a target has of its thermal contrast at least, in the picture; and in brightness.
    share: float = 1.0
    least: float = 0.11
    # Contrast in standard deviations of the picture around it, so that it can be told from restless ground.
    above_clutter: float = 2.5
    # A warm target is darker than its surroundings where these leave less than this share of its contrast,
    # unless it is already brighter by this share of it.
    room: float = 0.65
    brighter: float = 0.3
    # It is darker, too, where it already is so by this share of its contrast, and there is room for the rest.
    darker: float = 0.35
    # Share of the contrast needed, or of so many standard deviations of target and surroundings, from which
    # a target begins to stay as it is in the picture, brighter or darker, and does so fully.
    stays: tuple[float, float] = (0.7, 1.0)
    told: float = 1.2
    # Shares of thermal and of visible texture inside a target, the most that the latter adds, and how much
    # colder than the target a part of it is shown at most: no dark rim.
    thermal_texture: float = 0.8
    visible_texture: float = 0.35
    most_texture: float = 0.1
    coldest: float = 0.8
    # Where the silhouette begins and is full, between the surroundings' warmth and the target's own.
    silhouette: tuple[float, float] = (0.1, 0.35)
    # Windows, as shares of the shorter side, in which surroundings are sought: the smallest that has some.
    around: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.6)
    enough: float = 0.35
    # Window of a target's own means.
    own: float = 0.1
    # Share of the last frame that is kept in a stream of which way and how much of a target is shown.
    steady: float = 0.9


@dataclass(frozen=True)
class _Coarse:
    """
    What is known of targets on the small grid, each h x w float32.

    seen: how surely there is one. ground, contrast: warmth around it, and how much warmer it is. own_light:
    its brightness in the picture; shown: what it is to have. towards: 1 for brighter, -1 for darker.
    """

    seen: np.ndarray
    ground: np.ndarray
    contrast: np.ndarray
    own_light: np.ndarray
    shown: np.ndarray
    towards: np.ndarray


class TargetDisplay:
    """
    Shows targets of one sign: 1 for warm ones, which are shown brighter, -1 for cold ones.

    temporal: follow a stream, so that no target is bright in one frame and dark in the next.
    """

    def __init__(self, sign: int, config: DisplayConfig, temporal: bool = False):
        self._sign = sign
        self._config = config
        self._temporal = temporal
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._last: np.ndarray | None = None

    def show(
        self,
        picture: np.ndarray,
        thermal: np.ndarray,
        trust: np.ndarray,
        seen: np.ndarray,
        warmth: np.ndarray,
        where: np.ndarray | None = None,
    ) -> None:
        """
        Show targets in `picture`, in place.

        picture: brightness, thermal: stretched, high where a target is, trust: [0, 1], each H x W float32.
        seen: how surely there is a target, h x w float32 [0, 1]; warmth: `thermal` on that grid. where: H x W
        float32 zeros, receives where targets are, [0, 1].
        """
        if float(seen.max()) < FAINT:
            return
        coarse = self._coarse(reduced(picture, seen.shape[::-1]), seen, warmth)
        # silhouettes are as sharp as the thermal image: only their surroundings are known coarsely
        reach = cv2.dilate(coarse.seen, np.ones((3, 3), np.uint8))
        count, labels, boxes, _ = cv2.connectedComponentsWithStats((reach > FAINT).astype(np.uint8))
        gain = 1 / np.maximum(coarse.contrast, FAINT)
        level = coarse.ground * gain
        for label in range(1, count):
            part, full = _enlarged(boxes[label], seen.shape, picture.shape)
            # 0 where it is as warm as the surroundings, 1 where as warm as the target on average
            rise = thermal[part] * full(gain)
            rise -= full(level)
            share = ramp(rise, *self._config.silhouette)
            share *= full(np.where(labels == label, reach, 0))
            share *= trust[part]
            picture[part] += share * self._change(coarse, picture[part], rise, full)
            if where is not None:
                np.maximum(where[part], share, out=where[part])

    def _coarse(self, light: np.ndarray, seen: np.ndarray, warmth: np.ndarray) -> _Coarse:
        """light: the picture on the small grid."""
        config = self._config
        taken = cv2.dilate((seen > 0.3).astype(np.uint8), np.ones((3, 3), np.uint8))
        planes = (warmth, warmth * warmth, light, light * light)
        ground, ground_squared, lit, lit_squared = self._surroundings(planes, 1.0 - taken)
        unrest, clutter = _deviation(ground, ground_squared), _deviation(lit, lit_squared)
        core = seen * np.clip(warmth - ground, 0, config.counted) + 1e-4
        own_warmth, own_light, own_squared = self._own((warmth, light, light * light), core)
        contrast = np.maximum(own_warmth - ground, 0)
        needed = np.maximum(config.share * contrast, config.above_clutter * clutter)
        needed = np.maximum(needed, config.least)
        mixed = np.hypot(clutter, _deviation(own_light, own_squared))
        towards, missing = self._direction(
            taken, core, (lit, own_light - lit, needed, mixed), (warmth, ground)
        )
        room = np.where(towards > 0, 1 - lit, lit)
        shown = lit + towards * np.minimum(needed, np.maximum(room - 0.02, 0))
        seen = seen * missing * ramp(contrast, *config.faint)
        seen *= ramp(contrast / np.maximum(unrest, 1e-3), *config.separate)
        return _Coarse(seen, ground, contrast, own_light, shown, towards)

    def _change(self, coarse: _Coarse, bright: np.ndarray, rise: np.ndarray, full: Callable) -> np.ndarray:
        """Return what is added to the picture where a target is: what it lacks, with the texture of both."""
        config = self._config
        texture = np.maximum(rise - 1, -config.coldest)
        texture *= full(config.thermal_texture * coarse.towards * coarse.contrast)
        change = bright - full(coarse.own_light)
        change *= config.visible_texture
        np.clip(change, -config.most_texture, config.most_texture, out=change)
        change += texture
        change += full(coarse.shown)
        np.clip(change, 0, 1, out=change)
        change -= bright
        return change

    def _surroundings(self, planes: tuple[np.ndarray, ...], free: np.ndarray) -> list[np.ndarray]:
        """Means of planes over what is free around each place, in the smallest window with enough of it."""
        free = free.astype(np.float32)
        means = [plane.copy() for plane in planes]
        left = np.ones(free.shape, bool)
        for window in _windows(free.shape, self._config.around):
            share = cv2.blur(free, window)
            here = left & (share > self._config.enough)
            for mean, plane in zip(means, planes, strict=True):
                mean[here] = (cv2.blur(plane * free, window) / np.maximum(share, 1e-6))[here]
            left &= ~here
            if not left.any():
                break
        return means

    def _own(self, planes: tuple[np.ndarray, ...], core: np.ndarray) -> list[np.ndarray]:
        window = _windows(core.shape, (self._config.own,))[0]
        share = cv2.blur(core, window)
        return [cv2.blur(plane * core, window) / share for plane in planes]

    def _direction(
        self,
        taken: np.ndarray,
        core: np.ndarray,
        planes: tuple[np.ndarray, ...],
        heat: tuple[np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return 1 where a target is shown brighter, -1 where darker, and how much of it is missing, [0, 1].

        Both are the same in all of a target. planes: brightness of the surroundings, that of the target above
        it, the contrast needed, and the standard deviation of target and surroundings. heat: warmth, and that
        of the surroundings.
        """
        config = self._config
        count, labels = cv2.connectedComponents(taken, connectivity=4)
        flat = labels.ravel()
        total = np.bincount(flat, core.ravel(), count)
        lit, has, needed, mixed, warm, ground = (
            np.bincount(flat, (p * core).ravel(), count) / total for p in (*planes, *heat)
        )
        room = 1 - lit if self._sign > 0 else lit
        turned = (room < config.room * needed) & (room < 0.5)
        turned &= self._sign * has < config.brighter * needed
        turned |= (-self._sign * has > config.darker * needed) & (1 - room > config.room * needed)
        has = np.abs(has) / np.maximum(needed, config.told * mixed)
        missing = 1 - ramp(has.astype(np.float32), *config.stays)
        rim = cv2.dilate(labels.astype(np.int16), np.ones((5, 5), np.uint8))
        rim[taken > 0] = 0
        limit = warm - config.rim * np.maximum(warm - ground, FAINT)
        colder = np.bincount(rim.ravel(), (heat[0] < limit[rim]).ravel(), count)
        colder /= np.maximum(np.bincount(rim.ravel(), minlength=count), 1)
        missing *= ramp(colder.astype(np.float32), *config.enclosed)
        way = (np.where(turned, -self._sign, self._sign) * missing).astype(np.float32)[labels]
        if self._temporal:
            if self._last is not None and self._last.shape == way.shape:
                known = self._last + np.float32(1 - config.steady) * (way - self._last)
                way = np.where(np.isnan(known), way, known)
            self._last = np.where(taken > 0, way, np.float32(np.nan))
        return np.where(way * self._sign < 0, -self._sign, self._sign).astype(np.float32), np.abs(way)


def reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image at a smaller size (width, height): by halves first, which is exact and fast."""
    while image.shape[1] >= 3 * size[0] and image.shape[1] % 2 == 0 and image.shape[0] % 2 == 0:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 up to `low`, 1 from `high`, and a smooth step between them, float32."""
    share = value * np.float32(1 / (high - low))
    share -= np.float32(low / (high - low))
    np.clip(share, 0, 1, out=share)
    smooth = share * np.float32(-2)
    smooth += 3
    smooth *= share
    smooth *= share
    return smooth


def _enlarged(
    box: np.ndarray, small: tuple[int, int], large: tuple[int, ...]
) -> tuple[tuple[slice, slice], Callable[[np.ndarray], np.ndarray]]:
    """
    Return the part of a large image that cells of a small grid reach, and what enlarges a plane there.

    box: left, top, width and height of the cells. small, large: height and width.
    """
    scale = large[1] / small[1], large[0] / small[0]
    # bilinear interpolation reaches one cell further
    first = [max(0, int((box[k] - 1) * scale[k])) for k in (0, 1)]
    last = [min(large[1 - k], int(np.ceil((box[k] + box[k + 2] + 1) * scale[k]))) for k in (0, 1)]
    part = slice(first[1], last[1]), slice(first[0], last[0])
    to_small = np.array([[1 / s, 0, (at + 0.5) / s - 0.5] for s, at in zip(scale, first, strict=True)])
    to_small[1, :2] = to_small[1, 1::-1]
    size = last[0] - first[0], last[1] - first[1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def full(plane: np.ndarray) -> np.ndarray:
        plane = plane.astype(np.float32, copy=False)
        return cv2.warpAffine(plane, to_small, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    return part, full


def _windows(shape: tuple[int, ...], shares: tuple[float, ...]) -> list[tuple[int, int]]:
    return [(int(share * min(shape)) | 1,) * 2 for share in shares]


def _deviation(mean: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(mean_square - mean * mean, 0))

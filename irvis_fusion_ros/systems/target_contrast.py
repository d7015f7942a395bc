"""
Decides on a small grid how bright a target is to be in the picture, and whether it is to change at all.

What a target needs is measured against its surroundings: its contrast in the thermal image, and how restless
the picture is there. What is clearly seen already stays as it is.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.systems.small_grid import ramp

# A brightness range, as a share of all, below which a contrast is not trusted.
FAINT = 0.03


@dataclass(frozen=True)
class DisplayConfig:
    """
    How targets are shown; brightness is in [0, 1], of the stretched thermal image and of the picture.

    Tuned on the people of roadscene, msrs, vifb, tno, m3svd_frames and wisard (test/data/targets): the share
    of them that is kept and that a detector finds, against the edges of the visible image that are lost.
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
    # What a target has of its thermal contrast at least, in the picture, and of what is above `strong`, so
    # that a person does not become white all over; and in brightness.
    share: float = 0.9
    strong: float = 0.3
    share_of_strong: float = 0.7
    least: float = 0.11
    # Contrast in standard deviations of target and surroundings, so that it is told from restless ground.
    apart: float = 2.1
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
    # Share of the picture's texture that is left inside a target; that of the thermal image is added.
    visible_texture: float = 0.4
    # A silhouette begins above the warmth of the surroundings by so many of their standard deviations, or by
    # this share of the target's contrast where that is less, so that no ground around it is taken along. It
    # is full between these shares of the way from there to the target's own warmth.
    unrest: float = 0.7
    most_unrest: float = 0.2
    silhouette: tuple[float, float] = (0.2, 0.5)
    # Windows, as shares of the shorter side, in which surroundings are sought: the smallest that has some.
    around: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.6)
    enough: float = 0.35
    # Window of a target's own means.
    own: float = 0.1
    # Share of the last frame that is kept in a stream of which way and how much of a target is shown.
    steady: float = 0.9


@dataclass(frozen=True)
class Shown:
    """
    How targets are to be shown, each plane h x w float32.

    seen: how surely there is one. ground: warmth at which its silhouette begins; contrast: how much warmer it
    is. towards: 1 for brighter, -1 for darker. offset: what is added to the textures of both images.
    """

    seen: np.ndarray
    ground: np.ndarray
    contrast: np.ndarray
    towards: np.ndarray
    offset: np.ndarray


class TargetContrast:
    """
    Decides for targets of one sign: 1 for warm ones, which are shown brighter, -1 for cold ones.

    temporal: follow a stream, so that no target is bright in one frame and dark in the next.
    """

    STREAM = ('_last',)

    def __init__(self, sign: int, config: DisplayConfig, temporal: bool = False):
        self._sign = sign
        self._config = config
        self._temporal = temporal
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._last: np.ndarray | None = None

    def decide(self, light: np.ndarray, squared: np.ndarray, seen: np.ndarray, warmth: np.ndarray) -> Shown:
        """
        Return how targets are to be shown.

        light, squared: means of the picture's brightness and of its square in each cell. seen: how surely
        there is a target, [0, 1]; warmth: of the thermal image, high where a target is. Each h x w float32.
        """
        config = self._config
        taken = cv2.dilate((seen > 0.3).astype(np.uint8), np.ones((3, 3), np.uint8))
        planes = (warmth, warmth * warmth, light, squared)
        ground, ground_squared, lit, lit_squared = self._surroundings(planes, 1.0 - taken)
        unrest, clutter = _deviation(ground, ground_squared), _deviation(lit, lit_squared)
        core = seen * np.clip(warmth - ground, 0, config.counted) + 1e-4
        own_warmth, own_light, own_squared = self._own((warmth, light, squared), core)
        contrast = np.maximum(own_warmth - ground, 0)
        texture = _deviation(own_light, own_squared)
        needed = self._needed(contrast, np.hypot(clutter, config.visible_texture * texture))
        towards, missing = self._direction(
            taken, core, (lit, own_light - lit, needed, np.hypot(clutter, texture)), (warmth, ground)
        )
        room = np.where(towards > 0, 1 - lit, lit)
        aim = lit + towards * np.minimum(needed, np.maximum(room - 0.02, 0))
        seen = seen * missing * ramp(contrast, *config.faint)
        seen *= ramp(contrast / np.maximum(unrest, 1e-3), *config.separate)
        rise = np.minimum(config.unrest * unrest, config.most_unrest * contrast)
        offset = aim - towards * own_warmth - config.visible_texture * own_light
        return Shown(seen, ground + rise, contrast - rise, towards, offset)

    def _needed(self, contrast: np.ndarray, mixed: np.ndarray) -> np.ndarray:
        """Contrast that a target needs in the picture; mixed: deviation of target and surroundings there."""
        config = self._config
        strong = np.maximum(contrast - config.strong, 0)
        needed = config.share * (contrast - strong) + config.share_of_strong * strong
        return np.maximum(np.maximum(needed, config.apart * mixed), config.least)

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


def _windows(shape: tuple[int, ...], shares: tuple[float, ...]) -> list[tuple[int, int]]:
    return [(int(share * min(shape)) | 1,) * 2 for share in shares]


def _deviation(mean: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(mean_square - mean * mean, 0))

"""
Global search for scale, rotation and shift of an uncalibrated rig.

Edge-direction maps are correlated by FFT at every scale and rotation of a grid. The correlation is normalised
by the energy in the overlap, so that a small or empty overlap does not win.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.classical.pyramid import ThermalPyramid, eroded
from irvis_fusion_ros.classical.structure import content_hull, structure
from irvis_fusion_ros.geometry import transform

NEIGHBOURHOOD = 6.0
LEAST_OVERLAP = 0.35
_INVERSE = cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT


@dataclass(frozen=True)
class SearchConfig:
    """
    pixels: size of the visible image in the search. scales: smallest and largest size of a visible pixel on
    the thermal image, 1 = both fields of view have the same area. scale_step: ratio between neighbours.
    rotation, rotation_step: degrees. margin: canvas size over image size; shifts reach half the difference.
    """

    pixels: int = 96 * 128
    scales: tuple[float, float] = (0.42, 1.4)
    scale_step: float = 1.073
    rotation: float = 12.0
    rotation_step: float = 4.0
    margin: float = 1.75


@dataclass(frozen=True)
class Candidate:
    """backward: 3x3, visible to stretched thermal pixels. score: normalised correlation."""

    backward: np.ndarray
    score: float


def search(
    visible: np.ndarray, thermal: ThermalPyramid, config: SearchConfig, pool: ThreadPoolExecutor
) -> list[Candidate]:
    """Return the best shift for each scale and rotation, best first."""
    return search_together([(visible, thermal)], config, pool)


def search_together(
    pairs: Sequence[tuple[np.ndarray, ThermalPyramid]], config: SearchConfig, pool: ThreadPoolExecutor
) -> list[Candidate]:
    """
    Return the best shift for each scale and rotation of several pairs of one rig, best first.

    pairs: visible image and thermal pyramid, of the same sizes. Their scores are summed at every shift before
    the best one is taken.
    """
    scenes = [_Scene(visible, thermal, config) for visible, thermal in pairs]
    steps = int(np.log(config.scales[1] / config.scales[0]) / np.log(config.scale_step)) + 1
    scales = config.scales[0] * config.scale_step ** np.arange(steps)
    found = [c for per_scale in pool.map(lambda scale: _candidates(scenes, scale), scales) for c in per_scale]
    return sorted(found, key=lambda candidate: -candidate.score)


def _candidates(scenes: Sequence['_Scene'], scale: float) -> list[Candidate]:
    """Return the best shift for each rotation at one scale."""
    drawn = [scene.at_scale(scale) for scene in scenes]
    rotation, step = scenes[0].config.rotation, scenes[0].config.rotation_step
    found = []
    for angle in np.arange(-rotation, rotation + 1e-6, step):
        score = sum(scene.score(each, angle) for scene, each in zip(scenes, drawn, strict=True))
        _, best, _, (x, y) = cv2.minMaxLoc(score)
        found.append(Candidate(scenes[0].backward(scale, angle, x, y), best / len(scenes)))
    return found


class _Scene:
    """A pair, of which the visible image is prepared once for all correlations."""

    def __init__(self, visible: np.ndarray, thermal: ThermalPyramid, config: SearchConfig):
        self._thermal, self.config = thermal, config
        self._visible_shape = visible.shape
        scale = (config.pixels / visible.size) ** 0.5
        self._shape = tuple(max(16, round(side * scale)) for side in visible.shape)
        self._canvas = tuple(cv2.getOptimalDFTSize(int(side * config.margin)) for side in self._shape)
        self._from_visible = transform.resize_transform(visible.shape, self._shape)
        small = cv2.resize(visible, self._shape[::-1], interpolation=cv2.INTER_AREA)
        hull = content_hull(small)
        support = None if hull is None else eroded(hull)
        maps = structure(small, support, neighbourhood=NEIGHBOURHOOD, harmonics=1)
        self._maps = [self._spectrum(plane) for plane in maps]
        self._energy = self._spectrum(maps[0] ** 2 + maps[1] ** 2)
        thermal_height, thermal_width = thermal.image.shape
        height, width = self._shape
        # shifts at which the visible image lies on the canvas without wrapping around
        self._valid = (slice(0, self._canvas[0] - height + 1), slice(0, self._canvas[1] - width + 1))
        self._least_energy = np.float32(1e-4 * height * width)
        # thermal pixels per search pixel where both images cover the same area
        self._equal_area = (thermal_width * thermal_height / (self._shape[0] * self._shape[1])) ** 0.5

    def at_scale(self, scale: float) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Return what `score` needs of one scale."""
        return self._warp_thermal(self._equal_area * scale)

    def _warp_thermal(self, factor: float) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """
        Warp the thermal image to this scale, without rotation.

        Returns its structure maps on a square large enough to rotate, and a factor for the score of each
        shift that normalises for the overlap. The overlap hardly depends on the rotation, so one factor per
        scale suffices.
        """
        image, support, shrink = self._thermal.shrunk(factor)
        side = int(np.ceil(np.hypot(*self._canvas)))
        matrix = (shrink @ self._to_thermal(factor, 0.0, (side, side)))[:2]
        linear = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        nearest = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
        drawn = cv2.warpAffine(image, matrix, (side, side), flags=linear, borderMode=cv2.BORDER_REPLICATE)
        full = support if support is not None else np.ones(image.shape, np.uint8)
        seen = eroded(cv2.warpAffine(full, matrix, (side, side), flags=nearest))
        maps = structure(drawn, seen, neighbourhood=NEIGHBOURHOOD, harmonics=1)
        y, x = ((side - length) // 2 for length in self._canvas)
        seen = np.ascontiguousarray(seen[y : y + self._canvas[0], x : x + self._canvas[1]])
        energy = cv2.mulSpectrums(cv2.dft(seen), self._energy, 0, conjB=True)
        energy = np.maximum(cv2.dft(energy, flags=_INVERSE)[self._valid], self._least_energy)
        overlap = np.clip(self._window_sum(seen)[self._valid] / (self._shape[0] * self._shape[1]), 0, 1)
        prior = np.sqrt(np.sqrt(overlap) / energy) * (overlap > LEAST_OVERLAP)
        return (maps[0], maps[1]), prior

    def score(self, drawn: tuple[tuple[np.ndarray, np.ndarray], np.ndarray], angle: float) -> np.ndarray:
        """Return the score of every shift at one rotation, in degrees."""
        upright, prior = drawn
        cosine, sine = self._rotate(upright, angle)
        product = cv2.mulSpectrums(cv2.dft(cosine), self._maps[0], 0, conjB=True)
        product += cv2.mulSpectrums(cv2.dft(sine), self._maps[1], 0, conjB=True)
        score = cv2.dft(product, flags=_INVERSE)[self._valid] * prior
        energy = self._window_sum(cosine * cosine + sine * sine)[self._valid]
        score /= np.sqrt(np.maximum(energy, self._least_energy))
        return score

    def backward(self, scale: float, angle: float, x: int, y: int) -> np.ndarray:
        """Return the transform of a shift, 3x3, visible to stretched thermal pixels."""
        to_canvas = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
        to_thermal = self._to_thermal(self._equal_area * scale, angle, self._canvas)
        backward = to_thermal @ to_canvas @ self._from_visible
        backward = transform.stretch(self._thermal.image.shape, self._visible_shape) @ backward
        return transform.normalised(backward)

    def _rotate(self, upright, angle: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the maps rotated by `angle` degrees about the canvas centre, edge directions included."""
        height, width = self._canvas
        side = upright[0].shape[0]
        to_square = _rotation(angle, ((width - 1) / 2, (height - 1) / 2), ((side - 1) / 2, (side - 1) / 2))[
            :2
        ]
        linear = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        cosine, sine = (cv2.warpAffine(plane, to_square, (width, height), flags=linear) for plane in upright)
        c, s = np.float32(np.cos(np.deg2rad(2 * angle))), np.float32(np.sin(np.deg2rad(2 * angle)))
        return c * cosine + s * sine, c * sine - s * cosine

    def _to_thermal(self, factor: float, angle: float, canvas: tuple[int, int]) -> np.ndarray:
        """Return the 3x3 from canvas pixels to original thermal pixels; the centres coincide."""
        height, width = self._thermal.image.shape
        rotated = _rotation(angle, ((canvas[1] - 1) / 2, (canvas[0] - 1) / 2), (0, 0))
        grown = np.array([[factor, 0, (width - 1) / 2], [0, factor, (height - 1) / 2], [0, 0, 1]])
        return grown @ rotated

    def _window_sum(self, plane: np.ndarray) -> np.ndarray:
        """Return the sum over the visible window at every shift."""
        height, width = self._shape
        return cv2.boxFilter(
            plane, -1, (width, height), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT
        )

    def _spectrum(self, plane: np.ndarray) -> np.ndarray:
        padded = np.zeros(self._canvas, np.float32)
        padded[: plane.shape[0], : plane.shape[1]] = plane
        return cv2.dft(padded)


def _rotation(angle: float, centre: tuple[float, float], to: tuple[float, float]) -> np.ndarray:
    """Return the 3x3 that rotates by `angle` degrees about `centre` and moves that point to `to`."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    matrix[:2, 2] = np.asarray(to) - matrix[:2, :2] @ centre
    return matrix

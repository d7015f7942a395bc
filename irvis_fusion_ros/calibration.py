"""
Calibration files: what is known of a rig, as YAML. The first three keys are needed; `calibrate` writes more.
Distortion is that of geometry/lens.py.

    matrix: [1.02, 0.0, -14.5, 0.0, 1.02, 8.0, 0.0, 0.0, 1.0]  # 3x3 row by row, p_visible ~ H p_thermal
    thermal_size: [640, 512]                                   # width, height the matrix was measured for
    visible_size: [1280, 720]
    parallax_direction: [0.98, -0.2]  # unit vector: where H puts a nearer object, from where it lies
    parallax_range: [-2.0, 9.5]       # how far along it, visible pixels: of all that was seen
    spread: [1.1, 0.6, 0.5, 0.2, 0.4] # sigmas of what else differs, see Calibration.spread
    thermal_offset: -0.04             # seconds to be added to thermal stamps (sync.thermal_offset)
    thermal_offset_error: 0.002       # how sure that is (sigma, seconds)
    frames: 112                       # of how many pairs it was measured
    thermal_lens: {model: plumb_bob, k: [800, 0, 320, 0, 800, 256, 0, 0, 1], coefficients: [-0.1]}
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.geometry import plausible, transform
from irvis_fusion_ros.geometry import turn as turns
from irvis_fusion_ros.geometry.lens import MODELS, Lens
from irvis_fusion_ros.geometry.margins import Margins
from irvis_fusion_ros.io import atomic, yaml_file

# Far outside any image.
NOWHERE = 1e6
# No size, shift, time or count of a rig is larger.
_LARGEST = 1e6
# Difference of the logarithm of the aspect from which an image shows another field of view: what resizing
# rounds is less.
ASPECT = 0.02
KEYS = ('matrix', 'thermal_size', 'visible_size')
OPTIONAL = (
    'parallax_direction',
    'parallax_range',
    'spread',
    'thermal_offset',
    'thermal_offset_error',
    'frames',
    'thermal_lens',
    'visible_lens',
)


@dataclass(frozen=True)
class Parallax:
    """
    What the distance of the scene changes: `p_visible = H p_thermal - nearness * direction`.

    direction: unit vector, visible pixels, from where nearer objects lie to where H puts them. range: the
    least and the largest nearness that were seen, visible pixels: 0 is the distance that the matrix is right
    for.
    """

    direction: tuple[float, float]
    range: tuple[float, float]


@dataclass(frozen=True)
class ClockOffset:
    """seconds: to be added to thermal stamps, as sync.thermal_offset. error: its standard error, seconds."""

    seconds: float
    error: float


@dataclass(frozen=True)
class Calibration:
    """
    A fixed 3x3, `p_visible ~ H p_thermal` in 0-based pixels, stated for these shapes (height, width).

    thermal_lens, visible_lens: the distortion of images that have some; H is then between the pixels that
    pinhole cameras of the same intrinsics would have. parallax: what distance changes, if known. spread: what
    differs from frame to frame beside it, if known: sigmas of the shift in x and y, of turn and growth at
    half the width from the centre, and of regions of the image, visible pixels. clock: how the clocks of the
    cameras differ, if known. frames: of how many pairs it was measured; 0 if that is not known.
    """

    matrix: np.ndarray
    thermal_shape: tuple[int, int]
    visible_shape: tuple[int, int]
    thermal_lens: Lens | None = None
    visible_lens: Lens | None = None
    parallax: Parallax | None = None
    spread: tuple[float, float, float, float, float] | None = None
    clock: ClockOffset | None = None
    frames: int = 0

    def resized(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> 'Calibration':
        """Return the calibration for images of these shapes: the same field of view, resized."""
        ratio = visible_shape[1] / self.visible_shape[1]
        low, high = self.parallax.range if self.parallax else (0.0, 0.0)
        return replace(
            self,
            matrix=self._resized_matrix(thermal_shape, visible_shape),
            thermal_shape=thermal_shape,
            visible_shape=visible_shape,
            thermal_lens=self.thermal_lens and self.thermal_lens.resized(self.thermal_shape, thermal_shape),
            visible_lens=self.visible_lens and self.visible_lens.resized(self.visible_shape, visible_shape),
            parallax=self.parallax and replace(self.parallax, range=(ratio * low, ratio * high)),
            spread=self.spread and tuple(ratio * sigma for sigma in self.spread),
        )

    def cut(self, thermal: Margins, visible: Margins) -> 'Calibration':
        """Return the calibration for images with these margins cut away; pixels of the stated sizes."""
        from_cut, to_cut = _shift(thermal.left, thermal.top), _shift(-visible.left, -visible.top)
        thermal_lens, visible_lens = (
            lens and replace(lens, k=_shift(-margins.left, -margins.top) @ lens.k)
            for lens, margins in ((self.thermal_lens, thermal), (self.visible_lens, visible))
        )
        return replace(
            self,
            matrix=transform.normalised(to_cut @ self.matrix @ from_cut),
            thermal_shape=thermal.shape_of(self.thermal_shape),
            visible_shape=visible.shape_of(self.visible_shape),
            thermal_lens=thermal_lens,
            visible_lens=visible_lens,
        )

    def before_turn(self, turn: str) -> 'Calibration':
        """
        Return the calibration for thermal images as they come.

        This one is for images that were turned (geometry/turn.py) before anything else.
        """
        height, width = self.thermal_shape
        shape = (width, height) if turn in ('90', '270') else (height, width)
        to_turned = turns.to_turned(turn, shape)
        lens = self.thermal_lens and self.thermal_lens.before(to_turned)
        return replace(
            self, matrix=transform.normalised(self.matrix @ to_turned), thermal_shape=shape, thermal_lens=lens
        )

    def mismatch(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> str | None:
        """Say why images of these shapes do not show the field of view it was measured for, or None."""
        for name, stated, shape in (
            ('thermal', self.thermal_shape, thermal_shape),
            ('visible', self.visible_shape, visible_shape),
        ):
            if abs(np.log(stated[1] * shape[0] / (stated[0] * shape[1]))) > ASPECT:
                measured, here = (f'{width}x{height}' for height, width in (stated, shape))
                return (
                    f'the calibration is of {name} images of {measured}, these are {here}: what is cut off '
                    'or stretched is not known, calibrate again with such images'
                )
        return None

    def backward(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> np.ndarray:
        """Return the backward transform for images of these shapes: the same field of view, resized."""
        matrix = self._resized_matrix(thermal_shape, visible_shape)
        return transform.backward_from_calibration(matrix, thermal_shape, visible_shape)

    def alignment(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> Alignment:
        """Return how a thermal image of this shape lies on a visible one; lenses make the residual."""
        backward = self.backward(thermal_shape, visible_shape)
        residual = None
        if self.thermal_lens or self.visible_lens:
            points = transform.pixel_grid(visible_shape, np.float64)
            residual = self._stretched_pixels(points, thermal_shape, visible_shape) - points
            residual -= transform.displacement(backward, visible_shape)
            residual = np.nan_to_num(residual.astype(np.float32), nan=NOWHERE)
        return Alignment(backward, confidence=1.0, source='calibration', residual=residual)

    def _resized_matrix(self, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]) -> np.ndarray:
        to_stated_thermal = transform.resize_transform(thermal_shape, self.thermal_shape)
        from_stated_visible = transform.resize_transform(self.visible_shape, visible_shape)
        return from_stated_visible @ self.matrix @ to_stated_thermal

    def _stretched_pixels(
        self, points: np.ndarray, thermal_shape: tuple[int, int], visible_shape: tuple[int, int]
    ) -> np.ndarray:
        """Return where visible pixels lie in the stretched thermal image; NaN where a lens does not reach."""
        points = transform.apply(transform.resize_transform(visible_shape, self.visible_shape), points)
        if self.visible_lens:
            points = transform.apply(self.visible_lens.k, self.visible_lens.to_rays(points))
        points = transform.apply(np.linalg.inv(self.matrix), points)
        if self.thermal_lens:
            rays = transform.apply(np.linalg.inv(self.thermal_lens.k), points)
            points = self.thermal_lens.to_pixels(rays)
        points = transform.apply(transform.resize_transform(self.thermal_shape, thermal_shape), points)
        return transform.apply(transform.stretch(thermal_shape, visible_shape), points)


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def load(path: Path) -> Calibration:
    """
    Return the calibration in a file; images of other sizes than the stated ones may be used with it.

    Raises FileError, naming the file, the key and the remedy.
    """
    content = yaml_file.read(path, 'calibration file')
    if not isinstance(content, dict):
        raise FileError(f'{path}: a calibration file needs the keys {", ".join(KEYS)}')
    for key in (*KEYS, *content):
        if key not in content:
            raise FileError(f"{path}: key '{key}' is missing; needed are {', '.join(KEYS)}")
        if key not in KEYS + OPTIONAL:
            raise FileError(f"{path}: unknown key '{key}'; known are {', '.join(KEYS + OPTIONAL)}")
    matrix = _numbers(path, content, 'matrix', 9, '9 numbers, the 3x3 row by row').reshape(3, 3)
    shapes = [_shape(path, content, key) for key in ('thermal_size', 'visible_size')]
    if problem := plausible.problem_of_homography(matrix, *shapes):
        raise FileError(f"{path}: 'matrix' {problem}; it has to map thermal to visible pixels")
    spread = None
    if 'spread' in content:
        wanted = '5 numbers: sigmas of shift in x and y, turn, growth and regions, in visible pixels'
        spread = tuple(float(sigma) for sigma in _numbers(path, content, 'spread', 5, wanted))
        if min(spread) < 0:
            raise FileError(f"{path}: 'spread' is {content['spread']}; it must not be negative")
    clock = None
    if 'thermal_offset_error' in content and 'thermal_offset' not in content:
        raise FileError(f"{path}: 'thermal_offset_error' needs 'thermal_offset'")
    for key in ('thermal_offset_error', 'frames'):
        if _number(path, content, key, 0.0) < 0:
            raise FileError(f"{path}: '{key}' is {content[key]}; it must not be negative")
    if 'thermal_offset' in content:
        clock = ClockOffset(
            _number(path, content, 'thermal_offset'), _number(path, content, 'thermal_offset_error', 0.0)
        )
    return Calibration(
        matrix,
        *shapes,
        thermal_lens=_lens(path, content, 'thermal_lens', shapes[0]),
        visible_lens=_lens(path, content, 'visible_lens', shapes[1]),
        parallax=_parallax(path, content),
        spread=spread,
        clock=clock,
        frames=int(_number(path, content, 'frames', 0)),
    )


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration file, atomically; `load` returns the same. Raises FileError."""
    content = {
        'matrix': [float(value) for value in calibration.matrix.ravel()],
        'thermal_size': list(calibration.thermal_shape[::-1]),
        'visible_size': list(calibration.visible_shape[::-1]),
    }
    if parallax := calibration.parallax:
        content['parallax_direction'] = [float(value) for value in parallax.direction]
        content['parallax_range'] = [float(value) for value in parallax.range]
    if calibration.spread:
        content['spread'] = [float(value) for value in calibration.spread]
    if clock := calibration.clock:
        content['thermal_offset'], content['thermal_offset_error'] = float(clock.seconds), float(clock.error)
    if calibration.frames:
        content['frames'] = int(calibration.frames)
    for key in ('thermal_lens', 'visible_lens'):
        if lens := getattr(calibration, key):
            content[key] = {
                'model': lens.model,
                'k': [float(value) for value in lens.k.ravel()],
                'coefficients': [float(value) for value in lens.coefficients],
            }
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=200)
    atomic.write(path, text.encode())


def _parallax(path: Path, content: dict) -> Parallax | None:
    direction, reach = (key in content for key in ('parallax_direction', 'parallax_range'))
    if not direction and not reach:
        return None
    if not (direction and reach):
        raise FileError(f"{path}: 'parallax_direction' and 'parallax_range' need each other")
    towards = _pair(path, content, 'parallax_direction', 'two numbers, x and y in visible pixels')
    length = float(np.hypot(*towards))
    if length < 1e-9:
        raise FileError(f"{path}: 'parallax_direction' is {content['parallax_direction']}: it has no length")
    low, high = _pair(path, content, 'parallax_range', 'two numbers, least and largest, visible pixels')
    if low > high:
        raise FileError(f"{path}: 'parallax_range' is {content['parallax_range']}: the least comes first")
    return Parallax((towards[0] / length, towards[1] / length), (low, high))


def _lens(path: Path, content: dict, key: str, shape: tuple[int, int]) -> Lens | None:
    if key not in content:
        return None
    lens = content[key]
    if not isinstance(lens, dict) or set(lens) != {'model', 'k', 'coefficients'}:
        raise FileError(f"{path}: '{key}' has to have the keys model, k and coefficients")
    model, coefficients = lens['model'], lens['coefficients']
    if model not in [*MODELS]:
        raise FileError(f"{path}: model of '{key}' is {str(model)[:60]!r}; valid: {', '.join(MODELS)}")
    count = len(coefficients) if isinstance(coefficients, list) else 0
    if count > MODELS[model]:
        raise FileError(f"{path}: '{key}.coefficients' are {count}; {model} has at most {MODELS[model]}")
    named = {f'{key}.{name}': lens[name] for name in ('k', 'coefficients')}
    k = _numbers(path, named, f'{key}.k', 9, '9 numbers, the 3x3 row by row').reshape(3, 3)
    if problem := plausible.problem_of_intrinsics(k, shape):
        raise FileError(f"{path}: '{key}.k' {problem}; it has to hold the focal lengths in pixels")
    values = _numbers(path, named, f'{key}.coefficients', count, 'numbers')
    found = Lens(k, model, tuple(float(value) for value in values))
    if problem := plausible.problem_of_lens(found, shape):
        raise FileError(f"{path}: '{key}' {problem}")
    return found


def _pair(path: Path, content: dict, key: str, wanted: str) -> tuple[float, float]:
    first, second = _numbers(path, content, key, 2, wanted)
    return float(first), float(second)


def _number(path: Path, content: dict, key: str, default: float | None = None) -> float:
    if key not in content and default is not None:
        return default
    return float(_numbers(path, content, key, 1, 'a number')[0])


def _shape(path: Path, content: dict, key: str) -> tuple[int, int]:
    width, height = _numbers(path, content, key, 2, 'width and height in pixels, such as [640, 512]')
    if problem := plausible.problem_of_size(width, height):
        raise FileError(f"{path}: '{key}' is {str(content[key])[:60]}; it {problem}")
    return int(height), int(width)


def _numbers(path: Path, content: dict, key: str, count: int, wanted: str) -> np.ndarray:
    try:
        values = np.array(content[key], np.float64).ravel()
    except (ValueError, TypeError, OverflowError):
        values = np.empty(0)
    if values.size != count or not np.isfinite(values).all():
        raise FileError(f"{path}: '{key}' has to be {wanted}")
    if count and key != 'matrix' and np.abs(values).max() > _LARGEST:
        raise FileError(f"{path}: '{key}' is {values.tolist()}; its numbers have to be at most {_LARGEST:g}")
    return values

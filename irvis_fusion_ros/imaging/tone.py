"""
Gain control of the thermal image: any depth in, float32 [0, 1] out.

Radiometric values are stretched between two percentiles that move slowly in a stream: a per-frame
minimum and maximum would let one hot pixel dim the whole picture and make the video flicker.
"""

from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.config import option
from irvis_fusion_ros.imaging.percentiles import percentiles

# Beyond any image of integers.
LARGEST_VALUE = 1e10


@dataclass(frozen=True)
class ToneConfig:
    """How thermal values become brightness."""

    normalisation: str = option(
        'auto',
        'How thermal values become brightness: auto (8-bit as it is, deeper by percentile), percentile, '
        'range (fixed range_min to range_max) or none (full range of the integer type).',
        choices=('auto', 'percentile', 'range', 'none'),
        live=True,
    )
    range_min: float = option(
        0.0,
        'Value shown black when normalisation is range.',
        minimum=-LARGEST_VALUE,
        maximum=LARGEST_VALUE,
        live=True,
    )
    range_max: float = option(
        65535.0,
        'Value shown white when normalisation is range.',
        minimum=-LARGEST_VALUE,
        maximum=LARGEST_VALUE,
        live=True,
    )
    percentile_low: float = option(0.5, 'Percentile shown black.', minimum=0, maximum=49, unit='%', live=True)
    percentile_high: float = option(
        99.5, 'Percentile shown white.', minimum=51, maximum=100, unit='%', live=True
    )
    smoothing: float = option(
        0.9,
        'Share of the previous percentiles kept at each frame of a stream; 0 follows every frame at once.',
        minimum=0,
        maximum=0.999,
        live=True,
    )


class ThermalTone:
    """
    Gain control with memory.

    Call `update` once a frame with the original thermal image, then `apply` to any array of the same
    values (the registered image, say). Not finite values (NaN) become the low end, 0.
    """

    # A change of the percentiles beyond this share of their span is a new scene, not drift.
    JUMP = 0.75
    # At most about this many pixels are looked at: percentiles need no more.
    SAMPLES = 40_000
    # Values of 8 bit that differ by less are the steps of a converter, not a picture.
    LEAST_8_BIT = 8.0
    # What dead pixels and lines, and rows that carry the state of the camera, have instead of a measurement.
    UNMEASURED = (0, (1 << 12) - 1, (1 << 14) - 1, (1 << 16) - 1)
    # They are told from a scene by their distance from most of it: the percentiles of most, and how many
    # times as far apart as these.
    MOST, FAR = (5, 95), 8

    STREAM = ('_low_high', '_dtype')

    def __init__(self, config: ToneConfig = ToneConfig()):
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._low_high: tuple[float, float] | None = None
        self._dtype: np.dtype | None = None

    @property
    def ready(self) -> bool:
        """Whether a frame was looked at."""
        return self._low_high is not None

    def update(self, thermal: np.ndarray, counted: np.ndarray | None = None) -> None:
        """
        Look at the next frame of the stream (H x W, integers or floats).

        counted: H x W uint8, 0 where pixels are not part of the scene; None counts all of them.
        """
        if thermal.dtype != self._dtype:
            self.reset()
            self._dtype = thermal.dtype
        mode = self._mode(thermal.dtype)
        if mode == 'range':
            self._low_high = (self.config.range_min, self.config.range_max)
        elif mode == 'none':
            self._low_high = _full_range(thermal.dtype)
        else:
            self._follow(self._percentiles(thermal, counted))

    def apply(self, thermal: np.ndarray) -> np.ndarray:
        """Return brightness, float32 [0, 1], of thermal values; needs an `update` first."""
        bright = self.stretch(thermal)
        return np.clip(bright, 0, 1, out=bright)

    def stretch(self, thermal: np.ndarray) -> np.ndarray:
        """Return the same without limits, float32: what is beyond the percentiles keeps its texture."""
        if self._low_high is None:
            raise RuntimeError('ThermalTone.apply: call update with a frame of the stream first')
        low, high = self._low_high
        gain = np.float32(1.0 / max(high - low, np.finfo(np.float32).tiny))
        # float32 does not hold the values of wider types, but what is left of them above the low end
        bright = np.subtract(thermal, low, dtype=np.float64) if _is_wide(thermal.dtype) else thermal
        bright = bright.astype(np.float32)
        if not _is_wide(thermal.dtype):
            bright -= np.float32(low)
        bright *= gain
        if thermal.dtype.kind == 'f':
            np.nan_to_num(bright, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        return bright

    def _mode(self, dtype: np.dtype) -> str:
        mode = self.config.normalisation
        if mode == 'auto':
            return 'none' if dtype == np.uint8 else 'percentile'
        return 'percentile' if mode == 'none' and dtype.kind == 'f' else mode

    def _percentiles(self, thermal: np.ndarray, counted: np.ndarray | None) -> tuple[float, float] | None:
        step = max(1, int(np.sqrt(thermal.size / self.SAMPLES)))
        values = thermal[::step, ::step].ravel()
        if counted is not None:
            values = values[counted[::step, ::step].ravel() > 0]
        if values.dtype.kind == 'f':
            values = values[np.isfinite(values)]
        if values.dtype.kind == 'u' and values.dtype != np.uint8:
            values = self._measured(values)
        if values.size == 0:
            return None
        low, high = percentiles(values, self.config.percentile_low, self.config.percentile_high)
        # a flat frame must not turn sensor noise into a picture
        least = self.LEAST_8_BIT if values.dtype == np.uint8 else 1e-3 * max(abs(high), 1.0)
        if high - low < least:
            middle = (low + high) / 2
            low, high = middle - least / 2, middle + least / 2
        return low, high

    def _measured(self, values: np.ndarray) -> np.ndarray:
        """Return values without those of dead pixels; a few lines are more than the percentiles cut."""
        suspect = np.isin(values, self.UNMEASURED)
        if not suspect.any():
            return values
        low, high = (float(each) for each in percentiles(values, *self.MOST))
        far = self.FAR * (high - low)
        return values[~suspect | ((values >= low - far) & (values <= high + far))]

    def _follow(self, seen: tuple[float, float] | None) -> None:
        if seen is None:
            self._low_high = self._low_high or (0.0, 1.0)
            return
        if self._low_high is None:
            self._low_high = seen
            return
        low, high = self._low_high
        change = abs(seen[0] - low) + abs(seen[1] - high)
        keep = 0.0 if change > self.JUMP * (high - low) else self.config.smoothing
        self._low_high = (
            keep * low + (1 - keep) * seen[0],
            keep * high + (1 - keep) * seen[1],
        )


def _full_range(dtype: np.dtype) -> tuple[float, float]:
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def _is_wide(dtype: np.dtype) -> bool:
    return dtype.itemsize > 4 or (dtype.itemsize == 4 and dtype.kind != 'f')

"""
What sensors make of a perfect picture: blur, vignetting, noise, fixed patterns, gain control.

Noise depends on the seed of the flight and on the number of the image alone.
"""

import cv2
import numpy as np

from irvis_fusion_ros.flight.camera import Camera
from irvis_fusion_ros.flight.config import FlightConfig
from irvis_fusion_ros.flight.light import Light

# Counts of a radiometric camera: hundredths of a kelvin.
COUNTS_PER_KELVIN = 100
ZERO_CELSIUS = 273.15
# Rows have noise of their own, as a share of that of a pixel.
ROW_NOISE = 0.4
# The fixed pattern grows with this time constant after a calibration.
PATTERN_SECONDS = 30.0
# Where the glare of lamps begins (0..255), and its reach in image widths.
GLARE_FROM, GLARE_WIDTH = 215.0, 0.012


class VisibleSensor:
    """The visible camera: H x W x 3 square roots of brightness in, BGR uint8 out."""

    def __init__(self, config: FlightConfig, camera: Camera, light: Light):
        self._seed = config.seed
        self._light = light
        x, y = camera.rays()
        # natural vignetting, as a square root like the picture
        self._vignette = ((1 + x * x + y * y) ** -0.7).astype(np.float32)[..., None]
        levels = np.arange(256) / 255
        curve = levels + 0.10 * np.sin(2 * np.pi * (levels - 0.5)) / np.pi * (1 - 0.4 * bool(light.lamps))
        self._curve = np.clip(255 * curve, 0, 255).round().astype(np.uint8)

    def expose(self, picture: np.ndarray, number: int, motion: np.ndarray) -> np.ndarray:
        """Take the image; motion: (x, y) pixels that the scene moves while the shutter is open."""
        rng = np.random.default_rng([self._seed, 100, number])
        if self._light.lamps:
            picture = picture + _glare(picture)
        picture = _moved(picture, motion) * self._vignette
        height, width = picture.shape[:2]
        noise = self._light.noise
        picture += rng.standard_normal((height, width, 1), np.float32) * np.float32(0.75 * noise)
        # demosaicing leaves colour noise in blotches of about two pixels
        blotches = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
        blotches = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_LINEAR)
        picture += blotches * np.float32(0.9 * noise)
        return cv2.LUT(np.clip(picture, 0, 255).astype(np.uint8), self._curve)


class ThermalSensor:
    """An uncooled thermal camera: H x W degrees Celsius in, counts (uint16) out."""

    def __init__(self, config: FlightConfig, camera: Camera):
        self._blur, self._noise = config.thermal_blur, config.thermal_noise
        self._grows = config.thermal_pattern
        self._seed = config.seed
        rng = np.random.default_rng([config.seed, 4])
        width, height = camera.size
        columns = rng.standard_normal((1, width))
        columns = columns + cv2.GaussianBlur(rng.standard_normal((1, width)) * 3, (0, 0), 3)
        pixels = rng.standard_normal((height, width))
        # the warm inside of the camera shines on the corners
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        inside = 1.6 * (x * x + y * y) + 0.8 * rng.normal() * x + 0.8 * rng.normal() * y
        pattern = 0.55 * columns + 0.5 * pixels + inside - inside.mean()
        self._pattern = (pattern / pattern.std()).astype(np.float32)

    def expose(self, warmth: np.ndarray, number: int, since_shutter: float, motion: np.ndarray) -> np.ndarray:
        """Take the image; since_shutter: seconds since the last calibration."""
        rng = np.random.default_rng([self._seed, 200, number])
        image = _moved(warmth, motion)
        if self._blur:
            image = cv2.GaussianBlur(image, (0, 0), self._blur)
        height, width = image.shape
        image += self._noise * rng.standard_normal((height, width), np.float32)
        image += ROW_NOISE * self._noise * rng.standard_normal((height, 1), np.float32)
        grown = 0.04 + self._grows * (1 - np.exp(-since_shutter / PATTERN_SECONDS))
        image += np.float32(grown) * self._pattern
        return np.clip((image + ZERO_CELSIUS) * COUNTS_PER_KELVIN, 0, 65535).round().astype(np.uint16)


class GainControl:
    """
    The gain control of an 8-bit camera: counts in, uint8 out, following the scene slowly.

    gain: 'linear' in the range of the scene, or by its 'histogram', which gives most grey levels to what is
    most of the image. polarity: 'black_hot' turns bright and dark round.
    """

    KEEP = 0.92
    MARGIN = 6
    # No temperature (0.1 K) takes more than this share of the histogram: plain ground would be all noise.
    PLATEAU = 0.02
    BINS = np.arange(0, 65536 + 10, 10)

    def __init__(self, gain: str = 'linear', polarity: str = 'white_hot'):
        self._range: np.ndarray | None = None
        self._histogram: np.ndarray | None = None
        self._by_histogram = gain == 'histogram'
        self._inverted = polarity == 'black_hot'

    def apply(self, counts: np.ndarray) -> np.ndarray:
        """Return the next image of the stream as 8 bits."""
        image = self._equalised(counts) if self._by_histogram else self._scaled(counts)
        return 255 - image if self._inverted else image

    def _equalised(self, counts: np.ndarray) -> np.ndarray:
        seen = np.minimum(np.histogram(counts, self.BINS)[0] / counts.size, self.PLATEAU)
        seen = seen / seen.sum()
        known = self._histogram
        self._histogram = seen if known is None else self.KEEP * known + (1 - self.KEEP) * seen
        shares = np.concatenate([[0.0], np.cumsum(self._histogram)])
        return (255 * np.interp(counts, self.BINS, shares)).round().astype(np.uint8)

    def _scaled(self, counts: np.ndarray) -> np.ndarray:
        seen = np.percentile(counts, (1.0, 99.2))
        self._range = seen if self._range is None else self.KEEP * self._range + (1 - self.KEEP) * seen
        low, high = self._range
        scale = (255 - 2 * self.MARGIN) / max(high - low, 100.0)
        return np.clip((counts - low) * scale + self.MARGIN, 0, 255).round().astype(np.uint8)


def _moved(picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Smear a picture along a vector, to both sides alike: the image stays that of the middle of exposure."""
    length = float(np.hypot(*motion))
    if length < 0.3:
        return picture
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 4 * reach + 1):
        x, y = share * motion + reach
        left, top = int(x), int(y)
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight = (1 - abs(x - left - dx)) * (1 - abs(y - top - dy))
            kernel[min(top + dy, 2 * reach), min(left + dx, 2 * reach)] += weight
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _glare(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    small = cv2.resize(
        np.maximum(picture - GLARE_FROM, 0), (width // 4, height // 4), interpolation=cv2.INTER_AREA
    )
    sigma = max(GLARE_WIDTH * width / 4, 0.5)
    spread = 3.2 * cv2.GaussianBlur(small, (0, 0), sigma) + 2.2 * cv2.GaussianBlur(small, (0, 0), 3 * sigma)
    return cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)

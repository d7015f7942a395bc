"""Fractal noise, the stuff of grass, asphalt and warm spots."""

import cv2
import numpy as np


def tile(rng: np.random.Generator, size: int, slope: float, smallest: float = 1.0) -> np.ndarray:
    """
    Return size x size float32 noise of mean 0 and standard deviation 1 that repeats without a seam.

    slope: of the amplitude spectrum, 0 is white and 1.5 is cloudy. smallest: finest detail, in pixels.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    amplitude = np.maximum(frequency, 1 / size) ** -slope * (frequency < 0.5 / smallest)
    amplitude[0, 0] = 0
    phases = np.exp(2j * np.pi * rng.random(frequency.shape))
    noise = np.fft.irfft2(amplitude * phases, (size, size)).astype(np.float32)
    return noise / noise.std()


def spread(noise: np.ndarray, shape: tuple[int, int], scale: float, shift: tuple[float, float] = (0, 0)):
    """Cover `shape` with a tile of noise, magnified `scale` times and shifted (pixels); float32."""
    rows = ((np.arange(shape[0]) + shift[1]) / scale) % noise.shape[0]
    columns = ((np.arange(shape[1]) + shift[0]) / scale) % noise.shape[1]
    if scale == 1:
        return noise[np.ix_(rows.astype(int), columns.astype(int))]
    padded = np.pad(noise, ((0, 1), (0, 1)), 'wrap')
    map_x = np.broadcast_to(columns.astype(np.float32), shape)
    map_y = np.broadcast_to(rows.astype(np.float32)[:, None], shape)
    return cv2.remap(padded, map_x, map_y, cv2.INTER_LINEAR)

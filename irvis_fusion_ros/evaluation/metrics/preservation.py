"""
Preservation of the edges and features of the two sources in a fused image: Qabf, FMI_w and Q_cv.

Images are H x W float, brightness in [0, 1]. Where a paper and the program behind published figures differ,
this follows the program, so that numbers can be compared; each docstring states it.
"""

from functools import lru_cache

import cv2
import numpy as np

# Xydeas and Petrovic: sigmoids of preserved strength and orientation (Gamma, kappa, sigma)
STRENGTH = (0.9994, -15.0, 0.5)
ORIENTATION = (0.9879, -22.0, 0.8)
# Chen and Varshney: side of a region, and the power of the gradient in its saliency
REGION, SALIENCY_POWER = 16, 5
# Windows processed at once: each has 9 coefficients and a joint distribution of 81 numbers
CHUNK = 5_000
MEYER_TAPS = 62


def qabf(fused: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """
    Return the share of the sources' edges that the fused image preserves, [0, 1].

    C. S. Xydeas and V. Petrovic, "Objective image fusion performance measure", 2000: Sobel strength and
    orientation, weighted by strength. As in the common evaluation programs, borders are padded with zeros and
    the orientation is arctan(gy / gx) without wrapping around.
    """
    target, *sources = (_round_to_binary(image) for image in (fused, first, second))
    target = _edges(target)
    kept = total = 0.0
    for source in sources:
        strength, orientation = _edges(source)
        weaker = np.minimum(strength, target[0])
        stronger = np.maximum(strength, target[0])
        ratio = np.divide(weaker, stronger, out=np.ones_like(weaker), where=stronger > 0)
        agreement = 1 - np.abs(orientation - target[1]) / (np.pi / 2)
        kept += (_sigmoid(ratio, *STRENGTH) * _sigmoid(agreement, *ORIENTATION) * strength).sum()
        total += strength.sum()
    return float(kept / total) if total > 0 else 0.0


def q_cv(fused: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """
    Return the perceived difference of the fused image from its sources; 0 is best, no upper bound.

    H. Chen and P. K. Varshney, "A human perception inspired quality metric for image fusion based on
    regional information", 2007: squared difference through the contrast sensitivity of Mannos and
    Sakrison, in regions of 16 x 16 weighted by their edges to the power of 5. As in the toolbox behind
    published figures, each image is normalised to 0 to 255 first, and the constant of the filter is 0.144
    where the paper has 0.114.
    """
    target = _normalise(fused)
    weighted = total = 0.0
    for source in map(_normalise, (first, second)):
        strength, _ = _edges(source / 255)
        saliency = _split_regions((strength * 255) ** SALIENCY_POWER).sum((1, 3))
        difference = _split_regions(_filter_by_sensitivity(source - target) ** 2).mean((1, 3))
        weighted += (saliency * difference).sum()
        total += saliency.sum()
    return float(weighted / total) if total > 0 else 0.0


def fmi_w(fused: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """
    Return the feature mutual information of wavelet coefficients, [0, 1], mean over both sources.

    M. Haghighat et al., "A non-reference image fusion metric based on mutual information of image features",
    2011: in every 3 x 3 window of the discrete Meyer wavelet's bands the values are treated as distributions.
    Their joint distribution lies between independence and their closest (or, for negative correlation, most
    opposed) coupling, so that it has the measured correlation; the mutual information is divided by the mean
    of the entropies. Bands are processed one by one, so no window spans two of them.
    """
    bands = [_wavelet_bands(image) for image in (fused, first, second)]
    scores = []
    for of_fused, of_first, of_second in zip(*bands, strict=True):
        target = _windows(of_fused)
        scores += [_window_information(_windows(source), target) for source in (of_first, of_second)]
    return float(np.concatenate(scores).mean())


def _round_to_binary(image: np.ndarray) -> np.ndarray:
    """Round brightness to binary fractions: equal differences cancel, and a zero gradient is exactly 0."""
    return np.rint(np.asarray(image, np.float64) * 2**16) / 2**16


def _edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Sobel strength and orientation (-pi/2, pi/2]."""
    image = np.asarray(image, np.float64)
    along, down = (
        cv2.Sobel(image, cv2.CV_64F, *order, borderType=cv2.BORDER_CONSTANT) for order in ((1, 0), (0, 1))
    )
    ratio = np.divide(down, along, out=np.full_like(along, np.inf), where=along != 0)
    return np.hypot(along, down), np.arctan(ratio)


def _sigmoid(value: np.ndarray, top: float, slope: float, middle: float) -> np.ndarray:
    return top / (1 + np.exp(slope * (value - middle)))


def _normalise(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image, np.float64)
    low, high = image.min(), image.max()
    return (image - low) * (255 / (high - low)) if high > low else np.zeros_like(image)


def _filter_by_sensitivity(difference: np.ndarray) -> np.ndarray:
    """Filter a difference by the contrast sensitivity function."""
    height, width = difference.shape
    down, along = np.fft.fftfreq(height)[:, None] * height / 4, np.fft.fftfreq(width) * width / 4
    scaled = 0.144 * np.hypot(down, along)
    sensitivity = 2.6 * (0.0192 + scaled) * np.exp(-(scaled**1.1))
    return np.fft.ifft2(np.fft.fft2(difference) * sensitivity).real


def _split_regions(image: np.ndarray) -> np.ndarray:
    """Return regions as rows x REGION x columns x REGION; the last ones are padded with zeros."""
    rows, columns = (-(-side // REGION) for side in image.shape)
    padded = np.zeros((rows * REGION, columns * REGION))
    padded[: image.shape[0], : image.shape[1]] = image
    return padded.reshape(rows, REGION, columns, REGION)


def _wavelet_bands(image: np.ndarray) -> list[np.ndarray]:
    """Return approximation and three detail bands of one level of the discrete Meyer wavelet."""
    low, high = _meyer()
    image = np.asarray(image, np.float64)
    return [
        cv2.sepFilter2D(image, -1, along, down, borderType=cv2.BORDER_REFLECT)[1::2, 1::2]
        for down in (low, high)
        for along in (low, high)
    ]


@lru_cache
def _meyer() -> tuple[np.ndarray, np.ndarray]:
    """Return low- and high-pass filters of the discrete Meyer wavelet, cropped to MEYER_TAPS coefficients."""
    size = 1024
    frequency = np.abs(np.fft.fftfreq(size)) * 2 * np.pi
    # Meyer's scaling function at twice the frequency, with the polynomial of Daubechies (1992, eq. 4.2.4)
    step = np.clip(3 * frequency / np.pi - 1, 0, 1)
    smooth = step**4 * (35 - 84 * step + 70 * step**2 - 20 * step**3)
    taps = np.fft.ifft(np.cos(np.pi / 2 * smooth)).real * np.sqrt(2)
    place = np.arange(MEYER_TAPS) - MEYER_TAPS // 2
    low = taps[place]
    high = (-1.0) ** place * taps[(1 - place) % size]
    return low, high


def _windows(band: np.ndarray) -> np.ndarray:
    """Return every 3 x 3 window as a row of 9, column by column."""
    view = np.lib.stride_tricks.sliding_window_view(band, (3, 3))
    return view.transpose(0, 1, 3, 2).reshape(-1, 9)


def _window_information(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the normalised mutual information [0, 1] of windows, N, computed in chunks that fit a cache."""
    parts = range(0, len(source), CHUNK)
    return np.concatenate([_information(source[at : at + CHUNK], target[at : at + CHUNK]) for at in parts])


def _information(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    p, q = _distribution(source), _distribution(target)
    p_sum, q_sum = np.cumsum(p, 1)[:, :, None], np.cumsum(q, 1)[:, None, :]
    correlation = _correlation(p, q)
    positive = (correlation >= 0)[:, None, None]
    # Frechet's bounds of a joint cumulative distribution with these marginals
    bound = np.where(positive, np.minimum(p_sum, q_sum), np.maximum(p_sum + q_sum - 1, 0))
    covariance = (bound - p_sum * q_sum).sum((1, 2))
    share = np.divide(
        correlation * _deviation(p) * _deviation(q), covariance, out=np.zeros(len(p)), where=covariance != 0
    )[:, None, None]
    coupled = np.diff(np.diff(bound, axis=1, prepend=0), axis=2, prepend=0)
    joint = share * coupled + (1 - share) * p[:, :, None] * q[:, None, :]
    margins = _entropy(p) + _entropy(q)
    shared = margins - _entropy(joint.reshape(len(p), -1))
    score = np.divide(2 * shared, margins, out=np.zeros(len(p)), where=margins != 0)
    return np.where((source == target).all(1), 1.0, score)


def _distribution(windows: np.ndarray) -> np.ndarray:
    low, high = windows.min(1, keepdims=True), windows.max(1, keepdims=True)
    flat = high == low
    raised = np.where(flat, 1.0, (windows - low) / np.where(flat, 1.0, high - low))
    return raised / raised.sum(1, keepdims=True)


def _correlation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    p, q = p - p.mean(1, keepdims=True), q - q.mean(1, keepdims=True)
    norm = np.sqrt((p * p).sum(1) * (q * q).sum(1))
    return np.divide((p * q).sum(1), norm, out=np.zeros(len(p)), where=norm > 1e-12)


def _deviation(p: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the position within the window under a distribution."""
    place = np.arange(p.shape[1])
    return np.sqrt(np.maximum(p @ place**2 - (p @ place) ** 2, 0))


def _entropy(p: np.ndarray) -> np.ndarray:
    # the coupling can leave tiny negative weights; their magnitude is used, as in the authors' program
    size = np.abs(p)
    return -(p * np.log2(np.where(size > 0, size, 1))).sum(1)

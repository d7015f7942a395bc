"""
Structural similarity and visual information fidelity of one image against a reference.

Images are H x W float, brightness in [0, 1].
"""

import cv2
import numpy as np

# SSIM: 11 x 11 Gaussian of sigma 1.5, K1 and K2 of Wang et al. 2004
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
# exponents of the five scales, Wang et al. 2003
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# VIF: variance of the noise of the visual system, for brightness 0 to 255
VIF_NOISE = 2.0
VIF_SCALES = 4


def ssim(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """
    Return the mean structural similarity, at most 1, where the window lies within the image.

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 13.
    mask: H x W bool, the pixels to average over.
    """
    luminance, contrast = _ssim_maps(a, b)
    similarity = luminance * contrast
    if mask is not None:
        similarity = similarity[_valid(mask, SSIM_WINDOW)]
    return float(similarity.mean()) if similarity.size else float('nan')


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """
    Return the multi-scale structural similarity, at most 1.

    Z. Wang et al., "Multi-scale structural similarity for image quality assessment", 2003, eq. 7. An image
    too small for five scales (under 176 pixels per side) is measured at fewer scales, with weights normalised
    to sum 1.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    fitting = int(np.log2(min(a.shape) / SSIM_WINDOW)) + 1
    weights = np.array(MS_SSIM_WEIGHTS[: max(1, min(fitting, len(MS_SSIM_WEIGHTS)))])
    weights /= weights.sum()
    similarity = 1.0
    for scale, weight in enumerate(weights):
        luminance, contrast = _ssim_maps(a, b)
        last = scale == len(weights) - 1
        term = (luminance * contrast).mean() if last else contrast.mean()
        # a negative mean has no real power, so it counts as 0
        similarity *= max(term, 0.0) ** weight
        a, b = _halved(a), _halved(b)
    return float(similarity)


def vif(reference: np.ndarray, image: np.ndarray) -> float:
    """
    Return the visual information fidelity of `image`: 1 for the reference itself, above 1 for more contrast.

    H. R. Sheikh and A. C. Bovik, "Image information and visual quality", 2006, in the pixel domain (the
    authors' vifp): 4 scales, Gaussian windows of 17, 9, 5 and 3 pixels with sigma a fifth of that.
    """
    a, b = np.asarray(reference, np.float64) * 255, np.asarray(image, np.float64) * 255
    kept = total = 0.0
    for scale in range(1, VIF_SCALES + 1):
        window = 2 ** (VIF_SCALES + 1 - scale) + 1
        sigma = window / 5
        if scale > 1:
            a, b = (_smooth(channel, window, sigma)[::2, ::2] for channel in (a, b))
        if min(a.shape) < window:
            break
        variance_a, variance_b, covariance = _moments(a, b, window, sigma)[2:]
        variance_a[variance_a < 1e-10] = 0  # rounding, not content
        gain = np.where(variance_a > 1e-10, covariance / np.maximum(variance_a, 1e-10), 0.0)
        noise = variance_b - gain * covariance
        backwards = gain < 0  # inverted contrast carries no information: all of it is noise
        noise[backwards], gain[backwards] = variance_b[backwards], 0.0
        noise = np.maximum(noise, 1e-10)
        kept += np.log2(1 + gain**2 * variance_a / (noise + VIF_NOISE)).sum()
        total += np.log2(1 + variance_a / VIF_NOISE).sum()
    return float(kept / total) if total > 0 else 1.0


def _ssim_maps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the luminance term, and contrast times structure, wherever the window lies within the image."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    mean_a, mean_b, variance_a, variance_b, covariance = _moments(a, b, SSIM_WINDOW, SSIM_SIGMA)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance, (2 * covariance + C2) / (variance_a + variance_b + C2)


def _moments(a: np.ndarray, b: np.ndarray, window: int, sigma: float) -> tuple[np.ndarray, ...]:
    mean_a, mean_b = _smooth(a, window, sigma), _smooth(b, window, sigma)
    variance_a = np.maximum(_smooth(a * a, window, sigma) - mean_a**2, 0)
    variance_b = np.maximum(_smooth(b * b, window, sigma) - mean_b**2, 0)
    return mean_a, mean_b, variance_a, variance_b, _smooth(a * b, window, sigma) - mean_a * mean_b


def _smooth(image: np.ndarray, window: int, sigma: float) -> np.ndarray:
    return _valid(cv2.GaussianBlur(image, (window, window), sigma), window)


def _valid(image: np.ndarray, window: int) -> np.ndarray:
    """Return the part of a filtered image whose window lay within it."""
    rim = window // 2
    return image[rim : image.shape[0] - rim, rim : image.shape[1] - rim]


def _halved(image: np.ndarray) -> np.ndarray:
    height, width = (side // 2 * 2 for side in image.shape)
    return cv2.resize(image[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)

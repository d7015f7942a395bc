"""
Similarity of two images: the measures that registration and fusion share.

Images are H x W float, brightness in [0, 1]; a mask (H x W bool) limits a measure to a region.
"""

import numpy as np

BINS = 256


def ncc(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """
    Return the normalised cross correlation (Pearson's r), [-1, 1]; 0 if one of the images is flat.

    With a mask of the reconstructible area this is BusReF's MNCC.
    """
    a, b = _values(a, mask), _values(b, mask)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0


def mse(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the mean squared difference (BusReF's MMSE with a mask)."""
    difference = _values(a, mask) - _values(b, mask)
    return float(difference @ difference / difference.size)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB, for a peak of 1; infinite for equal images."""
    error = mse(a, b)
    return float(-10 * np.log10(error)) if error > 0 else float('inf')


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mutual information of two images in bits, from their joint histogram of 256 x 256 bins."""
    joint = joint_histogram(a, b)
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    filled = joint > 0
    return float(np.sum(joint[filled] * np.log2(joint[filled] / independent[filled])))


def joint_histogram(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the joint distribution of gray levels, 256 x 256, sum 1."""
    pairs = levels(a) * BINS + levels(b)
    return np.bincount(pairs.ravel(), minlength=BINS * BINS).reshape(BINS, BINS) / pairs.size


def levels(image: np.ndarray) -> np.ndarray:
    """Return the gray level, 0 to 255, of brightness in [0, 1]."""
    return np.clip(np.rint(image * (BINS - 1)), 0, BINS - 1).astype(np.int64)


def _values(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return np.asarray(image if mask is None else image[mask], np.float64).ravel()

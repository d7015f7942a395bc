"""Agreement of the edges of two images. Images are H x W float, brightness in [0, 1]."""

import cv2
import numpy as np

# Blur before the gradient, pixels; quantile of the gradient from which a pixel is strong; lower threshold of
# Canny's hysteresis, as a share of the upper one (Canny, 1986).
SIGMA, STRONG, WEAK = 1.0, 0.92, 0.5
# Distance in pixels within which an edge counts as found, as in FusionRegister's figures for masks.
REACH = 2.0


def edges(image: np.ndarray) -> np.ndarray:
    """Return the edges of an image, H x W bool, one pixel wide: Canny, with thresholds by its contrast."""
    smooth = cv2.GaussianBlur(image.astype(np.float32) * 255, (0, 0), SIGMA, borderType=cv2.BORDER_REPLICATE)
    along, down = (
        cv2.Sobel(smooth, cv2.CV_32F, *order, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1))
    )
    strong = float(np.quantile(np.hypot(along, down), STRONG))
    if strong <= 0:
        return np.zeros(image.shape, bool)
    # Canny takes 16-bit gradients; scale them to use that range
    scale = min(16.0, 32767 / float(max(np.abs(along).max(), np.abs(down).max())))
    dx, dy = ((gradient * scale).astype(np.int16) for gradient in (along, down))
    return cv2.Canny(dx, dy, WEAK * strong * scale, strong * scale, L2gradient=True) > 0


def f_score(found: np.ndarray, expected: np.ndarray, shown: np.ndarray | None = None) -> float:
    """
    Return the F-score, [0, 1], of the edges of `found` against those of `expected`, with a tolerance of
    REACH.

    Precision is the share of found edges near an expected one, recall the share of expected edges near a
    found one (Martin et al., 2004, without one-to-one assignment). shown: H x W bool, the region where edges
    count.
    """
    ours, theirs = edges(found), edges(expected)
    precision, recall = (_near(a, b, shown) for a, b in ((ours, theirs), (theirs, ours)))
    return 2 * precision * recall / max(precision + recall, 1e-12)


def _near(lines: np.ndarray, others: np.ndarray, shown: np.ndarray | None) -> float:
    """Return the share of the pixels of `lines` that are near `others`; 0 if either is empty."""
    if shown is not None:
        lines = lines & shown
    if not lines.any() or not others.any():
        return 0.0
    distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[lines] <= REACH).mean())

"""Whether the edges of one image lie on those of another. Images are H x W float, brightness in [0, 1]."""

import cv2
import numpy as np

# Blur before the gradient is taken, pixels; the share of pixels with a gradient that is not strong, and what
# joins strong pixels, as a share of theirs (Canny, 1986).
SIGMA, STRONG, WEAK = 1.0, 0.92, 0.5
# Pixels that an edge may be off and still count as found, as in FusionRegister's figures for masks.
REACH = 2.0


def edges(image: np.ndarray) -> np.ndarray:
    """Return the edges of an image, H x W bool, one pixel wide: Canny, at thresholds of its own contrast."""
    smooth = cv2.GaussianBlur(image.astype(np.float32) * 255, (0, 0), SIGMA, borderType=cv2.BORDER_REPLICATE)
    along, down = (
        cv2.Sobel(smooth, cv2.CV_32F, *order, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1))
    )
    strong = float(np.quantile(np.hypot(along, down), STRONG))
    if strong <= 0:
        return np.zeros(image.shape, bool)
    # Canny takes gradients in 16 bits: as fine as they go
    scale = min(16.0, 32767 / float(max(np.abs(along).max(), np.abs(down).max())))
    dx, dy = ((gradient * scale).astype(np.int16) for gradient in (along, down))
    return cv2.Canny(dx, dy, WEAK * strong * scale, strong * scale, L2gradient=True) > 0


def f_score(found: np.ndarray, expected: np.ndarray, shown: np.ndarray | None = None) -> float:
    """
    Return the F-score, [0, 1], of the edges of `found` against those of `expected`, at REACH pixels.

    Precision is the share of found edges near an expected one, recall that of expected edges near a found
    one (Martin et al., 2004, without one-to-one assignment). shown: H x W bool, where edges count.
    """
    ours, theirs = edges(found), edges(expected)
    precision, recall = (_near(a, b, shown) for a, b in ((ours, theirs), (theirs, ours)))
    return 2 * precision * recall / max(precision + recall, 1e-12)


def _near(lines: np.ndarray, others: np.ndarray, shown: np.ndarray | None) -> float:
    """The share of the pixels of `lines` that are near `others`; 0 without any."""
    if shown is not None:
        lines = lines & shown
    if not lines.any() or not others.any():
        return 0.0
    distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[lines] <= REACH).mean())

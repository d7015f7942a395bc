"""
Quality of a fused image: by itself, against its two sources, and against the fusion of the aligned pair.

Images are H x W float, brightness in [0, 1]; measures that are usually stated for 0 to 255 are on that scale.
Higher is better except for CE and Q_cv. Only Qabf, VIF(F), FMI_w, Q_cv, edge_f and the comparison with the
aligned fusion depend on alignment; the others reward contrast and sharpness.
"""

import cv2
import numpy as np

from irvis_fusion_ros.evaluation.metrics import edges, preservation, similarity, structure


def score(
    fused: np.ndarray,
    thermal: np.ndarray,
    visible: np.ndarray,
    aligned: np.ndarray | None = None,
    shown: np.ndarray | None = None,
) -> dict:
    """
    Return every fusion measure.

    thermal: the thermal image, perfectly registered. aligned: the same system's fusion of the aligned pair;
    psnr and ssim_aligned compare with it over the whole frame, *_shown over the part that the moved image
    contains (`shown`, H x W bool). edge_f: F-score of the edges against those of the visible image, over
    `shown`.
    """
    sources = (thermal, visible)
    fidelity = [structure.vif(source, fused) for source in sources]
    measures = {
        'en': entropy(fused),
        'sf': spatial_frequency(fused),
        'ag': average_gradient(fused),
        'sd': standard_deviation(fused),
        'mg': mean_gradient(fused),
        'ei': edge_intensity(fused),
        'ce': float(np.mean([cross_entropy(source, fused) for source in sources])),
        'cc': float(np.mean([similarity.ncc(source, fused) for source in sources])),
        'mi': float(sum(similarity.mutual_information(source, fused) for source in sources)),
        'ssim': float(np.mean([structure.ssim(source, fused) for source in sources])),
        'ms_ssim': float(np.mean([structure.ms_ssim(source, fused) for source in sources])),
        'vif': float(np.mean(fidelity)),
        'viff': float(sum(fidelity)),
        'qabf': preservation.qabf(fused, *sources),
        'fmi_w': preservation.fmi_w(fused, *sources),
        'q_cv': preservation.q_cv(fused, *sources),
        'edge_f': edges.f_score(fused, visible, shown),
    }
    if aligned is not None:
        measures['psnr'] = similarity.psnr(fused, aligned)
        measures['ssim_aligned'] = structure.ssim(fused, aligned)
        if shown is not None:
            measures['psnr_shown'] = similarity.psnr(fused[shown], aligned[shown])
            measures['ssim_aligned_shown'] = structure.ssim(fused, aligned, shown)
    return measures


def summarise(scores: list[dict]) -> dict:
    """Return the mean of every measure over pairs; the infinite PSNR of equal images is left out."""
    summary = {}
    for name in scores[0]:
        values = np.array([found[name] for found in scores])
        finite = values[np.isfinite(values)]
        summary[name] = float(finite.mean()) if finite.size else None
    return summary


def entropy(image: np.ndarray) -> float:
    """Return EN: Shannon entropy of the gray levels in bits (Roberts et al., 2008), [0, 8]."""
    p = _histogram(image)
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


def cross_entropy(source: np.ndarray, fused: np.ndarray) -> float:
    """
    Return CE: relative entropy of the gray levels of a source and the fused image, bits (Bulanon et al.,
    2009).

    Levels that are missing in either image are left out, as in VIFB.
    """
    p, q = _histogram(source), _histogram(fused)
    both = (p > 0) & (q > 0)
    return float((p[both] * np.log2(p[both] / q[both])).sum())


def standard_deviation(image: np.ndarray) -> float:
    """Return SD: standard deviation of brightness 0 to 255 (Rao, 1997)."""
    return float(np.std(image, dtype=np.float64) * 255)


def spatial_frequency(image: np.ndarray) -> float:
    """Return SF: root mean square of differences along rows and columns (Eskicioglu and Fisher, 1995)."""
    along, down = (np.diff(image.astype(np.float64), axis=axis) * 255 for axis in (1, 0))
    return float(np.sqrt((along**2).mean() + (down**2).mean()))


def average_gradient(image: np.ndarray) -> float:
    """Return AG: mean of sqrt((gx^2 + gy^2) / 2), central differences (Cui et al., 2015)."""
    down, along = np.gradient(image.astype(np.float64) * 255)
    return float(np.sqrt((along**2 + down**2) / 2).mean())


def mean_gradient(image: np.ndarray) -> float:
    """Return MG: mean Sobel magnitude, which VIFB calls edge intensity."""
    scaled = image.astype(np.float64) * 255
    along, down = (
        cv2.Sobel(scaled, cv2.CV_64F, *order, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1))
    )
    return float(np.hypot(along, down).mean())


def edge_intensity(image: np.ndarray) -> float:
    """Return EI: mean of sqrt((sx^2 + sy^2) / 8), which is MG / 2.83, consistent with the figures of B-SR."""
    return mean_gradient(image) / 8**0.5


def _histogram(image: np.ndarray) -> np.ndarray:
    counts = np.bincount(similarity.levels(image).ravel(), minlength=similarity.BINS)
    return counts / counts.sum()

"""
Quality of the registration of a moved thermal image, against the warp that moved it.

T is a known warp, `moved(x) = thermal(T(x))`. For a pair that was recorded misaligned, with homography H from
thermal to visible, T is H after the stretch of visible to thermal pixels, so that `|T(x + d(x)) - x|` equals
`|H q(x) - x|` with q(x) the original thermal pixel that d points to.

Everything is scored over the part of the reference that the moved image contains. NaN in a deformation means
"outside the thermal image". A pixel in that part counts even if it is wrongly NaN: the deformation is
extrapolated there (`extrapolate`), and the share of such pixels is reported as `missing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.evaluation.metrics import similarity
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.random_warp import KnownWarp

# A pair is made worse if its error exceeds identity's by this plus the method's error on the unmoved pair,
# pixels.
WORSE_BY = 1.0


@dataclass(frozen=True)
class Registration:
    """The result of a method for one image: deformation H x W x 2 with NaN, and its 3x3 part."""

    deformation: np.ndarray
    transform: np.ndarray


def natural_warp(
    calibration: np.ndarray, thermal_shape: tuple[int, ...], visible_shape: tuple[int, ...]
) -> KnownWarp:
    """Return T of a pair with a known homography from thermal to visible pixels."""
    to_thermal = transform.stretch(visible_shape, thermal_shape)
    return KnownWarp(tuple(visible_shape[:2]), transform.normalised(calibration @ to_thermal))


def extrapolate(answer: Registration) -> np.ndarray:
    """
    Return the deformation without NaN, H x W x 2 float64.

    Where it is NaN, it is the transform plus the residual of the nearest finite pixel; without any finite
    pixel it is the transform alone.
    """
    field = answer.deformation.astype(np.float64)
    outside = np.isnan(field).any(-1)
    if not outside.any():
        return field
    smooth = transform.displacement(answer.transform, field.shape).astype(np.float64)
    if outside.all():
        return smooth
    _, labels = cv2.distanceTransformWithLabels(
        outside.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    residual_of_label = np.zeros((labels.max() + 1, 2))
    residual_of_label[labels[~outside]] = (field - smooth)[~outside]
    field[outside] = smooth[outside] + residual_of_label[labels[outside]]
    return field


def endpoint_errors(known: KnownWarp, field: np.ndarray) -> np.ndarray:
    """Return `|T(x + d(x)) - x|` in pixels, H x W, of a deformation without NaN."""
    return np.linalg.norm(error_vectors(known, field), axis=-1)


def error_vectors(known: KnownWarp, field: np.ndarray) -> np.ndarray:
    """Return `T(x + d(x)) - x` in pixels, H x W x 2, of a deformation without NaN."""
    grid = transform.pixel_grid(known.shape, np.float64)
    return known(grid + field) - grid


def consistencies(known: KnownWarp, moved: np.ndarray, unmoved: np.ndarray) -> np.ndarray:
    """
    Return `|T(x + d_moved(x)) - (x + d_unmoved(x))|` in pixels, H x W, of deformations without NaN.

    It does not depend on errors of the labels: a method that finds the same match with and without the known
    warp scores 0 even where the "aligned" pair is not aligned.
    """
    grid = transform.pixel_grid(known.shape, np.float64)
    return np.linalg.norm(known(grid + moved) - (grid + unmoved), axis=-1)


def score(
    known: KnownWarp,
    shown: np.ndarray,
    answer: Registration,
    unmoved: Registration | None,
    registered: np.ndarray,
    target: np.ndarray,
) -> dict:
    """
    Return the measures of one moved pair.

    shown: H x W bool, the part of the reference that the moved image contains. unmoved: the same method's
    result for the pair before it was moved, or None where there is no such pair. registered, target: the
    registered and the perfectly registered thermal image, H x W float [0, 1].

    endpoint_error, identity_error (of zero motion), unmoved_error (mean |d| on the unmoved pair) and
    consistency are means over that part, in pixels; offset is the constant part of the error, [x, y];
    endpoint_error_p95 and _worst are over its pixels. ncc, mse, mi: full frame. mncc, mmse: over that part,
    which is BusReF's reconstructible area.
    """
    field = extrapolate(answer)
    vectors = error_vectors(known, field)[shown]
    errors = np.linalg.norm(vectors, axis=-1)
    identity_error = endpoint_errors(known, np.zeros_like(field))[shown].mean()
    unmoved_error = consistency = None
    if unmoved is not None:
        unmoved_field = extrapolate(unmoved)
        unmoved_error = float(np.linalg.norm(unmoved_field, axis=-1).mean())
        consistency = float(consistencies(known, field, unmoved_field)[shown].mean())
    return {
        'endpoint_error': float(errors.mean()),
        'endpoint_error_p95': float(np.percentile(errors, 95)),
        'endpoint_error_worst': float(errors.max()),
        'identity_error': float(identity_error),
        'unmoved_error': unmoved_error,
        'consistency': consistency,
        'offset': vectors.mean(0).tolist(),
        'made_worse': bool(errors.mean() > identity_error + WORSE_BY + (unmoved_error or 0.0)),
        'missing': float(np.isnan(answer.deformation).any(-1)[shown].mean()),
        'shown': float(shown.mean()),
        'ncc': similarity.ncc(registered, target),
        'mse': similarity.mse(registered, target),
        'mi': similarity.mutual_information(registered, target),
        'mncc': similarity.ncc(registered, target, shown),
        'mmse': similarity.mse(registered, target, shown),
    }


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation of two series, [-1, 1]; None where one of them is constant."""
    ranks = [_ranks(np.asarray(values)) for values in (a, b)]
    if any(np.ptp(each) == 0 for each in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 0; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def summarise(records: list[dict]) -> dict:
    """Return the summary over the records of one preset and one protocol (each as made by `score`)."""
    errors = np.array([record['endpoint_error'] for record in records])
    summary = {
        'pairs': len(records),
        'endpoint_error': {
            'mean': float(errors.mean()),
            'median': float(np.median(errors)),
            'worst': float(errors.max()),
        },
        'under_1px': float((errors < 1).mean()),
        'under_3px': float((errors < 3).mean()),
        'made_worse': float(np.mean([record['made_worse'] for record in records])),
    }
    for key in ('consistency', 'identity_error', 'missing', 'ncc', 'mse', 'mi', 'mncc', 'mmse'):
        values = [record[key] for record in records if record[key] is not None]
        summary[key] = float(np.mean(values)) if values else None
    consistencies = [record['consistency'] for record in records if record['consistency'] is not None]
    summary['consistency_median'] = float(np.median(consistencies)) if consistencies else None
    summary['consistency_worst'] = float(np.max(consistencies)) if consistencies else None
    return summary

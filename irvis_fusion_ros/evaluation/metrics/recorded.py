"""
Measures of pairs as they were recorded, where no alignment is known.

They compare what a preset made with its own sources. Edges of two spectra agree only in part, so these
figures compare presets on the same pairs; they do not tell how many pixels an alignment is off.
"""

import numpy as np

from irvis_fusion_ros.evaluation.metrics import edges, preservation, similarity, structure


def agreement(
    fused: np.ndarray, registered: np.ndarray, stretched: np.ndarray, visible: np.ndarray, shown: np.ndarray
) -> dict:
    """
    Return the agreement of the registered thermal with the visible image, and of the fused one with both.

    fused, registered, visible: H x W float, brightness in [0, 1]. stretched: the thermal image without
    registration. shown: H x W bool, where the registered thermal image is; all measures of edges and of
    mutual information are of that part, and `*_before` of the same part without registration.
    """
    return {
        'overlap': edges.f_score(registered, visible, shown),
        'overlap_before': edges.f_score(stretched, visible, shown),
        'mi': similarity.mutual_information(registered[shown], visible[shown]),
        'mi_before': similarity.mutual_information(stretched[shown], visible[shown]),
        'edge_f_visible': edges.f_score(fused, visible, shown),
        'edge_f_thermal': edges.f_score(fused, registered, shown),
        'cc': float(np.mean([similarity.ncc(each, fused, shown) for each in (registered, visible)])),
        'ssim': float(np.mean([structure.ssim(each, fused, shown) for each in (registered, visible)])),
        'qabf': preservation.qabf(fused, registered, visible),
    }


def overlap(found: np.ndarray, expected: np.ndarray, shown: np.ndarray) -> dict:
    """
    Return IoU, precision and recall of a mask against another one, [0, 1]; 0 where the masks do not meet.

    found: the mask of the thermal image, registered. expected: that of the visible image. shown: where the
    registered thermal image is. All are H x W bool. Precision is the share of `found` that is expected,
    recall the share of `expected` that is found.
    """
    found, expected = found & shown, expected & shown
    both = int((found & expected).sum())
    return {
        'iou': both / max(int((found | expected).sum()), 1),
        'precision': both / max(int(found.sum()), 1),
        'recall': both / max(int(expected.sum()), 1),
    }

"""Defines which pixels of a moved pair count as displaced, and measures how well a map detects them."""

from torch import Tensor

# Distance of the sources, in pixels, from which a pixel counts as displaced.
DISPLACED = 2.0


def area_under_curve(values: Tensor, positive: Tensor) -> float:
    """
    Return the area under the ROC curve of `values` as a detector of `positive` (bool), both one-dimensional.

    It is the probability that a positive value exceeds a negative one, 1/2 where either kind is missing.
    """
    # equal values share their mean rank
    _, group, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts - 1) / 2)[group]
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return 0.5
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))

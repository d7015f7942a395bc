"""Which pixels of a moved pair count as displaced, and how well a map tells them from the others."""

from torch import Tensor

# Pixels that the sources have to be apart for a place to count as displaced.
DISPLACED = 2.0


def area_under_curve(values: Tensor, positive: Tensor) -> float:
    """
    Return the area under the ROC curve of values for what is positive (bool), both of one dimension.

    It is the chance that a positive one is the larger of two, 1/2 where either kind is lacking.
    """
    # equal values share the mean of their ranks
    _, group, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts - 1) / 2)[group]
    there, others = int(positive.sum()), int((~positive).sum())
    if not there or not others:
        return 0.5
    return float((ranks[positive].sum() - there * (there + 1) / 2) / (there * others))

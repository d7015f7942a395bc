"""The truth of a batch on the coarsest grid, on which registration networks measure, and losses from it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.networks.matching import COARSEST, Search, model_of
from irvis_fusion_ros.training.recipes.base import Batch

# Standard deviation, in coarsest cells, of the error that makes a hypothesis of the search count as correct.
RIGHT = 0.6
# A search result that is wrong by more than this, in coarsest cells, is replaced by a start near the truth.
LOST = 3.0
# Standard deviation of that start from the truth, as displacement of the image's border in pixels.
NEAR_AFFINE = 10.0


class Known:
    """The truth of a batch on the coarsest grid, on which the network measures."""

    def __init__(self, batch: Batch):
        self.visible, self.moved = (layers.padded(x, COARSEST) for x in (batch.visible, batch.moved))
        self.affine: Affine = model_of([self.visible[..., ::COARSEST, ::COARSEST]])
        height, width = self.visible.shape[-2:]
        below, right = height - batch.shown.shape[-2], width - batch.shown.shape[-1]
        shown = F.pad(batch.shown, (0, right, 0, below))
        truth = F.pad(batch.truth.movedim(-1, 1), (0, right, 0, below)) * shown
        weight = F.avg_pool2d(shown, COARSEST)
        self.field = (F.avg_pool2d(truth, COARSEST) / weight.clamp(min=1e-6)).movedim(1, -1)
        # cells that are only partly shown are dropped, because their mean does not belong to their centre
        self.shown = (weight[:, 0] > 0.99).float()
        self.points = layers.centres(self.field[..., 0], COARSEST)
        with layers.single_precision(self.field.device):
            self.p = self.affine.fit(self.field, self.shown + 1e-9, self.points)

    def starts_near(self, start: Tensor) -> Tensor:
        """Return the starts, B x 2 x 3, with those that are far off replaced by starts near the truth."""
        lost = self._distance(start) > LOST * COARSEST
        near = self.p + NEAR_AFFINE * torch.randn_like(self.p)
        return torch.where(lost[:, None, None], near, start).detach()

    def search_loss(self, search: Search, logits: Tensor) -> Tensor:
        """Return the cross entropy with a target that is a Gaussian of the error of each hypothesis."""
        hypotheses = search.hypotheses(self.affine)
        corners = torch.tensor(((-0.7, -0.7), (0.7, -0.7), (-0.7, 0.7), (0.7, 0.7), (0, 0))).to(logits)
        size = corners.new_tensor(self.affine.centre)
        points = (size + corners * size)[None, None]
        moved = self.affine.displacement(hypotheses, points)[:, 0]
        true = self.affine.displacement(self.p, points)[:, 0]
        error = ((moved[None] - true[:, None]) ** 2).sum(-1).mean(-1) / COARSEST**2
        # even the best hypothesis has an error, by the spacing of the grid; errors count relative to it
        excess = error - error.min(1, keepdim=True).values
        target = torch.softmax(-excess / (2 * RIGHT**2), 1)
        return -(target * torch.log_softmax(logits.flatten(1), 1)).sum(1).mean() / 4

    def remaining(self, start: Tensor, reach: float) -> tuple[Tensor, Tensor]:
        """Return the true remaining displacement, B x h x w x 2, and 1 where it is shown and within reach."""
        left = self.field - start
        return left, self.shown * (left.abs().amax(-1) < reach)

    def affine_loss(self, p: Tensor) -> Tensor:
        """Return the mean distance, in pixels, from the affine part of the truth."""
        error = self.affine.displacement(p - self.p, self.points)
        return self._mean(error)

    def endpoint_error(self, p: Tensor, residual: Tensor) -> Tensor:
        """Return the mean endpoint error in pixels of an affine and a residual, B x h x w x 2."""
        return self._mean(self.affine.displacement(p, self.points) + residual - self.field)

    def _mean(self, error: Tensor) -> Tensor:
        length = torch.sqrt((error**2).sum(-1) + 1e-4)
        return (length * self.shown).sum() / self.shown.sum().clamp(min=1)

    def _distance(self, p: Tensor) -> Tensor:
        """Return the root mean square distance from the affine part of the truth over the grid, B, pixels."""
        error = self.affine.displacement(p - self.p, self.points)
        return torch.sqrt((error**2).sum(-1).mean((1, 2)))

"""
The interface between a system and the training loop: its network, its stages, and the losses of each stage.

One file makes a system trainable, `training/recipes/NAME.py`, with a subclass of `Recipe`, and one line in
training/recipes/table.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """
    Pairs displaced by known warps, all on one device.

    Images are B x 1 x H x W float32, brightness in [0, 1], on one grid. thermal: the thermal image aligned
    with the visible one, without sensor degradation; a perfect registration of `moved` gives it where `shown`
    is 1. visible: luminance. moved: `moved(x) = thermal(T(x))` with sensor degradation; beyond the edge of
    the thermal image it is 0. truth: B x H x W x 2 float32, the deformation (geometry/warp.py: backward, (dx,
    dy) in pixels, pixel centres at integers), `T(x + truth(x)) = x` to within 0.01 px. It is finite
    everywhere, but only valid where `shown` is 1. shown: B x 1 x H x W float32, 1 where the moved image
    contains the reference pixel, else 0.
    """

    thermal: Tensor
    visible: Tensor
    moved: Tensor
    truth: Tensor
    shown: Tensor


@dataclass(frozen=True)
class Stage:
    """
    One part of a schedule.

    steps: number of steps. lr: the peak learning rate; it rises over the first `warm_up` steps and falls
    along a cosine to a hundredth. trains: prefixes of the names of the parameters that are trained
    (`nn.Module.named_parameters`), all others are frozen; '' is every parameter. mixture: shares of the
    protocols that warps are drawn from, or None for that of the run's configuration. batch, crop (height,
    width): instead of those of the run's configuration.
    """

    name: str
    steps: int
    lr: float
    trains: tuple[str, ...] = ('',)
    warm_up: int = 100
    mixture: Mapping[str, float] | None = None
    batch: int | None = None
    crop: tuple[int, int] | None = None


class Recipe:
    """
    How one system is trained.

    A subclass names its options in `Config`, a frozen dataclass of config.option fields that the key `recipe`
    of the configuration file sets, and implements build, stages and losses.

    aligned: whether training needs known warps of aligned pairs. A recipe with aligned False also gets pairs
    as they were recorded; its losses must use neither `truth` nor `thermal`. boxed: whether it learns from
    thermal images with boxes (data/target_batches.TargetBatch) instead of pairs. added: parts of names of
    parameters that older weights may lack; a run that starts from such weights initialises them anew.
    """

    Config: type
    aligned = True
    boxed = False
    added: tuple[str, ...] = ()

    def __init__(self, config: Any):
        self.config = config

    def build(self) -> nn.Module:
        """Return the untrained network. The loop seeds torch before, and loads weights and moves it after."""
        raise NotImplementedError

    def runs(self, model: nn.Module) -> nn.Module:
        """Return the part of the network that inference needs; the rest is only used in training."""
        return model

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in their order, with unique names."""
        raise NotImplementedError

    def before_step(self, model: nn.Module, stage: Stage, step: int) -> None:
        """Set what changes within a stage, such as a temperature; `step` counts from 0 within the stage."""

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of the loss by name, scalars with weights applied; their sum is minimised."""
        raise NotImplementedError

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """
        Return the field that the network predicts from `moved` and `visible`, as Batch.truth, for validation.

        None for a stage without registration; its validation curve then shows the losses only.
        """
        return None

    @torch.no_grad()
    def measures(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, float]:
        """Return further values by name that the validation curve shows beside losses and endpoint error."""
        return {}

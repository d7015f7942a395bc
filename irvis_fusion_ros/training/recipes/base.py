"""
What a system tells the training loop: its network, its stages, and what it is taught in each.

A system is made trainable by one file, `training/NAME.py`, with a subclass of `Recipe`, and one line in
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
    Pairs moved by known warps, all on one device.

    Images are B x 1 x H x W float32, brightness in [0, 1], on one grid. thermal: as it lies on the visible
    image, without the degradation of the sensor: what registering `moved` perfectly gives where it is
    `shown`. visible: luminance. moved: `moved(x) = thermal(T(x))` with the sensor's degradation; beyond the
    edge of the thermal image it is 0.
    truth: B x H x W x 2 float32, the deformation (geometry/warp.py: backward, (dx, dy) in pixels, pixel
    centres at integers), `T(x + truth(x)) = x` to within 0.01 px. It is finite everywhere, but means
    something only where shown. shown: B x 1 x H x W float32, 1 where the moved image still shows the
    reference pixel, else 0.
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

    steps: how many. lr: the peak learning rate; it rises over the first `warm_up` steps and falls along a
    cosine to a hundredth. trains: beginnings of the names of the parameters that learn
    (`nn.Module.named_parameters`), the others are frozen; '' is all of them. mixture: the protocols that
    warps are drawn from, with their shares, or None for that of the run's configuration. batch, crop
    (height, width): instead of those of the run's configuration.
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

    A subclass names its options in `Config`, a frozen dataclass made of config.option fields that the key
    `recipe` of the configuration file fills, and implements build, stages and losses.

    aligned: whether it learns from known warps of aligned pairs. A recipe that says no is given pairs as they
    were recorded, too: its losses look neither at `truth` nor at `thermal`. added: parts of the names of
    parameters that older weights may lack: a run that starts from such weights begins with new ones.
    """

    Config: type
    aligned = True
    added: tuple[str, ...] = ()

    def __init__(self, config: Any):
        self.config = config

    def build(self) -> nn.Module:
        """Return the untrained network. The loop has seeded torch, moves the network and loads its state."""
        raise NotImplementedError

    def runs(self, model: nn.Module) -> nn.Module:
        """Return the part of the network whose weights are for use; the rest is only learned with."""
        return model

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages in their order, each with a name of its own."""
        raise NotImplementedError

    def before_step(self, model: nn.Module, stage: Stage, step: int) -> None:
        """Set what changes along a stage, say a temperature; step counts from 0 within the stage."""

    def losses(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the terms of the loss by name, scalars, weights applied: their sum is minimised."""
        raise NotImplementedError

    @torch.no_grad()
    def deformation(self, model: nn.Module, batch: Batch, stage: Stage) -> Tensor | None:
        """
        Return what the network finds for `moved` and `visible`, like Batch.truth, for the validation curve.

        None where the stage registers nothing: the validation losses are its curve then.
        """
        return None

    @torch.no_grad()
    def measures(self, model: nn.Module, batch: Batch, stage: Stage) -> dict[str, float]:
        """Return by name what the validation curve shows beside losses and endpoint error."""
        return {}

"""A recipe that learns in milliseconds: the shift of a pair by two convolutions."""

import os
import signal
import sys
from dataclasses import dataclass

import torch
from torch import nn

from irvis_fusion_ros.config import option
from irvis_fusion_ros.training.losses import basic
from irvis_fusion_ros.training.recipes import table
from irvis_fusion_ros.training.recipes.base import Recipe, Stage


class Net(nn.Module):
    """Features that are shared, a head, and dropout: something drawn at every step."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(2, 8, 5, 2, 2), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, visible, moved):
        shift = self.head(self.features(torch.cat([visible, moved], 1))).mean((2, 3))
        return shift[:, None, None].expand(-1, *visible.shape[-2:], -1)


@dataclass(frozen=True)
class TinyConfig:
    """Steps of the two stages."""

    first: int = option(6, 'Steps of the first stage.', minimum=1)
    second: int = option(8, 'Steps of the second stage.', minimum=1)
    lr: float = option(1e-2, 'Learning rate.', minimum=0)
    channels: int = option(8, 'Not used by the network.')


class Tiny(Recipe):
    Config = TinyConfig

    def build(self):
        return Net()

    def stages(self):
        return (
            Stage('first', self.config.first, self.config.lr, mixture={'fr': 1}),
            Stage('second', self.config.second, self.config.lr, ('head',), batch=2, crop=(32, 40)),
        )

    def losses(self, model, batch, stage):
        field = model(batch.visible, batch.moved)
        return {
            'known': basic.known_field(field, batch.truth, batch.shown),
            'smooth': 0.1 * basic.smoothness(field),
        }

    def deformation(self, model, batch, stage):
        return model(batch.visible, batch.moved) if stage.name == 'second' else None


class Killed(Tiny):
    """Kills the process, as the system would, some steps after a checkpoint."""

    def before_step(self, model, stage, step):
        if stage.name == 'second' and step == 3:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == '__main__':
    from irvis_fusion_ros.training import train

    table.RECIPES['tiny'] = Killed
    sys.exit(train.main())

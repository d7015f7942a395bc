"""`cnn`: two convolutions, 113 parameters, of the size of FusionRegister's main backbone; trained by us."""

import torch
from torch import Tensor, nn

WIDTH = 4


class Cnn(nn.Module):
    """
    3x3 convolution 2 -> 4, ReLU, 3x3 convolution 4 -> 1, the image reflected at its edges.

    The paper's ends in tanh; ours is linear, so that bright places are not squeezed.
    """

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, WIDTH, 3, padding=1, padding_mode='reflect')
        self.last = nn.Conv2d(WIDTH, 1, 3, padding=1, padding_mode='reflect')

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Fuse brightness in [0, 1], B x 1 x H x W; the result may overshoot a little."""
        return self.last(torch.relu(self.first(torch.cat([visible, thermal], 1))))

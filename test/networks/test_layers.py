import pytest
import torch
import torch.nn.functional as F
from torch import nn

from irvis_fusion_ros.backends import flops
from irvis_fusion_ros.networks import layers


@pytest.mark.parametrize('kind', [torch.float32, torch.bfloat16])
def test_maps_are_convolved_as_if_they_were_one(kind):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 16, 12, 18).to(kind), torch.randn(16, 19, 3, 3).to(kind)
    maps = (x, 2 * x[:, :3])
    together = F.conv2d(torch.cat(maps, 1), weight, padding=1)
    apart = layers.conv_concatenated(maps, weight, padding=1)
    torch.testing.assert_close(apart, together, rtol=0.02, atol=0.1)  # of values up to 40


@pytest.mark.parametrize('sigma', [0.7, 2.5])
def test_a_blur_is_the_same_whether_it_is_learned_from_or_not(sigma):
    image = torch.rand(2, 3, 20, 30, dtype=torch.float64)
    learned_from = image.clone().requires_grad_()
    torch.testing.assert_close(layers.blur(image, sigma), layers.blur(learned_from, sigma).detach())
    constant = torch.full((1, 1, 9, 9), 0.3)
    torch.testing.assert_close(layers.blur(constant, sigma), constant)


def test_convolutions_and_products_are_counted():
    conv, linear = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.Linear(18, 8)
    x = torch.ones(2, 16, 12, 18)
    parameters, gmacs = flops.count(conv, lambda: (conv(conv(x)), linear(x)))
    assert parameters == 16 * 16 * 9
    assert gmacs == (2 * 16 * 9 + 8) * x.numel() / 1e9

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from irvis_fusion_ros.backends import flops
from irvis_fusion_ros.networks import layers


def by_layers():
    """What the layers make of one image that do in one pass what follows a convolution or a product."""
    torch.manual_seed(0)
    first, second = (nn.Conv2d(16, 16, 3, padding=1, bias=False).bfloat16() for _ in range(2))
    x = torch.randn(2, 16, 12, 18).bfloat16().contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(8, 16).bfloat16(), torch.randn(8).bfloat16()
    return (
        layers.conv_relu(x, first),
        layers.conv_add(layers.conv_relu(x, first), second, x.clone()),
        layers.conv_of_all((x, 2 * x[:, :3]), torch.randn(16, 19, 3, 3).bfloat16(), padding=1),
        layers.linear_gelu(x.movedim(1, -1), weight, bias),
    )


def test_what_is_done_in_one_pass_is_the_same(monkeypatch):
    learned_from = by_layers()
    with torch.inference_mode():
        at_once = by_layers()
        monkeypatch.setattr(layers, '_fuses', lambda: False)
        apart = by_layers()
    for one, other, third in zip(at_once, apart, learned_from, strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.1)  # of values up to 40
        torch.testing.assert_close(other, third.detach(), rtol=0, atol=0)


@pytest.mark.parametrize('sigma', [0.7, 2.5])
def test_a_blur_is_the_same_whether_it_is_learned_from_or_not(sigma):
    image = torch.rand(2, 3, 20, 30, dtype=torch.float64)
    learned_from = image.clone().requires_grad_()
    torch.testing.assert_close(layers.blur(image, sigma), layers.blur(learned_from, sigma).detach())
    constant = torch.full((1, 1, 9, 9), 0.3)
    torch.testing.assert_close(layers.blur(constant, sigma), constant)


def test_what_is_done_in_one_pass_is_counted():
    def total(conv_of, linear_of):
        with torch.inference_mode():
            return flops.count(nn.Identity(), lambda: (conv_of(), linear_of()))[1]

    conv = nn.Conv2d(16, 16, 3, padding=1, bias=False).bfloat16()
    x, weight, bias = (
        torch.ones(2, 16, 12, 18).bfloat16(),
        torch.ones(8, 18).bfloat16(),
        torch.ones(8).bfloat16(),
    )
    plain = total(lambda: conv(conv(x)), lambda: F.linear(x, weight, bias))
    assert plain == (2 * 16 * 9 + 8) * x.numel() / 1e9
    at_once = total(
        lambda: layers.conv_add(layers.conv_relu(x, conv), conv, x.clone()),
        lambda: layers.linear_gelu(x, weight, bias),
    )
    assert at_once == plain

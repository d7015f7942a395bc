import pytest
import torch

from irvis_fusion_ros.networks import cross_correlation


def directly(own, other, count):
    height, width = own.shape[-2:]
    rows = [
        [(own * other[..., y : y + height, x : x + width]).sum((-3, -2, -1)) for x in range(count)]
        for y in range(count)
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


@pytest.fixture(params=[(6, 9), (7, 8)])
def maps(request):
    torch.manual_seed(0)
    height, width = request.param
    return torch.randn(2, 1, 3, height, width), torch.randn(2, 4, 3, height + 4, width + 4)


def test_it_is_the_sum_of_products(maps):
    assert torch.allclose(cross_correlation.correlate(*maps, 5), directly(*maps, 5), atol=1e-4)


def test_exported_it_is_the_same(maps, monkeypatch):
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
    monkeypatch.delattr(torch, 'fft')
    assert torch.allclose(cross_correlation.correlate(*maps, 5), directly(*maps, 5), atol=1e-4)

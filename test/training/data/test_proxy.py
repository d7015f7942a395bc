import pytest
import torch

from irvis_fusion_ros.geometry import tensors
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.training.data.proxy import Proxy


def every(batch=8, patches=2):
    """All eight ways to turn a patch."""
    code = torch.arange(batch * patches**2).view(batch, patches, patches) % 8
    return Proxy(code >= 4, code % 4)


def test_ipdg_undoes_pdg():
    image, field = torch.rand(8, 3, 32, 32), torch.randn(8, 32, 32, 2)
    proxy = every()
    assert not torch.equal(proxy.apply_images(image), image)
    assert torch.equal(proxy.invert_images(proxy.apply_images(image)), image)
    assert torch.equal(proxy.invert_fields(proxy.apply_fields(field)), field)


def test_a_turned_field_moves_the_turned_image_as_the_field_moves_the_image():
    torch.manual_seed(0)
    image = torch.rand(8, 1, 64, 64)
    field = 3 * torch.tanh(4 * layers.blur(torch.randn(8, 2, 64, 64), 4)).movedim(1, -1)
    proxy = every()
    there = tensors.warp(proxy.apply_images(image), proxy.apply_fields(field))
    back = proxy.apply_images(tensors.warp(image, field))
    inner = proxy.inner(image, 6)
    assert 0.3 < inner.mean() < 0.5
    assert ((there - back).abs() * inner).max() < 1e-4
    # the vectors matter: turned in place alone, they move it elsewhere
    wrong = proxy.apply_images(field.movedim(-1, 1)).movedim(1, -1)
    assert ((tensors.warp(proxy.apply_images(image), wrong) - back).abs() * inner).mean() > 0.05


def test_patches_that_are_not_square_are_not_turned_by_a_quarter():
    torch.manual_seed(0)
    image = torch.rand(4, 1, 24, 40)
    proxy = Proxy.draw(4, 2, square=False)
    assert torch.equal(proxy.invert_images(proxy.apply_images(image)), image)
    with pytest.raises(ValueError, match='40x24'):
        every(4).apply_images(image)

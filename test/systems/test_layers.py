import pytest
import torch
import torch.nn.functional as F

from irvis_fusion_ros.systems import layers


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_cells_come_apart_and_together_again(layout):
    maps = torch.rand(2, 3, 12, 18).contiguous(memory_format=layout)
    cells = layers.unfolded(maps, 3)
    assert torch.equal(cells.flatten(1, 3), F.pixel_unshuffle(maps, 3))
    assert torch.equal(layers.folded(cells), maps)


def test_means_are_not_too_large_for_half_precision():
    maps = torch.full((1, 2, 480, 640), 3.0, dtype=torch.float16)
    assert torch.equal(layers.mean(maps), torch.full((1, 2), 3.0, dtype=torch.float16))


@pytest.mark.parametrize('sigma', [0.7, 2.5])
def test_a_blur_is_the_same_whether_it_is_learned_from_or_not(sigma):
    image = torch.rand(2, 3, 20, 30, dtype=torch.float64)
    learned_from = image.clone().requires_grad_()
    torch.testing.assert_close(layers.blur(image, sigma), layers.blur(learned_from, sigma).detach())
    constant = torch.full((1, 1, 9, 9), 0.3)
    torch.testing.assert_close(layers.blur(constant, sigma), constant)

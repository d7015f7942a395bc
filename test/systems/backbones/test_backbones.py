import pytest
import torch

from irvis_fusion_ros.systems import backbones


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(2, 1, 45, 61, generator=generator) for _ in range(2))


@pytest.mark.parametrize('name', backbones.BACKBONES)
def test_every_backbone_keeps_to_the_interface(name, images):
    backbone = backbones.build(name)
    visible, thermal = (image.requires_grad_() for image in images)
    fused = backbone(visible, thermal)
    assert fused.shape == visible.shape
    assert fused.min() >= 0 and fused.max() <= 1
    fused.sum().backward()
    assert visible.grad.abs().sum() > 0 and thermal.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.train().modules())


def test_an_unknown_one_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown backbone 'mmdr'; valid: average, max"):
        backbones.build('mmdr')


def test_another_layout_is_refused(images):
    visible, thermal = images
    with pytest.raises(ValueError, match=r'expected B x 1 x H x W'):
        backbones.build('average')(visible, thermal[..., 1:])
    with pytest.raises(ValueError, match=r'expected B x 1 x H x W'):
        backbones.build('average')(visible[0], thermal[0])


def test_the_weightless_ones_are_what_they_are_called(images):
    visible, thermal = images
    assert torch.equal(backbones.build('average')(visible, thermal), (visible + thermal) / 2)
    assert torch.equal(backbones.build('max')(visible, thermal), torch.maximum(visible, thermal))

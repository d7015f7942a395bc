import numpy as np
import pytest
import torch

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks.busref import BusReF
from irvis_fusion_ros.networks.cnn import Cnn
from irvis_fusion_ros.systems.weighted_fusion import WeightedFusion


@pytest.fixture(scope='module')
def untrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    torch.manual_seed(0)
    for name, network in (('busref', BusReF()), ('cnn', Cnn())):
        digest = weights.save(folder / f'{name}.safetensors', name, {}, network.state_dict())
        (folder / f'{name}.md').write_text(f'sha256: {digest}')
    return folder


@pytest.fixture(autouse=True)
def models(untrained, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(untrained))


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


@pytest.mark.parametrize('name', ['gaf', 'cnn'])
def test_without_its_weights_a_backbone_says_which_are_missing(name, tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    with pytest.raises(FileError, match=r"' has no weights there: .* 'irvis train (busref|cnn) --config"):
        backbones.build(name)


def test_gaf_is_the_fusion_of_busref_and_nothing_else_of_it(images):
    network = weights.into(BusReF(), 'busref', 'busref').eval()
    backbone = backbones.build('gaf')
    with torch.no_grad():
        torch.testing.assert_close(backbone(*images), network.fuse(*images))
    assert {name.split('.')[2] for name, _ in backbone.named_parameters()} == {'bus', 'gaf'}


def test_gaf_fuses_a_large_image_as_the_preset_does():
    thermal, tinted = synthetic.pair((480, 641), 3)
    visible, thermal = color.luminance(tinted, 'bgr'), thermal.astype(np.float32) / 255
    fuse = WeightedFusion(weights.into(BusReF(), 'busref', 'busref'), 'cpu')
    whole = fuse(visible, thermal, np.ones_like(visible))
    fused = backbones.build('gaf')(*(torch.from_numpy(image)[None, None] for image in (visible, thermal)))
    assert np.abs(fused[0, 0].numpy() - whole).max() < 0.02


def test_cnn_has_a_hundred_parameters():
    assert sum(parameter.numel() for parameter in backbones.build('cnn').parameters()) == 113


def test_the_trained_cnn_keeps_detail_of_both(monkeypatch):
    monkeypatch.delenv(weights.VARIABLE)
    backbone = backbones.build('cnn')
    flat = torch.full((1, 1, 32, 32), 0.4)
    stripes = flat.clone()
    stripes[..., ::4] = 0.6
    for images in ((stripes, flat), (flat, stripes)):
        assert backbone(*images)[..., 8:-8, 8:-8].std() > 0.4 * stripes.std()
    # what both show is shown as bright as they do, or a little brighter
    assert 0 < float((backbone(flat, flat) - flat).mean()) < 0.15


def test_laplacian_takes_the_stronger_detail(images):
    visible, _ = images
    flat = torch.full_like(visible, 0.5)
    fuse = backbones.build('laplacian')
    same = fuse(visible, visible)
    torch.testing.assert_close(same, visible)
    # all the detail of one, around the mean of both
    both = fuse(visible, flat)
    torch.testing.assert_close(both - both.mean(), visible - visible.mean(), atol=0.1, rtol=0)
    torch.testing.assert_close(fuse(flat, visible), both)


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

import numpy as np
import pytest
import torch
from reached import unreached

from irvis_fusion_ros.backends import flops
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks.bsr import MULTIPLE, Bsr
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.flow import Flow
from irvis_fusion_ros.systems.registry import SystemConfig
from irvis_fusion_ros.training.config import plain
from irvis_fusion_ros.training.recipes.bsr import BsrRecipeConfig


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return Bsr().eval()


def scene(shape, seed=0):
    return torch.from_numpy(synthetic.textured(shape, seed)).float()[None, None] / 255


@torch.no_grad()
@pytest.mark.parametrize('shape', [(96, 128), (72, 200)])
def test_any_view_gives_a_field_of_its_size(network, shape):
    field = network.field(scene(shape), scene(shape, 1))
    assert field.shape == (1, *shape, 2)
    assert field.isfinite().all()


@torch.no_grad()
def test_an_aligned_pair_and_an_empty_one_are_left_where_they_are(network):
    image, flat = scene((96, 128)), torch.full((1, 1, 96, 128), 0.5)
    assert network.field(image, image).norm(dim=-1).mean() < 0.3
    assert network.field(flat, flat).abs().max() < 0.2


@torch.no_grad()
@pytest.mark.parametrize('dx, dy', [(5, 0), (-5, 0), (0, 4), (3, -4)])
def test_before_anything_is_learned_a_shift_is_found_in_part_and_with_its_sign(network, dx, dy):
    image = scene((160, 192))
    moved = torch.roll(image, (dy, dx), (2, 3))
    inner = network.field(image, moved)[:, 32:-32, 32:-32].mean((0, 1, 2))
    shift = torch.tensor([dx, dy], dtype=torch.float32)
    assert 0.3 < float(inner @ shift / (shift @ shift)) < 1.2
    assert (inner - shift).norm() < 0.8 * shift.norm()


@torch.no_grad()
def test_both_ways_are_the_one_way_and_the_other(network):
    visible, thermal = scene((64, 96)), scene((64, 96), 1)
    positive, negative = network.unet.both(visible, thermal)
    assert torch.allclose(positive, network.unet(visible, thermal), atol=1e-4)
    assert torch.allclose(negative, network.unet(thermal, visible), atol=1e-4)


def test_every_part_learns():
    network = Bsr()
    image = scene((64, 96))
    field = network.field(image, torch.roll(image, 3, 3))
    (field.square().mean() + network.fusion(image, image).square().mean()).backward()
    assert unreached(network) == []


def test_the_network_is_small_and_fast(network):
    view, full = torch.rand(1, 1, 256, 320), torch.rand(1, 1, 512, 640)
    parameters, gmacs = flops.count(network, lambda: network.field(view, view))
    assert parameters < 1e6
    assert gmacs < 2
    assert flops.count(network.fusion, lambda: network.fusion(full, full))[1] < 2


def test_the_preset_is_made_of_weights_as_training_writes_them(network, tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    digest = weights.save(
        weights.file_of('bsr'), 'bsr', plain(BsrRecipeConfig()), network.state_dict(), half=True
    )
    (tmp_path / 'bsr.md').write_text(f'- **sha256** {digest}\n')
    system = registry.build(SystemConfig('bsr', 'cpu'), temporal=False)
    assert isinstance(system, Flow)
    image = synthetic.textured((121, 163), 0).astype(np.float32) / 255
    alignment = system.register(image, image)
    assert np.abs(alignment.deformation(image.shape)).mean() < 0.5
    trust = np.ones(image.shape, np.float32)
    trust[:, :40] = 0
    fused = system.fuse(image, 1 - image, trust)
    assert fused.shape == image.shape and fused.dtype == np.float32
    assert fused.min() >= 0 and fused.max() <= 1
    assert np.array_equal(fused[:, :40], image[:, :40])


def test_features_are_of_two_kinds_on_one_grid(network):
    base, detail = network.fusion.encode(scene((8 * MULTIPLE, 6 * MULTIPLE)))
    assert base.shape == detail.shape == (1, base.shape[1], 4 * MULTIPLE, 3 * MULTIPLE)
    assert network.fusion.decode(base, detail).shape == (1, 1, 8 * MULTIPLE, 6 * MULTIPLE)

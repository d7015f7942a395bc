import pytest
import torch

from irvis_fusion_ros.networks.matching import STRIDES
from irvis_fusion_ros.training.losses import perceptual


@pytest.fixture(scope='module')
def bus():
    return perceptual.network(torch.device('cpu'))


def pictures(count, shape=(48, 64)):
    torch.manual_seed(0)
    return 0.1 + 0.9 * torch.rand(count, 1, *shape)


def test_features_are_of_every_stride_and_gradients_reach_the_image_alone(bus):
    image = pictures(1, (45, 60)).requires_grad_()
    found = perceptual.features(bus, image)
    assert [maps.shape[-2:] for maps in found] == [(48 // stride, 64 // stride) for stride in STRIDES]
    (
        perceptual.content(found, [maps.detach() + 1 for maps in found]) + perceptual.style(found, found)
    ).backward()
    assert image.grad.isfinite().all() and image.grad.any()
    assert not any(parameter.requires_grad for parameter in bus.parameters())


def test_equal_pictures_are_at_no_distance(bus):
    found = perceptual.features(bus, pictures(2))
    assert float(perceptual.content(found, found)) == 0
    assert float(perceptual.style(found, found)) == 0


def test_distances_do_not_depend_on_the_size_of_the_features(bus):
    a, b = (perceptual.features(bus, image[None]) for image in pictures(2))
    ten = [[10 * maps for maps in found] for found in (a, b)]
    assert float(perceptual.content(a, b)) == pytest.approx(float(perceptual.content(*ten)), rel=1e-4)
    assert float(perceptual.style(a, b)) == pytest.approx(float(perceptual.style(*ten)), rel=1e-4)


def test_style_does_not_ask_where(bus):
    (a,) = pictures(1, (64, 64))
    maps = perceptual.features(bus, a[None])
    turned = [each.flip(3) for each in maps]
    assert float(perceptual.style(maps, turned)) < 1e-9
    assert float(perceptual.content(maps, turned)) > 0.1


def test_what_is_masked_does_not_count(bus):
    a = pictures(1)
    maps = perceptual.features(bus, a)
    other = [each.clone() for each in maps]
    for each in other:
        each[..., each.shape[-1] // 2 :] = 0
    mask = torch.ones_like(a)
    mask[..., 32:] = 0
    assert float(perceptual.content(maps, other, mask)) == 0
    assert float(perceptual.content(maps, other)) > 0


def test_gram_is_the_mean_of_products():
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert torch.allclose(perceptual.gram(maps), torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 4)

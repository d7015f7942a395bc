import numpy as np
import pytest
import torch

from irvis_fusion_ros.training.losses import saliency


def test_saliency_is_the_distance_from_all_other_pixels():
    image = np.random.default_rng(0).integers(0, 256, (9, 11))
    distance = np.abs(image.reshape(-1, 1) - image.ravel()).sum(1).reshape(image.shape)
    found = saliency.saliency(torch.from_numpy(image / 255).float()[None, None])
    assert np.allclose(found[0, 0].numpy(), distance / distance.max(), atol=1e-5)


def test_a_warm_thing_is_salient_and_a_flat_image_nowhere():
    image = torch.full((2, 1, 20, 20), 0.3)
    image[0, :, 5:8, 5:8] = 0.9
    found = saliency.saliency(image)
    assert float(found[0, 0, 6, 6]) == pytest.approx(1)
    assert float(found[0, 0, 0, 0]) < 0.1
    assert not found[1].any()


def test_the_weighted_mean_of_both_is_best():
    torch.manual_seed(0)
    visible, thermal = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    share = 0.5 + (saliency.saliency(thermal) - saliency.saliency(visible)) / 2
    best = share * thermal + (1 - share) * visible
    assert float(saliency.salient(best, visible, thermal)) < 1e-6
    assert float(saliency.salient(best + 0.1, visible, thermal)) == pytest.approx(0.1, rel=1e-4)
    mask = torch.zeros_like(visible)
    assert float(saliency.salient(visible, visible, thermal, mask)) == 0


def test_the_stronger_edge_is_wanted_whatever_its_sign():
    visible, thermal = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    visible[..., :4], thermal[..., 4:] = 0.2, 0.7
    assert float(saliency.joint_gradient(thermal, visible, thermal)) == 0
    assert float(saliency.joint_gradient(1 - thermal, visible, thermal)) < 1e-6
    assert float(saliency.joint_gradient(visible, visible, thermal)) > 0.05


def test_what_both_show_is_most_similar():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 24, 24)
    assert float(saliency.similarity(image, image, image)) == pytest.approx(0, abs=1e-5)
    assert float(saliency.similarity(torch.rand_like(image), image, image)) > 0.5

"""Every loss against a value worked out by hand or by a library."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation.metrics import similarity
from irvis_fusion_ros.networks import layers
from irvis_fusion_ros.training.losses import basic


def image(values):
    return torch.tensor(values, dtype=torch.float32)[None, None]


@pytest.fixture
def images():
    thermal, visible = pair((64, 80))
    return [torch.from_numpy(picture / np.float32(255))[None, None] for picture in (thermal, visible[..., 1])]


def field(x, y, shape=(8, 9)):
    """Return a deformation made of functions of x and y."""
    ys, xs = torch.meshgrid(*(torch.arange(float(side)) for side in shape), indexing='ij')
    return torch.stack([x(xs, ys), y(xs, ys)], -1)[None]


def test_masked_ncc_is_that_of_the_evaluation(images):
    a, b = images
    mask = torch.zeros_like(a)
    mask[..., 5:50, 7:] = 1
    expected = 1 - similarity.ncc(a[0, 0].numpy(), b[0, 0].numpy(), mask[0, 0].bool().numpy())
    assert float(basic.masked_ncc(a, b, mask)) == pytest.approx(expected, abs=1e-4)
    assert float(basic.masked_ncc(a, 1 - a)) == pytest.approx(2, abs=1e-4)
    # what the mask hides does not count; brightness and contrast neither
    assert float(basic.masked_ncc(a, (0.3 * a + 0.2) * mask, mask)) == pytest.approx(0, abs=1e-3)


def test_masked_ncc_of_a_batch_leaves_out_what_shows_nothing(images):
    a, b = images
    mask = torch.cat([torch.ones_like(a), torch.zeros_like(a)])
    both = basic.masked_ncc(torch.cat([a, a]), torch.cat([b, b]), mask)
    assert float(both) == pytest.approx(float(basic.masked_ncc(a, b)))
    assert float(basic.masked_ncc(a, b, torch.zeros_like(a))) == 0


def test_gradient_of_an_edge():
    flat, edge = torch.zeros(1, 1, 6, 8), torch.zeros(1, 1, 6, 8)
    edge[..., 4:] = 1
    # the Sobel filter answers 1/2 in the two columns at the edge
    assert float(basic.gradient(edge, flat)) == pytest.approx(0.5 * 2 / 8)
    mask = torch.zeros_like(flat)
    mask[..., 4] = 1
    assert float(basic.gradient(edge, flat, mask)) == pytest.approx(0.5)


def test_sharpness_is_lost_by_a_blur_and_not_by_a_shift():
    texture = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    shifted, blurred = texture.roll(1, -1), layers.blur(texture, 1.0)
    assert float(basic.sharpness(texture, texture)) == 0
    assert float(basic.sharpness(texture, shifted)) < float(basic.sharpness(texture, blurred)) / 10
    # single pixels would rather have the blur
    assert float(basic.gradient(texture, shifted)) > float(basic.gradient(texture, blurred))


def test_laplacian_of_a_point():
    point = torch.zeros(1, 1, 5, 5)
    point[..., 2, 2] = 1
    found = basic.laplacian(point)[0, 0]
    assert found[2].tolist() == [0, 1, -4, 1, 0]
    assert float(found.sum()) == 0
    # 4 neighbours of 1 and the centre of 16 over 25 pixels
    assert float(basic.masked_laplacian(point, torch.zeros_like(point))) == pytest.approx((20 / 25) ** 0.5)
    mask = torch.zeros_like(point)
    mask[..., 2, 1:3] = 1
    assert float(basic.masked_laplacian(point, 0 * point, mask)) == pytest.approx((17 / 2) ** 0.5)


def test_fusion_gradient_wants_the_stronger_laplacian_raised():
    visible, thermal = torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)
    visible[..., 4, 4] = 0.5
    thermal[..., 4, 4] = -0.1
    # visible wins everywhere: -2 at the centre, 0.5 beside it
    expected = ((2**0.7) ** 2 + 4 * (0.5**0.7) ** 2) / 81
    found = basic.fusion_gradient(torch.zeros_like(visible), visible, thermal)
    assert float(found) == pytest.approx(expected**0.5, rel=1e-5)


def test_charbonnier_is_the_difference_but_for_its_tip():
    a = torch.tensor([0.0, 0.3, 0.5, 0.9]).view(1, 1, 2, 2)
    e = basic.SOFTNESS
    expected = sum((d**2 + e**2) ** 0.5 - e for d in (0, 0.3, 0.5, 0.9)) / 4
    assert float(basic.charbonnier(a, 0 * a)) == pytest.approx(expected)
    mask = torch.tensor([0.0, 1, 0, 0]).view(1, 1, 2, 2)
    assert float(basic.charbonnier(a, 0 * a, mask)) == pytest.approx(0.3, abs=e)
    assert float(basic.charbonnier(a, a)) == 0


def test_the_finest_level_has_the_edges_and_nothing_else(images):
    a, b = images
    assert basic.finest(torch.full_like(a, 0.7)).abs().max() < 1e-6
    step = torch.zeros(1, 1, 16, 16)
    step[..., 8:] = 1
    level = basic.finest(step)[0, 0, 8]
    # reduced at pixel 6 and 8: 0.05, 0.7; expanded at pixel 7 between them, at pixel 8 with both neighbours
    assert float(level[7]) == pytest.approx(-(0.05 + 0.7) / 2, abs=1e-6)
    assert float(level[8]) == pytest.approx(1 - (0.1 * 0.05 + 0.8 * 0.7 + 0.1 * 1), abs=1e-6)
    assert level[:4].abs().max() < 1e-6
    assert float(basic.edges(a, a + 0.2)) == pytest.approx(0, abs=1e-5)
    assert float(basic.edges(a, b)) == pytest.approx(
        float(basic.charbonnier(basic.finest(a), basic.finest(b)))
    )


@pytest.mark.parametrize('width', [80, 77])
def test_spectrum_is_the_mean_modulus_of_the_whole_transform(images, width):
    a, b = (image[..., :width] for image in images)
    mask = torch.ones_like(a)
    mask[..., :9] = 0
    whole = np.fft.fft2(((a - b) * mask).numpy(), norm='ortho')
    assert float(basic.spectrum(a, b, mask)) == pytest.approx(np.abs(whole).mean(), rel=1e-4)
    # a wave is one pair of lines
    wave = torch.cos(torch.arange(16) * (2 * np.pi * 3 / 16)).expand(1, 1, 16, 16)
    assert float(basic.spectrum(wave, 0 * wave)) == pytest.approx(2 * 8 / 256, abs=1e-5)


def test_ssim_is_that_of_a_library(images):
    a, b = (one.numpy()[0, 0].astype(np.float64) for one in images)
    _, expected = structural_similarity(
        a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    inner = torch.zeros_like(images[0])
    inner[..., 5:-5, 5:-5] = 1
    found = basic.ssim(*images, inner)
    assert float(found) == pytest.approx(1 - expected[5:-5, 5:-5].mean(), abs=1e-4)
    a, b = images
    half = basic.weighted_ssim(a, a, b)
    assert float(half) == pytest.approx(float(basic.ssim(a, b)) / 2, abs=1e-6)
    assert float(basic.reconstruction(a, b, weight=2)) == pytest.approx(
        float(((a - b) ** 2).mean() + 2 * basic.ssim(a, b)), abs=1e-6
    )


def test_smoothness_of_an_affine_field():
    affine = field(lambda x, y: 0.1 * x - 0.2 * y + 3, lambda x, y: 0.3 * y)
    assert float(basic.smoothness(affine)) == pytest.approx(0.1**2 + 0.2**2 + 0.3**2)


def test_known_field_is_the_endpoint_error():
    truth = torch.zeros(1, 4, 4, 2)
    found = truth + torch.tensor([3.0, 4.0])
    softness = basic.ENDPOINT_SOFTNESS
    assert float(basic.known_field(found, truth)) == pytest.approx((25 + softness**2) ** 0.5 - softness)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0] = 1
    found[:, :, 1:] = torch.nan_to_num(torch.tensor(1e6))
    assert float(basic.known_field(found, truth, mask)) == pytest.approx(5, abs=softness)
    assert float(basic.known_field(truth, truth)) == 0


@pytest.mark.parametrize(
    'loss',
    [
        basic.masked_ncc,
        basic.gradient,
        basic.sharpness,
        basic.masked_laplacian,
        basic.charbonnier,
        basic.edges,
        basic.spectrum,
        basic.ssim,
        basic.reconstruction,
    ],
)
def test_gradients_are_finite_where_nothing_differs(loss):
    a = torch.zeros(2, 1, 16, 16, requires_grad=True)
    loss(a, torch.zeros(2, 1, 16, 16)).backward()
    assert a.grad.isfinite().all()


def test_gradients_of_fields_are_finite_where_nothing_differs():
    a = torch.zeros(1, 8, 8, 2, requires_grad=True)
    basic.known_field(a, torch.zeros(1, 8, 8, 2)).backward()
    assert a.grad.isfinite().all()


def test_half_precision_of_the_caller_does_not_reach_in(images):
    a, b = images
    with torch.autocast('cpu', torch.bfloat16):
        found = basic.ssim(a, b)
    assert found.dtype == torch.float32
    assert torch.equal(found, basic.ssim(a, b))

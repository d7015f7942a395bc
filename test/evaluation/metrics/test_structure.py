import cv2
import kornia
import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage.metrics import structural_similarity

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation.metrics import structure

THERMAL, VISIBLE = (
    image / 255 for image in (pair((200, 240))[0], cv2.cvtColor(pair((200, 240))[1], cv2.COLOR_BGR2GRAY))
)
BLURRED = cv2.GaussianBlur(VISIBLE, (0, 0), 1.5)


@pytest.mark.parametrize('other', [THERMAL, BLURRED, VISIBLE])
def test_ssim_as_scikit_image_has_it(other):
    expected = structural_similarity(
        VISIBLE, other, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert structure.ssim(VISIBLE, other) == pytest.approx(expected, abs=1e-6)


def test_ssim_map_as_kornia_has_it():
    images = [torch.from_numpy(image)[None, None] for image in (VISIBLE, THERMAL)]
    expected = kornia.metrics.ssim(*images, window_size=11).numpy()[0, 0]
    luminance, contrast = structure._ssim_maps(VISIBLE, THERMAL)
    np.testing.assert_allclose(luminance * contrast, expected[5:-5, 5:-5], atol=1e-5)


def test_ssim_over_a_part():
    mask = np.zeros(VISIBLE.shape, bool)
    mask[:, 120:] = True
    half = VISIBLE.copy()
    half[:, :100] = 0
    assert structure.ssim(VISIBLE, half, mask) == pytest.approx(1)
    assert structure.ssim(VISIBLE, half) < 0.8
    assert np.isnan(structure.ssim(VISIBLE, half, np.zeros_like(mask)))


def test_ms_ssim_from_the_terms_of_scikit_image():
    # far from zero every luminance term is one, so scikit-image's SSIM is the contrast term alone
    a, b = (image[:192, :224] - image.mean() + 1000 for image in (VISIBLE, BLURRED))
    found = structure.ms_ssim(a, b)
    expected = 1.0
    for scale, weight in enumerate(structure.MS_SSIM_WEIGHTS):
        if scale:
            height, width = (side // 2 for side in a.shape)
            a, b = (image.reshape(height, 2, width, 2).mean((1, 3)) for image in (a, b))
        term = structural_similarity(
            a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        expected *= term**weight
    assert found == pytest.approx(expected, abs=1e-5)


def test_ms_ssim_of_equal_opposed_and_small_images():
    assert structure.ms_ssim(VISIBLE, VISIBLE) == pytest.approx(1)
    assert structure.ms_ssim(VISIBLE, 1 - VISIBLE) == 0
    assert 0 < structure.ms_ssim(VISIBLE[:40, :50], BLURRED[:40, :50]) < 1


def vif_by_hand(reference, image):
    """The authors' equations written out, with plain two-dimensional convolutions."""
    a, b = reference * 255, image * 255
    kept = total = 0
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        place = np.arange(size) - size // 2
        line = np.exp(-(place**2) / (2 * (size / 5) ** 2))
        window = np.outer(line, line) / line.sum() ** 2

        def smooth(x, window=window):
            return convolve2d(x, window, mode='valid')

        if scale > 1:
            a, b = smooth(a)[::2, ::2], smooth(b)[::2, ::2]
        mean_a, mean_b = smooth(a), smooth(b)
        s11, s22 = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
        s12 = smooth(a * b) - mean_a * mean_b
        for v11, v22, v12 in zip(s11.ravel(), s22.ravel(), s12.ravel(), strict=True):
            v11, v22 = max(v11, 0), max(v22, 0)
            g = v12 / v11 if v11 > 1e-10 else 0
            noise = v22 - g * v12
            if g < 0:
                g, noise = 0, v22
            kept += np.log10(1 + g * g * v11 / (max(noise, 1e-10) + 2))
            total += np.log10(1 + v11 / 2)
    return kept / total


@pytest.mark.parametrize('image', [THERMAL, BLURRED])
def test_vif_against_the_equations_written_out(image):
    crop = np.s_[:90, :100]
    expected = vif_by_hand(VISIBLE[crop], image[crop])
    assert structure.vif(VISIBLE[crop], image[crop]) == pytest.approx(expected, abs=1e-9)


def test_vif_of_the_reference_and_of_more_contrast():
    assert structure.vif(VISIBLE, VISIBLE) == pytest.approx(1)
    calm = VISIBLE * 0.5 + 0.25
    assert structure.vif(calm, VISIBLE) > 1 > structure.vif(VISIBLE, calm)
    assert structure.vif(VISIBLE, 1 - VISIBLE) == 0
    assert structure.vif(np.full((40, 40), 0.5), np.full((40, 40), 0.5)) == 1

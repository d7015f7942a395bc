import numpy as np
import pytest
from skimage import measure, metrics

from irvis_fusion_ros.evaluation.metrics import similarity

RNG = np.random.default_rng(3)
A = RNG.random((50, 60))
B = np.clip(0.6 * A + 0.5 * RNG.random((50, 60)), 0, 1)
MASK = RNG.random((50, 60)) > 0.4


def test_ncc_is_pearsons_r():
    assert similarity.ncc(A, B) == pytest.approx(np.corrcoef(A.ravel(), B.ravel())[0, 1], abs=1e-12)
    assert similarity.ncc(A, B, MASK) == pytest.approx(np.corrcoef(A[MASK], B[MASK])[0, 1], abs=1e-12)
    assert similarity.ncc(A, 1 - A) == pytest.approx(-1)
    assert similarity.ncc(A, np.full_like(A, 0.3)) == 0


def test_mse_and_psnr_as_scikit_image_has_them():
    assert similarity.mse(A, B) == pytest.approx(metrics.mean_squared_error(A, B), abs=1e-12)
    assert similarity.mse(A, B, MASK) == pytest.approx(((A - B) ** 2)[MASK].mean(), abs=1e-12)
    expected = metrics.peak_signal_noise_ratio(A, B, data_range=1)
    assert similarity.psnr(A, B) == pytest.approx(expected, abs=1e-9)
    assert similarity.psnr(A, A) == float('inf')


def test_mutual_information_against_a_hand_computed_value():
    # two fair coins that agree three times out of four
    a = np.array([[0, 0, 0, 0, 1, 1, 1, 1.0]])
    b = np.array([[0, 0, 0, 1, 1, 1, 1, 0.0]])
    expected = 1 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)
    assert similarity.mutual_information(a, b) == pytest.approx(expected, abs=1e-12)


def test_mutual_information_agrees_with_scikit_image():
    a, b = similarity.levels(A), similarity.levels(B)
    # scikit-image offers (H(a) + H(b)) / H(a, b); MI = H(a) + H(b) - H(a, b)
    joint = measure.shannon_entropy(a * similarity.BINS + b)
    ratio = metrics.normalized_mutual_information(a, b, bins=similarity.BINS)
    assert similarity.mutual_information(A, B) == pytest.approx((ratio - 1) * joint, abs=1e-9)
    assert similarity.mutual_information(A, A) == pytest.approx(measure.shannon_entropy(a), abs=1e-12)

import numpy as np
import pytest
from skimage import measure

from irvis_fusion_ros.data.synthetic import pair, textured
from irvis_fusion_ros.evaluation.metrics import fusion, similarity

A, B = textured((96, 128), 1) / 255, pair((96, 128), 2)[0] / 255
AVERAGE = (A + B) / 2
# one step from 0 to 1 in the middle of 4 x 4 pixels
STEP = np.repeat([[0.0, 0.0, 1.0, 1.0]], 4, axis=0)


def test_entropy_as_scikit_image_has_it():
    levels = similarity.levels(A)
    assert fusion.entropy(A) == pytest.approx(measure.shannon_entropy(levels), abs=1e-12)
    assert fusion.entropy(STEP) == 1


def test_of_a_step_by_hand():
    assert fusion.standard_deviation(STEP) == pytest.approx(127.5)
    # differences along rows: 0, 255, 0; down columns: none
    assert fusion.spatial_frequency(STEP) == pytest.approx(255 / np.sqrt(3))
    # central differences: 0, 127.5, 127.5, 0
    assert fusion.average_gradient(STEP) == pytest.approx(127.5 / np.sqrt(2) / 2)
    # Sobel along rows: 0, 4 * 255, 4 * 255, 0
    assert fusion.mean_gradient(STEP) == pytest.approx(510)
    assert fusion.edge_intensity(STEP) == pytest.approx(510 / np.sqrt(8))


def test_cross_entropy_by_hand():
    # black 3/4, white 1/4 against half and half
    source = np.array([[0, 0, 0, 1.0]])
    expected = 0.75 * np.log2(1.5) + 0.25 * np.log2(0.5)
    assert fusion.cross_entropy(source, STEP) == pytest.approx(expected)
    assert fusion.cross_entropy(A, A) == 0
    assert fusion.cross_entropy(STEP, np.full((4, 4), 0.5)) == 0  # no level in common


def test_every_measure_that_is_promised():
    shown = np.zeros(A.shape, bool)
    shown[:, 40:] = True
    found = fusion.score(AVERAGE, B, A, aligned=A, shown=shown)
    promised = [
        'en',
        'sf',
        'ag',
        'sd',
        'mg',
        'ei',
        'ce',
        'cc',
        'mi',
        'ssim',
        'ms_ssim',
        'vif',
        'viff',
        'qabf',
        'fmi_w',
        'q_cv',
        'edge_f',
        'psnr',
        'ssim_aligned',
    ]
    assert set(promised) <= set(found)
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values())
    assert found['viff'] == pytest.approx(2 * found['vif'])
    assert found['cc'] == pytest.approx((similarity.ncc(A, AVERAGE) + similarity.ncc(B, AVERAGE)) / 2)


def test_comparison_with_the_fusion_of_the_aligned_pair():
    shown = np.zeros(A.shape, bool)
    shown[:, 64:] = True
    half = AVERAGE.copy()
    half[:, :50] = A[:, :50]
    found = fusion.score(half, B, A, aligned=AVERAGE, shown=shown)
    assert found['psnr_shown'] == float('inf')
    assert found['ssim_aligned_shown'] == pytest.approx(1)
    assert found['psnr'] < 40
    assert found['ssim_aligned'] < 1


def test_summary_leaves_out_the_infinite():
    summary = fusion.summarise([{'psnr': 30.0, 'en': 1.0}, {'psnr': float('inf'), 'en': 3.0}])
    assert summary == {'psnr': 30, 'en': 2}
    assert fusion.summarise([{'psnr': float('inf')}]) == {'psnr': None}

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.evaluation.metrics import recorded

SHAPE = (96, 128)


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    coarse = (rng.random((12, 16)) > 0.5).astype(np.float32)
    return cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_NEAREST) * 0.6 + 0.2


def test_what_agrees_has_the_highest_figures(picture):
    shown = np.ones(SHAPE, bool)
    moved = np.roll(picture, 5, axis=1)
    found = recorded.agreement(picture, 1 - picture, 1 - moved, picture, shown)
    # edges and mutual information do not care for the sign of contrast
    assert found['overlap'] == pytest.approx(1) and found['overlap_before'] < 0.8
    assert found['mi'] > found['mi_before']
    assert found['edge_f_visible'] == found['edge_f_thermal'] == pytest.approx(1)
    ghost = recorded.agreement((picture + moved) / 2, moved, moved, picture, shown)
    assert ghost['overlap'] == ghost['overlap_before']
    assert ghost['edge_f_visible'] < 1
    assert all(type(value) is float for value in found.values())


def test_masks_are_compared_where_the_thermal_image_is():
    found, expected, shown = (np.zeros(SHAPE, bool) for _ in range(3))
    found[10:20, 10:20] = True
    expected[10:20, 15:30] = True
    shown[:, :25] = True
    measured = recorded.overlap(found, expected, shown)
    assert measured == {'iou': 50 / 150, 'precision': 0.5, 'recall': 0.5}
    nothing = recorded.overlap(found, expected, np.zeros(SHAPE, bool))
    assert nothing == {'iou': 0, 'precision': 0, 'recall': 0}

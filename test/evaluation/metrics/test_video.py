import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import textured
from irvis_fusion_ros.evaluation.metrics.video import Steadiness

SCENE = textured((60, 80)) / np.float32(255)


def still(shift=0.0):
    field = np.zeros((60, 80, 2), np.float32)
    field[..., 0] = shift
    return field


def measured(shifts, fused=None, aligned=None):
    steadiness = Steadiness()
    for index, shift in enumerate(shifts):
        picture = SCENE if fused is None else fused[index]
        expected = SCENE if aligned is None else aligned[index]
        steadiness.add(still(shift), SCENE, picture, expected)
    return steadiness.summary()


def test_a_steady_stream_is_steady_however_wrong():
    found = measured([7, 7, 7])
    assert found == {
        'frames': 3,
        'jitter': 0,
        'jitter_worst': 0,
        'wander': 0,
        'flicker': 0,
        'excess_change': 0,
    }


def test_jitter_and_wander_by_hand():
    found = measured([0, 1, 0, 3])
    assert found['jitter'] == pytest.approx((1 + 1 + 3) / 3)
    assert found['jitter_worst'] == pytest.approx(3)
    assert found['wander'] == pytest.approx(np.std([0, 1, 0, 3]))
    assert found['flicker'] > 1


def test_flicker_is_what_the_change_of_field_does_to_the_picture():
    found = measured([0, 2])
    moved = np.zeros_like(SCENE)
    moved[:, :-2] = SCENE[:, 2:]
    assert found['flicker'] == pytest.approx(np.abs(moved - SCENE).mean() * 255, rel=1e-4)


def test_excess_change_leaves_out_what_the_aligned_stream_shows_too():
    brighter = [SCENE, SCENE + 0.1, SCENE]
    assert measured([0, 0, 0], brighter, brighter)['excess_change'] == pytest.approx(0, abs=1e-4)
    assert measured([0, 0, 0], brighter)['excess_change'] == pytest.approx(25.5, rel=1e-4)


def test_one_frame_is_no_video():
    steadiness = Steadiness()
    steadiness.add(still(), SCENE, SCENE, SCENE)
    with pytest.raises(ValueError, match='two frames'):
        steadiness.summary()

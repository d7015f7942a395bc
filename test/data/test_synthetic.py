import numpy as np

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.evaluation.metrics.registration import endpoint_errors
from irvis_fusion_ros.geometry import warp


def test_frames_are_repeatable_and_move():
    rig = synthetic.Rig((96, 128), (64, 80))
    thermal, visible = rig.frame(5)
    assert (thermal.shape, visible.shape) == ((64, 80), (96, 128, 3))
    for again in (rig.frame(5), synthetic.Rig((96, 128), (64, 80)).frame(5)):
        np.testing.assert_array_equal(again[0], thermal)
        np.testing.assert_array_equal(again[1], visible)
    np.testing.assert_array_equal(rig.frame(6)[1][:, : -synthetic.STEP], visible[:, synthetic.STEP :])


def test_the_video_turns_back_without_a_jump():
    rig = synthetic.Rig((96, 128), (96, 128))
    np.testing.assert_array_equal(rig.frame(synthetic.SWEEP + 1)[1], rig.frame(synthetic.SWEEP - 1)[1])
    np.testing.assert_array_equal(rig.frame(2 * synthetic.SWEEP)[1], rig.frame(0)[1])


def test_the_known_misalignment_undoes_itself():
    rig = synthetic.Rig((96, 128), (73, 101), seed=3)
    aligned, _ = synthetic.pair((96, 128 + synthetic.STEP * synthetic.SWEEP), seed=3)
    aligned = aligned[:, :128].astype(float)
    thermal, _ = rig.frame(0)
    truth, shown = rig.known.truth()
    registered = warp.warp(thermal, truth).astype(float)
    still = warp.warp(thermal, np.zeros_like(truth)).astype(float)
    assert np.abs(registered - aligned)[shown].mean() < 0.5 * np.abs(still - aligned)[shown].mean()
    assert endpoint_errors(rig.known, np.zeros_like(truth)).mean() > 4

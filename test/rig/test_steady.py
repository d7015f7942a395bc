"""Targets of a stream: what trembles is smoothed, what moves is followed, and what is gone fades."""

import numpy as np

from irvis_fusion_ros.rig.local import LocalShift
from irvis_fusion_ros.rig.steady import SteadyTargets

WIDTH = 640


def target(x=100.0, shift=(6.0, -2.0)):
    return LocalShift(shift, (x, 80.0, 20.0, 40.0), 0.5)


def test_what_trembles_is_smoothed():
    steady, rng = SteadyTargets(), np.random.default_rng(0)
    raw, smooth = [], []
    for _ in range(60):
        shift = tuple((np.array([6.0, -2.0]) + rng.normal(0, 0.3, 2)).tolist())
        (found,) = steady.smoothed([target(shift=shift)], WIDTH)
        raw.append(shift)
        smooth.append(found.shift)
        assert found.share == 1
    assert np.std(smooth[10:], 0).max() < 0.4 * np.std(raw[10:], 0).min()


def test_what_moves_is_followed():
    steady = SteadyTargets()
    for x in range(0, 60, 6):
        (found,) = steady.smoothed([target(100.0 + x)], WIDTH)
        assert found.box[0] == 100 + x
    (found,) = steady.smoothed([target(154.0, shift=(-9.0, 3.0))], WIDTH)
    assert found.shift == (-9, 3)


def test_what_comes_and_goes_does_so_gradually():
    steady = SteadyTargets()
    assert steady.smoothed([target()], WIDTH)[0].share == 1
    shares = [steady.smoothed([], WIDTH)[0].share for _ in range(3)]
    assert 1 > shares[0] > shares[1] > shares[2] > 0
    (back,) = steady.smoothed([target()], WIDTH)
    assert shares[2] < back.share < 1
    first, new = steady.smoothed([target(), target(300.0)], WIDTH)
    assert new.share < 0.5 < first.share
    for _ in range(30):
        steady.smoothed([], WIDTH)
    assert steady.targets == ()
    steady.reset()
    assert steady.smoothed([target(300.0)], WIDTH)[0].share == 1

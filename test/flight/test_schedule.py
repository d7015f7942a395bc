"""When images are taken and what is stamped."""

import numpy as np
import pytest

from irvis_fusion_ros.flight import schedule
from irvis_fusion_ros.flight.config import EPOCH, FlightConfig


def offsets(exposures):
    return np.array([(e.stamp - EPOCH) / 1e9 - e.seconds for e in exposures])


def test_stamps_are_the_true_times_within_jitter():
    plan = schedule.plan(FlightConfig(seconds=30, jitter=0.002))
    for exposures in (plan.visible, plan.thermal):
        assert np.abs(offsets(exposures)).max() < 0.01
        assert 0.0015 < offsets(exposures).std() < 0.0025
        assert np.all(np.diff([e.stamp for e in exposures]) > 0)


def test_without_jitter_stamps_are_exact():
    plan = schedule.plan(FlightConfig(seconds=3, rate=30, jitter=0))
    assert [e.stamp - EPOCH for e in plan.visible[:4]] == [0, 33_333_333, 66_666_667, 100_000_000]


@pytest.mark.parametrize('latency', [0.14, -0.05])
def test_latency_shifts_thermal_stamps_only(latency):
    plan = schedule.plan(FlightConfig(seconds=5, thermal_latency=latency, jitter=0))
    np.testing.assert_allclose(offsets(plan.thermal), latency, atol=1e-8)
    np.testing.assert_allclose(offsets(plan.visible), 0, atol=1e-8)


def test_a_clock_that_is_ahead_and_too_fast_shifts_thermal_stamps_alone():
    config = {'seconds': 50, 'jitter': 0, 'shutters': 0}
    plain, plan = schedule.plan(FlightConfig(**config)), schedule.plan(
        FlightConfig(**config, clock=0.04, drift=200)
    )  # fmt: skip
    assert plan.visible == plain.visible
    np.testing.assert_allclose(
        offsets(plan.thermal), [0.04 + 2e-4 * e.seconds for e in plan.thermal], atol=1e-8
    )
    assert [e.recorded for e in plan.thermal] == [e.recorded for e in plain.thermal]


def test_nothing_is_recorded_before_it_is_taken_or_stamped():
    plan = schedule.plan(FlightConfig(seconds=5, thermal_latency=0.1, jitter=0.003))
    for exposure in plan.recorded():
        assert exposure.recorded > exposure.stamp
        assert exposure.recorded > EPOCH + exposure.seconds * 1e9
    recorded = [e.recorded for e in plan.recorded()]
    assert recorded == sorted(recorded)
    assert len(recorded) == len(plan.visible) + len(plan.thermal)


def test_during_a_calibration_no_thermal_image_is_taken():
    plan = schedule.plan(FlightConfig(seconds=20, rate=10, shutters=2, shutter_seconds=1.5, jitter=0))
    gaps = np.diff([e.seconds for e in plan.thermal])
    assert np.sum(gaps > 0.11) == 2
    assert gaps.max() == pytest.approx(1.6)
    for start in (6.0, 16.0):
        assert not [e for e in plan.thermal if start <= e.seconds < start + 1.5]
    after = next(e for e in plan.thermal if e.seconds >= 7.5 - 1e-9)
    assert after.since_shutter == pytest.approx(0)
    lonely = [e.seconds for e, partner in zip(plan.visible, plan.partners, strict=True) if partner is None]
    assert np.all([6 <= s < 7.5 or 16 <= s < 17.5 for s in lonely])
    assert len(lonely) == 30


def test_frozen_images_repeat_the_last_real_one():
    plan = schedule.plan(FlightConfig(seconds=10, freeze=True))
    repeats = [e for e in plan.thermal if e.repeats is not None]
    assert len(plan.thermal) == len(plan.visible)
    assert len(repeats) == 10
    assert {e.repeats for e in repeats} == {repeats[0].index - 1}
    assert all(partner is None or partner.repeats is None for partner in plan.partners)


def test_a_free_running_thermal_camera_has_its_own_rate():
    plan = schedule.plan(FlightConfig(seconds=20, rate=30, thermal_rate=9, shutters=0))
    assert len(plan.visible) == 600
    assert len(plan.thermal) in (179, 180)
    for seen, partner in zip(plan.visible, plan.partners, strict=True):
        nearest = min(plan.thermal, key=lambda e: abs(e.seconds - seen.seconds))
        assert partner is None or partner == nearest
    reached = [e.seconds - p.seconds for e, p in zip(plan.visible, plan.partners, strict=True) if p]
    assert 0.04 < np.abs(reached).max() <= 0.5 / 9 + 1e-9


@pytest.mark.parametrize(('rate', 'truth_rate', 'count'), [(10, 2, 20), (30, 2, 20), (1, 2, 10), (10, 0, 0)])
def test_truths_come_at_their_own_rate(rate, truth_rate, count):
    plan = schedule.plan(FlightConfig(seconds=10, rate=rate, truth_rate=truth_rate))
    assert len(plan.truths) == count


def test_a_plan_depends_on_its_seed_alone():
    first, same, other = (schedule.plan(FlightConfig(seconds=5, seed=s)) for s in (1, 1, 2))
    assert first == same
    assert [e.stamp for e in first.visible] != [e.stamp for e in other.visible]

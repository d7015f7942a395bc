"""A rolling shutter: bands make up the image, each at the time of its rows."""

import numpy as np
import pytest

from irvis_fusion_ros.flight import shutter


@pytest.mark.parametrize('height', [96, 97, 129, 40])
def test_bands_make_up_the_image(fly, height):
    camera = fly(height=height).rig.visible
    bands = shutter.bands(camera)
    for k, whole in enumerate(camera.rays()):
        np.testing.assert_allclose(np.concatenate([part.rays()[k] for part, _ in bands]), whole, atol=1e-12)
    places = [place for _, place in bands]
    assert places == sorted(places)
    assert -0.5 < places[0] < places[-1] < 0.5


def test_each_row_is_seen_at_its_time(fly):
    flight = fly(seconds=4, rate=5, readout=0.05)
    top = 0
    for view in flight.views(2.0):
        rows = np.arange(top, top + view.camera.size[1])
        top += len(rows)
        expected = 2.0 + (rows / 128 - 0.5) * 0.05
        assert np.abs(view.seconds - expected).max() <= 0.05 * len(rows) / 2 / 128
        np.testing.assert_array_equal(view.pose.centre, flight.pose('visible', view.seconds).centre)
    assert top == 129


def test_a_camera_that_stands_still_sees_the_same_with_both_shutters(fly, monkeypatch):
    rolling, all_at_once = (fly(seconds=1, rate=2, readout=readout) for readout in (0.0, 0.05))
    for flight in (rolling, all_at_once):
        pose = flight.pose('visible', 0.0)
        monkeypatch.setattr(flight, 'pose', lambda camera, seconds, pose=pose: pose)
        monkeypatch.setattr(
            flight.world.traffic, 'at', lambda seconds, still=flight.world.traffic.at(0): still
        )
    one, other = (next(iter(flight.shots())).image.astype(int) for flight in (rolling, all_at_once))
    # the resolution of the ground is chosen band by band, and outlines are right to half a sample
    assert np.abs(one - other).mean() < 2
    assert np.mean(np.abs(one - other).max(-1) > 20) < 0.01


@pytest.mark.slow
def test_a_rolling_image_bends(fly):
    steady, rolling = (fly(seconds=2, rate=5, shutters=0, readout=r).deformation(5) for r in (0.0, 0.1))
    bent = np.nanmean((rolling - steady)[20:120], axis=1)
    # the middle row is taken when its stamp says, those above before it, those below after it
    assert np.abs(bent[44]).max() < 0.3
    assert np.linalg.norm(bent[0]) > 3 * np.linalg.norm(bent[44])
    assert bent[0] @ bent[-1] < 0

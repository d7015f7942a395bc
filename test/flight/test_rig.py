"""The rig: as misaligned as a real one, and its CameraInfo describes it."""

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.flight import rig, rig_truth
from irvis_fusion_ros.flight.camera import Pose
from irvis_fusion_ros.flight.config import FlightConfig


@pytest.fixture
def two_cameras():
    return rig.build(FlightConfig())


def test_camera_info_leads_from_a_thermal_pixel_to_the_visible_one(two_cameras):
    visible, thermal = two_cameras.intrinsics()
    assert (visible.size, thermal.size) == ((640, 512), (320, 256))
    for point in np.random.default_rng(0).uniform((-8, -6, 20), (8, 6, 60), (20, 3)):
        # REP-style reading of CameraInfo: rectify with K, D, R; P projects points of the first camera's axes
        seen = two_cameras.thermal.project(two_cameras.mount.to_camera(point))
        flat = cv2.undistortPoints(
            seen.reshape(1, 1, 2), thermal.k, thermal.d, R=thermal.r, P=thermal.p[:, :3]
        ).ravel()  # fmt: skip
        expected = thermal.p @ [*point, 1]
        np.testing.assert_allclose(flat, expected[:2] / expected[2], atol=1e-3)
        in_visible = visible.p @ [*point, 1]
        straight = visible.k @ point
        np.testing.assert_allclose(in_visible, straight, atol=1e-9)


def test_the_thermal_camera_sits_a_baseline_beside_the_visible_one():
    cameras = rig.build(FlightConfig(baseline=0.4))
    pose = Pose(np.eye(3), np.zeros(3))
    thermal = cameras.thermal_pose(pose)
    assert thermal.centre[0] == pytest.approx(0.4)
    turned = np.rad2deg(np.linalg.norm(cv2.Rodrigues(thermal.rotation)[0]))
    assert 1 < turned < 4


def test_a_knock_turns_the_thermal_camera_by_degrees(two_cameras):
    pose = Pose(np.eye(3), np.zeros(3))
    before, after = two_cameras.thermal_pose(pose), two_cameras.thermal_pose(pose, knocked=True)
    turned = np.rad2deg(np.linalg.norm(cv2.Rodrigues(after.rotation @ before.rotation.T)[0]))
    assert turned == pytest.approx(np.linalg.norm(rig.KNOCK), abs=0.1)
    np.testing.assert_array_equal(after.centre, before.centre)


def test_a_taller_sensor_keeps_the_diagonal_field_of_view():
    for size in ((640, 512), (512, 640), (1280, 720)):
        camera = rig.build(FlightConfig(width=size[0], height=size[1])).visible
        diagonal = 2 * np.rad2deg(np.arctan(np.hypot(*size) / 2 / camera.focal))
        assert diagonal == pytest.approx(70.8, abs=0.5)


def test_a_knock_moves_the_thermal_image_by_the_pixels_asked_for(fly):
    still, knocked = (fly(seconds=2, rate=5, shutters=0, knock=k, knock_at=1).deformation(7) for k in (0, 6))
    moved = np.linalg.norm(knocked - still, axis=-1)
    assert np.nanmedian(moved) == pytest.approx(6, rel=0.15)
    np.testing.assert_array_equal(
        fly(seconds=2, rate=5, shutters=0, knock=6, knock_at=1.5).deformation(7), still
    )


def test_the_zoom_steps_and_its_camera_info_says_so():
    cameras = rig.build(FlightConfig(zoom='5:2 3:1.5'))
    focal = cameras.visible.focal
    assert [cameras.visible_at(t).focal / focal for t in (0, 3, 4.9, 5, 60)] == [1, 1.5, 1.5, 2, 2]
    (visible, thermal), (zoomed, same) = cameras.intrinsics(0), cameras.intrinsics(6)
    assert zoomed.k[0, 0] == zoomed.p[0, 0] == 2 * visible.k[0, 0]
    np.testing.assert_array_equal(same.k, thermal.k)


def test_camera_info_has_the_distortion_of_the_rig():
    cameras = rig.build(FlightConfig(visible_k1=-0.2, visible_k2=0.03, thermal_k1=0.1, thermal_k2=0))
    visible, thermal = cameras.intrinsics()
    assert list(visible.d[:2]) == [-0.2, 0.03]
    assert list(thermal.d[:2]) == [0.1, 0]


@pytest.mark.parametrize('zoom', ['5', '5:0', 'a:b', '-1:2', '1:2:3'])
def test_a_zoom_that_is_none_is_refused(zoom):
    with pytest.raises(ValueError, match=r"'zoom' is .* must be SECONDS:FACTOR"):
        FlightConfig(zoom=zoom)


def test_the_true_numbers_lead_from_a_thermal_pixel_to_the_visible_one(fly):
    flight = fly(seconds=2, rate=5, baseline=0.3, clock=0.04, thermal_latency=0.01, drift=100, knock=5)
    numbers = rig_truth.describe(flight)
    assert numbers['clock'] == pytest.approx(0.05)
    assert numbers['drift'] == pytest.approx(1e-4)
    assert numbers['knock_at'] == 1
    for name, mount in (('before', flight.rig.mount), ('after', flight.rig.knocked)):
        for point in np.random.default_rng(0).uniform((-3, -2, 8), (3, 2, 60), (5, 3)):
            there = mount.to_camera(point)
            pixel = flight.rig.thermal.matrix @ there / there[2]
            at = (
                np.array(numbers[name]['at_infinity']) @ pixel + np.array(numbers[name]['epipole']) / there[2]
            )
            expected = flight.rig.visible.matrix @ point
            np.testing.assert_allclose(at[:2] / at[2], expected[:2] / expected[2])

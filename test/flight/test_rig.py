"""The rig: as misaligned as a real one, and its CameraInfo describes it."""

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.flight import rig
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

"""Cameras: rays and projection undo each other, and agree with OpenCV's model."""

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.flight.camera import Camera, Pose

CAMERA = Camera((101, 77), 90.0, (51.3, 37.1), (-0.04, 0.01, 0.001, -0.002, 0.0))


@pytest.mark.parametrize('samples', [1, 1.5, 2])
def test_a_ray_projects_to_where_it_came_from(samples):
    x, y = CAMERA.rays(samples)
    assert x.shape == CAMERA.sampled(samples)
    points = np.stack([x, y, np.ones_like(x)], -1) * 7.0
    columns, rows = np.meshgrid(*(np.arange(n) for n in x.shape[::-1]))
    sampled = CAMERA.project_sampled(points, samples)
    np.testing.assert_allclose(sampled, np.stack([columns, rows], -1), atol=1e-8)


def test_one_ray_a_pixel_goes_through_its_centre():
    x, y = CAMERA.rays()
    points = np.stack([x, y, np.ones_like(x)], -1)
    np.testing.assert_allclose(CAMERA.project(points)[20, 30], (30, 20), atol=1e-9)


def test_projection_agrees_with_opencv():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-0.6, 0.6, (50, 2)), np.ones(50)]) * rng.uniform(1, 50, (50, 1))
    theirs, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), CAMERA.matrix, np.array(CAMERA.distortion)
    )
    np.testing.assert_allclose(CAMERA.project(points), theirs[:, 0], atol=1e-9)


def test_poses_take_points_there_and_back():
    rotation = cv2.Rodrigues(np.array([0.3, -0.2, 0.9]))[0]
    pose = Pose(rotation, np.array([1.0, 2.0, 3.0]))
    points = np.random.default_rng(0).normal(size=(4, 5, 3))
    np.testing.assert_allclose(pose.to_world(pose.to_camera(points)), points, atol=1e-12)
    # the optical axis is the third column
    np.testing.assert_allclose(pose.to_camera(pose.centre + 2 * rotation[:, 2]), (0, 0, 2), atol=1e-12)


def test_a_lens_that_folds_the_image_is_refused():
    with pytest.raises(ValueError, match='folds'):
        Camera((100, 100), 50.0, (50, 50), (-2.0, 0, 0, 0, 0)).rays()

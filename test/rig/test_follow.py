"""A rig that has changed is followed, and a bad frame is not taken for one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.alignment import Alignment, Note
from irvis_fusion_ros.calibration import Calibration, Parallax
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.lens import Lens
from irvis_fusion_ros.rig.follow import MOVED, OUTSIDE, Follower, moved_rig

SHAPES = (48, 64), (96, 128)
RIG = Calibration(np.diag([2.0, 2, 1]), *SHAPES, parallax=Parallax((1.0, 0.0), (0, 5)))
THERMAL, VISIBLE = (np.zeros(shape, np.float32) for shape in SHAPES)


def knocked(pixels):
    shift = np.eye(3)
    shift[0, 2] = pixels
    return replace(RIG, matrix=shift @ RIG.matrix)


class World:
    """Where the rig really is; both registrations see it."""

    def __init__(self):
        self.truth = RIG
        self.resets = 0
        self.sure = 0.9


class Prior:
    """Finds the truth within 5 px of its rig."""

    def __init__(self, world):
        self.world, self.calibration = world, RIG

    def register(self, thermal, visible):
        apart = np.abs(self.calibration.matrix - self.world.truth.matrix).max()
        if apart < 5:
            return Alignment(self.world.truth.backward(*SHAPES), 0.9, 'track')
        return Alignment(
            self.calibration.backward(*SHAPES), 0.1, 'calibration', notes=(Note(OUTSIDE, 'far'),)
        )

    def reset(self):
        self.world.resets += 1


class Search(Prior):
    """Finds the truth wherever it is."""

    def register(self, thermal, visible):
        return Alignment(self.world.truth.backward(*SHAPES), self.world.sure, 'search')


@pytest.fixture
def world():
    return World()


@pytest.fixture
def follower(world):
    return Follower(Prior(world), Search(world))


def frames(follower, count):
    return [follower.register(THERMAL, VISIBLE) for _ in range(count)]


def codes(frames):
    return [[note.code for note in each.notes] for each in frames]


def test_a_knock_is_followed_after_some_frames_and_held(world, follower):
    frames(follower, 3)
    world.truth = knocked(15)
    found = frames(follower, 8)
    assert codes(found) == [[OUTSIDE]] * 4 + [[MOVED]] + [[]] * 3
    for each in found[2:]:
        np.testing.assert_allclose(each.transform, world.truth.backward(*SHAPES), atol=1e-9)
    np.testing.assert_allclose(follower.calibration.matrix, world.truth.matrix, atol=1e-6)
    assert follower.calibration.parallax == RIG.parallax


def test_who_wants_to_know_is_told_once(world):
    told = []
    follower = Follower(Prior(world), Search(world), told.append)
    world.truth = knocked(15)
    frames(follower, 10)
    assert len(told) == 1
    np.testing.assert_allclose(told[0].matrix, world.truth.matrix, atol=1e-6)


def test_single_bad_frames_change_nothing(world, follower):
    for _ in range(5):
        world.truth = knocked(15)
        assert codes(frames(follower, 2)) == [[OUTSIDE]] * 2
        world.truth = RIG
        assert codes(frames(follower, 1)) == [[]]
    assert follower.calibration is RIG


def test_searches_that_are_not_sure_or_differ_are_not_followed(world, follower):
    world.sure, world.truth = 0.3, knocked(15)
    assert codes(frames(follower, 10)) == [[OUTSIDE]] * 10
    world.sure = 0.9
    for pixels in range(10, 200, 10):
        world.truth = knocked(pixels)
        frames(follower, 1)
    assert follower.calibration is RIG


def test_reset_goes_back_to_the_rig_that_was_given(world, follower):
    world.truth = knocked(15)
    frames(follower, 8)
    assert follower.calibration is not RIG
    follower.reset()
    assert follower.calibration is RIG
    assert codes(frames(follower, 1)) == [[OUTSIDE]]


@pytest.mark.parametrize('scale', [1, 2])
@pytest.mark.parametrize(
    'lens', [None, Lens(np.array([[50.0, 0, 31], [0, 50, 24], [0, 0, 1]]), 'plumb_bob', (-0.1,))]
)
def test_the_new_rig_aligns_as_what_was_found(scale, lens):
    rig = replace(RIG, thermal_lens=lens)
    shapes = tuple((height * scale, width * scale) for height, width in SHAPES)
    truth = replace(rig, matrix=np.array([[2.1, 0.1, 7], [-0.1, 2, -5], [1e-4, 0, 1]]))
    aligned = truth.alignment(*shapes)
    if lens is not None:
        # what a search finds is a transform
        points = transform.pixel_grid(shapes[1], np.float64)[::8, ::8].reshape(-1, 2)
        at = points + aligned.deformation_at(points, shapes[1])
        aligned = Alignment(cv2.findHomography(points, at)[0], 0.9, 'search')
    found = moved_rig(rig, aligned, *shapes).alignment(*shapes).deformation(shapes[1])
    error = np.linalg.norm(found - truth.alignment(*shapes).deformation(shapes[1]), axis=-1)
    assert np.median(error) < (1e-3 if lens is None else 0.5 * scale)

import re

import numpy as np
import pytest

from irvis_fusion_ros.geometry import plausible

THERMAL, VISIBLE = (512, 640), (720, 1280)
NAN, INF = float('nan'), float('inf')


def changed(matrix, **entries):
    matrix = np.array(matrix, float)
    for name, value in entries.items():
        matrix[int(name[1]), int(name[2])] = value
    return matrix


H = np.array([[2, 0.1, -4], [0.05, 2, 3], [1e-5, -2e-5, 1.0]])
K = np.array([[500, 0, 320], [0, 500, 256], [0, 0, 1.0]])


def test_sizes():
    assert plausible.problem_of_size(640, 512) is None
    assert plausible.problem_of_size(640.0, np.int32(512)) is None
    for size in ((1e308, 1e308), (0, 5), (-640, 512), (640.5, 512), (NAN, 5), (INF, 5), (10**400, 10**400)):
        assert plausible.problem_of_size(*size)


@pytest.mark.parametrize(
    'matrix',
    [
        H,
        -3 * H,
        np.diag([0.03, 0.03, 1]),  # a tele lens
        np.diag([40.0, 40.0, 1]),
        changed(np.diag([-1.0, 1.0, 1.0]), m02=639),  # behind a mirror
        [[0, 1, 0], [-1, 0, 640], [0, 0, 1]],  # turned by a right angle
        K @ [[np.cos(0.5), 0, np.sin(0.5)], [0, 1, 0], [-np.sin(0.5), 0, np.cos(0.5)]] @ np.linalg.inv(K),
    ],
)
def test_homographies_of_rigs(matrix):
    assert plausible.problem_of_homography(matrix, THERMAL, VISIBLE) is None


@pytest.mark.parametrize(
    ('matrix', 'problem'),
    [
        (changed(H, m00=NAN), 'not finite'),
        (changed(H, m22=-INF), 'not finite'),
        (np.zeros((3, 3)), 'cannot be inverted'),
        (np.ones((3, 3)), 'cannot be inverted'),
        (np.full((3, 3), 1e308), 'cannot be inverted'),
        (changed(H, m00=1e308), 'cannot be inverted'),
        (changed(H, m02=1e300), 'cannot be inverted'),
        (np.outer([1, 2, 3], [1, 2, 3]) + 1e-12, 'cannot be inverted'),
        (changed(H, m22=0), 'horizon across the thermal'),
        (changed(H, m20=-1 / 300), 'horizon across the thermal'),
        (changed(H, m20=0.01, m21=0), 'horizon across the visible'),
        (np.diag([1e-6, 1e-6, 1]), 'scales parts'),
        (np.diag([1e6, 1e6, 1]), 'scales parts'),
        (np.diag([1.0, 1e-3, 1]), 'scales parts'),
        (changed(np.eye(3), m02=5000), 'beside'),
        (changed(np.eye(3), m12=-600), 'beside'),
    ],
)
def test_homographies_that_no_rig_has(matrix, problem):
    assert problem in plausible.problem_of_homography(matrix, THERMAL, VISIBLE)


def test_intrinsics():
    for k in (K, 2 * K, changed(K, m01=0.5), changed(K, m02=-1500), changed(K, m00=15000, m11=15000)):
        assert plausible.problem_of_intrinsics(k, THERMAL) is None


@pytest.mark.parametrize(
    ('entries', 'problem'),
    [
        ({'k02': NAN}, 'not finite'),
        ({'k00': INF}, 'not finite'),
        ({'k00': 0}, 'fx = 0'),
        ({'k11': -500}, 'fy = -500'),
        ({'k00': 1e300}, r'fx = 1e\+300'),
        ({'k22': 1e-300}, 'fx = '),
        ({'k22': 0}, 'no camera matrix'),
        ({'k20': 3}, 'no camera matrix'),
        ({'k01': 1e5}, 'skew'),
        ({'k12': 1e9}, 'cy = '),
    ],
)
def test_intrinsics_that_no_camera_has(entries, problem):
    found = plausible.problem_of_intrinsics(changed(K, **entries), THERMAL)
    assert re.search(problem, found), found


def test_rotations():
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    assert plausible.problem_of_rotation(turn) is None
    assert plausible.problem_of_rotation(turn.round(2) + 1e-4) is None
    assert 'mirror' in plausible.problem_of_rotation(np.diag([1, 1, -1]))
    for wrong in (changed(turn, r00=NAN), 2 * turn, np.zeros((3, 3)), changed(turn, r02=1e200)):
        assert plausible.problem_of_rotation(wrong)

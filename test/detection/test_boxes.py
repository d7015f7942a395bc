import numpy as np

from irvis_fusion_ros.detection import boxes


def test_overlap_is_intersection_over_union():
    first = np.float32([[0, 0, 10, 10], [20, 20, 30, 30]])
    second = np.float32([[5, 0, 15, 10]])
    np.testing.assert_allclose(boxes.overlap(first, second), [[1 / 3], [0]], rtol=1e-6)
    assert boxes.overlap(first, np.zeros((0, 4), np.float32)).shape == (2, 0)


def test_of_those_that_overlap_the_best_of_each_class_is_kept():
    found = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [1, 1, 11, 11], [40, 40, 50, 50]])
    kept = boxes.best(found, np.float32([0.5, 0.9, 0.8, 0.4]), np.array([0, 0, 1, 0]), 0.5)
    assert kept.tolist() == [1, 2, 3]


def test_nothing_gives_nothing():
    empty = np.zeros((0, 4), np.float32)
    assert boxes.best(empty, np.zeros(0, np.float32), np.zeros(0, int), 0.5).size == 0

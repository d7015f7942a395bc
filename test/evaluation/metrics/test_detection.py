import numpy as np
import pytest

from irvis_fusion_ros.evaluation.metrics import detection

DRAWN = np.float32([[0, 0, 10, 20], [50, 0, 60, 20]])


def found(*boxes):
    placed = np.float32([box[:4] for box in boxes]).reshape(-1, 4)
    return detection.found(placed, np.float32([box[4] for box in boxes]), DRAWN)


def test_who_is_found_at_what_score():
    result = found((1, 0, 11, 20, 0.8), (0, 1, 10, 21, 0.9), (30, 0, 40, 20, 0.4))
    # the second box on one person is no false alarm
    np.testing.assert_allclose(result.people, [0.9, 0], rtol=1e-6)
    np.testing.assert_allclose(result.alarms, [0.4], rtol=1e-6)


def test_nothing_found_and_nobody_drawn():
    assert found().people.tolist() == [0, 0]
    nobody = detection.found(np.float32([[0, 0, 1, 1]]), np.float32([0.5]), np.zeros((0, 4), np.float32))
    assert (nobody.people.size, nobody.alarms.tolist()) == (0, [0.5])


def test_either_source_finds_what_one_of_them_finds():
    both = detection.either(found((0, 0, 10, 20, 0.5)), found((50, 0, 60, 20, 0.7), (30, 0, 40, 20, 0.3)))
    np.testing.assert_allclose(both.people, [0.5, 0.7], rtol=1e-6)
    assert len(both.alarms) == 1


def test_recall_and_false_alarms_at_a_score():
    pictures = [found((0, 0, 10, 20, 0.5), (30, 0, 40, 20, 0.6)), found((50, 0, 60, 20, 0.2))]
    assert detection.recall(pictures, 0.3) == pytest.approx(0.25)
    assert detection.recall(pictures, 0.1) == pytest.approx(0.5)
    assert detection.false_alarms(pictures, 0.3) == pytest.approx(0.5)


def test_the_score_that_allows_so_many_false_alarms():
    pictures = [found((30, 0, 40, 20, 0.6), (80, 0, 90, 20, 0.4)), found((30, 0, 40, 20, 0.3))]
    for alarms in (0, 0.5, 1, 1.5):
        score = detection.score_of(pictures, alarms)
        assert detection.false_alarms(pictures, score) <= alarms
    assert 0.4 < detection.score_of(pictures, 0.5) <= 0.6
    assert detection.score_of(pictures, 9) == detection.LEAST

import numpy as np
import pytest

from irvis_fusion_ros.evaluation.metrics import registration
from irvis_fusion_ros.evaluation.metrics.registration import Registration
from irvis_fusion_ros.geometry import transform, warp
from irvis_fusion_ros.geometry.random_warp import KnownWarp, WarpRange, draw

SHAPE = (61, 81)
RNG = np.random.default_rng(5)


def constant(dx, dy, shape=SHAPE):
    return np.broadcast_to(np.float32([dx, dy]), (*shape, 2)).copy()


def shifted(dx, dy):
    """T(x) = x + (dx, dy), whose exact deformation is -(dx, dy)."""
    matrix = np.eye(3)
    matrix[:2, 2] = dx, dy
    return KnownWarp(SHAPE, matrix)


def answer(field, thermal_shape=SHAPE, matrix=None):
    matrix = np.eye(3) if matrix is None else matrix
    return Registration(warp.mark_outside(field, thermal_shape), matrix)


def score(known, field, unmoved=None, matrix=None):
    image = RNG.random(SHAPE)
    _, shown = known.truth()
    still = answer(constant(*unmoved)) if unmoved else None
    return registration.score(known, shown, answer(field, matrix=matrix), still, image, image)


def test_error_of_the_truth_is_zero():
    known = draw(WarpRange(rotation=5, shift=4, scale=(0.9, 1.1), shear=2, elastic=3), SHAPE, RNG)
    truth, shown = known.truth()
    assert registration.endpoint_errors(known, truth)[shown].max() < 0.01


def test_error_of_a_known_mistake():
    record = score(shifted(3, 0), constant(-3 + 0.6, 0.8))
    assert record['endpoint_error'] == pytest.approx(1.0, abs=1e-5)
    assert record['identity_error'] == pytest.approx(3.0)


def test_only_the_part_that_is_shown_counts():
    known = shifted(20, 0)
    _, shown = known.truth()
    # moved(x) = thermal(x + 20): the first 20 columns of the reference have left the image
    assert not shown[:, :20].any()
    assert shown[:, 20:].all()
    field = constant(-20, 0)
    field[:, :20] = 300
    matrix = known.matrix.copy()
    assert score(known, field, matrix=np.linalg.inv(matrix))['endpoint_error'] == pytest.approx(0, abs=1e-5)


def test_nan_where_shown_is_scored_and_counted():
    known = shifted(10, 0)
    # everything is sent outside to the left: all NaN, though 71 of 81 columns are shown
    record = score(known, constant(-200, 0), matrix=np.array([[1, 0, -200.0], [0, 1, 0], [0, 0, 1]]))
    assert record['missing'] == 1
    assert record['endpoint_error'] == pytest.approx(190, abs=1e-3)
    partly = score(known, constant(-30, 0), matrix=np.array([[1, 0, -30.0], [0, 1, 0], [0, 0, 1]]))
    assert partly['missing'] == pytest.approx(20 / 71)
    assert partly['endpoint_error'] == pytest.approx(20, abs=1e-3)


def test_nan_cannot_hide_the_error_of_a_dense_field():
    # the transform says nothing; all of the motion is in the dense part
    record = score(shifted(10, 0), constant(-30, 0))
    assert record['endpoint_error'] == pytest.approx(20, abs=1e-3)


def test_continued_keeps_the_finite_part():
    matrix = np.array([[1.05, 0, -3.0], [0, 1, 0], [0, 0, 1]])
    field = transform.displacement(matrix, SHAPE)
    continued = registration.extrapolate(answer(field, matrix=matrix))
    np.testing.assert_allclose(continued, field, atol=1e-4)


def test_consistency_is_free_of_the_labels_error():
    # the method finds the same 4 px offset of an ill-aligned pair with and without the known warp
    known = shifted(6, -2)
    record = score(known, constant(-6 + 4, 2), unmoved=(4, 0), matrix=None)
    assert record['consistency'] == pytest.approx(0, abs=1e-5)
    assert record['endpoint_error'] == pytest.approx(4, abs=1e-5)
    assert record['unmoved_error'] == pytest.approx(4, abs=1e-5)


@pytest.mark.parametrize(
    ('found', 'unmoved', 'worse'),
    [
        (3.9, (0, 0), False),  # 0.9 px beyond identity
        (4.1, (0, 0), True),
        (4.1, (0.2, 0), False),  # its own floor is allowed for
        (4.3, (0.2, 0), True),
        (4.1, None, True),
    ],
)
def test_made_worse(found, unmoved, worse):
    # truth is -3: `found` px beyond it on the far side, identity is 3 px off
    assert score(shifted(3, 0), constant(-3 - found, 0), unmoved=unmoved)['made_worse'] is worse


def test_natural_error_is_in_visible_pixels():
    thermal_shape, visible_shape = (51, 71), (101, 211)
    matrix = np.array([[2.6, 0.1, 9.0], [-0.08, 1.9, 4.0], [2e-4, -1e-4, 1.0]])
    known = registration.natural_warp(matrix, thermal_shape, visible_shape)
    _, shown = known.truth()
    field = constant(3, -2, visible_shape)
    grid = transform.pixel_grid(visible_shape, np.float64)
    # by hand: the original thermal pixel that each deformation points to, through H
    thermal_pixel = (grid + field) * (70 / 210, 50 / 100)
    homogeneous = thermal_pixel @ matrix[:, :2].T + matrix[:, 2]
    expected = np.linalg.norm(homogeneous[..., :2] / homogeneous[..., 2:] - grid, axis=-1)
    np.testing.assert_allclose(registration.endpoint_errors(known, field), expected, atol=1e-9)
    truth, _ = known.truth()
    assert registration.endpoint_errors(known, truth)[shown].max() < 1e-3
    # shown: where the inverse homography lands within the thermal image
    back = transform.apply(np.linalg.inv(matrix), grid)
    by_hand = ((back >= 0) & (back <= (70, 50))).all(-1)
    assert (shown == by_hand).mean() > 0.999


def test_images_are_compared_on_both_areas():
    known = shifted(20, 0)
    truth, shown = known.truth()
    target = RNG.random(SHAPE)
    registered = np.where(shown, target, 0)
    record = registration.score(known, shown, answer(truth), None, registered, target)
    assert record['mncc'] == pytest.approx(1)
    assert record['mmse'] == 0
    assert record['ncc'] < 0.9
    assert record['mse'] == pytest.approx((target**2)[:, :20].sum() / target.size)
    assert record['shown'] == pytest.approx(61 / 81)


def test_summary():
    known = shifted(3, 0)
    records = [score(known, constant(-3 + off, 0), unmoved=(0, 0)) for off in (0.5, 2, 9.5)]
    summary = registration.summarise(records)
    assert summary['pairs'] == 3
    assert summary['endpoint_error'] == pytest.approx({'mean': 4, 'median': 2, 'worst': 9.5}, abs=1e-4)
    assert summary['under_1px'] == pytest.approx(1 / 3)
    assert summary['under_3px'] == pytest.approx(2 / 3)
    assert summary['made_worse'] == pytest.approx(1 / 3)
    assert registration.summarise([score(known, constant(0, 0))])['consistency'] is None


def test_rank_correlation_is_that_of_scipy_and_of_a_straight_order():
    assert registration.rank_correlation([1, 2, 3, 4], [10, 20, 25, 400]) == pytest.approx(1)
    assert registration.rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert registration.rank_correlation([1, 1, 1], [1, 2, 3]) is None
    # ties share a rank: 0.5, 0.5, 2, 3 against 0, 1, 3, 2
    expected = np.corrcoef([0.5, 0.5, 2, 3], [0, 1, 3, 2])[0, 1]
    assert registration.rank_correlation([5, 5, 6, 7], [0.1, 0.2, 0.9, 0.4]) == pytest.approx(expected)

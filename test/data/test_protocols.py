import numpy as np
import pytest

from irvis_fusion_ros.data import protocols
from irvis_fusion_ros.geometry import transform

SHAPE = (121, 161)
CENTRE = np.array([80.0, 60.0])


def displacement(known):
    grid = transform.pixel_grid(known.shape, np.float64)
    return known(grid) - grid


def many(protocol, count=200):
    return [protocols.warps(protocol, SHAPE, str(index))[0] for index in range(count)]


def test_draws_depend_on_seed_protocol_and_name_alone():
    def matrix(*args):
        return protocols.warps(*args)[0].matrix

    first = matrix('large', SHAPE, 'a', 3)
    protocols.warps('large', SHAPE, 'other', 3)
    np.testing.assert_array_equal(matrix('large', SHAPE, 'a', 3), first)
    assert not np.allclose(matrix('large', SHAPE, 'a', 4), first)
    assert not np.allclose(matrix('large', SHAPE, 'b', 3), first)
    elastic = [protocols.warps('elastic_mid', SHAPE, 'a')[0].elastic for _ in range(2)]
    np.testing.assert_array_equal(*elastic)


def test_zero_moves_nothing():
    (known,) = protocols.warps('zero', SHAPE, 'a')
    image = np.random.default_rng(0).integers(0, 65535, SHAPE).astype(np.uint16)
    np.testing.assert_array_equal(known.move(image), image)


def test_shift5_has_both_signs():
    image = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    right, left = (known.move(image) for known in protocols.warps('shift5', SHAPE, 'a'))
    np.testing.assert_array_equal(right[:, :-5], image[:, 5:])
    np.testing.assert_array_equal(left[:, 5:], image[:, :-5])


def test_shift_goes_up_to_ten_pixels_in_any_direction():
    shifts = np.array([known.matrix[:2, 2] for known in many('shift')])
    lengths = np.linalg.norm(shifts, axis=1)
    assert 9 < lengths.max() <= 10
    assert 4 < lengths.mean() < 6
    quadrants = {tuple(signs) for signs in np.sign(shifts)}
    assert len(quadrants) == 4


@pytest.mark.parametrize(
    ('protocol', 'rotation', 'shift', 'scale'),
    [
        ('fr', 2, 2, (0.95, 1.08)),
        ('elastic_light', 2, 4, (0.97, 1.03)),
        ('elastic_mid', 4, 10, (0.92, 1.10)),
        ('elastic_heavy', 10, 25, (0.85, 1.2)),
        ('large', 8, 40, (0.80, 1.25)),
    ],
)
def test_ranges_are_used_to_their_ends(protocol, rotation, shift, scale):
    matrices = np.array([known.matrix for known in many(protocol)])
    # the first column of A is scale * (cos, sin): shear leaves it alone
    scales = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    angles = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    shifts = np.array([transform.apply(matrix, CENTRE) - CENTRE for matrix in matrices])
    for values, low, high in (
        (scales, *scale),
        (angles, -rotation, rotation),
        (shifts, -shift, shift),
    ):
        margin = 0.05 * (high - low)
        assert low - 1e-9 <= values.min() < low + margin
        assert high - margin < values.max() <= high + 1e-9


@pytest.mark.parametrize(
    ('protocol', 'peak'), [('elastic_light', 2), ('elastic_mid', 5), ('elastic_heavy', 12)]
)
def test_elastic_peak(protocol, peak):
    (known,) = protocols.warps(protocol, SHAPE, 'a')
    assert np.linalg.norm(known.elastic, axis=-1).max() == pytest.approx(peak, rel=1e-5)


@pytest.mark.parametrize(('protocol', 'shear'), [('fr', 0), ('elastic_mid', 2), ('large', 2)])
def test_shear(protocol, shear):
    linear = np.array([known.matrix[:2, :2] for known in many(protocol)])
    # A = s R [[1, tan k], [0, 1]], so the columns' dot product over the first one's square is tan k
    slant = (linear[:, :, 0] * linear[:, :, 1]).sum(1) / (linear[:, :, 0] ** 2).sum(1)
    assert np.rad2deg(np.arctan(np.abs(slant).max())) == pytest.approx(shear, abs=0.1)


@pytest.mark.parametrize('pixels', [5, 10, 50])
def test_dilation_enlarges_about_the_centre(pixels):
    (known,) = protocols.warps(f'dilate{pixels}', SHAPE, 'a')
    np.testing.assert_allclose(known(CENTRE), CENTRE)
    # 161 pixels were stretched over 161 + n: the outermost pixel edges moved out by n / 2
    edge = known(np.array([-0.5 - pixels / 2, 60.0]))
    np.testing.assert_allclose(edge, (-0.5, 60))
    moved = displacement(known)
    assert moved[0, 0, 0] > 0 > moved[0, -1, 0]


@pytest.mark.parametrize('protocol', [name for name in protocols.NAMES if name != protocols.NATURAL])
def test_truth_undoes_every_protocol(protocol):
    for name in 'abcde':
        for known in protocols.warps(protocol, SHAPE, name):
            truth, shown = known.truth()
            grid = transform.pixel_grid(SHAPE, np.float64)
            residual = np.linalg.norm(known(grid + truth) - grid, axis=-1)
            assert residual[shown].max() < 0.01
            assert 0.3 < shown.mean() <= 1


def test_unknown_protocol():
    with pytest.raises(ValueError, match="unknown protocol 'fast'; valid: zero, fr,"):
        protocols.warps('fast', SHAPE, 'a')
    with pytest.raises(ValueError, match='no warp is drawn'):
        protocols.warps('natural', SHAPE, 'a')

import numpy as np
import pytest

from irvis_fusion_ros.evaluation import half_turn, made_flights
from irvis_fusion_ros.evaluation.half_turn import TruePair

RNG = np.random.default_rng(0)
SHAPE = (40, 60)


class Result:
    transform = np.eye(3)

    def __init__(self, deformation, source='search'):
        self.deformation, self.source = deformation, source


def pair(truth=(0.0, 0.0)):
    image = RNG.integers(0, 255, SHAPE, np.uint8)
    return TruePair('set', 'pair', image, image, np.full((*SHAPE, 2), truth))


def method(own, seen):
    """A method that adds `own` to what lies in a pair: `seen` as it is, the opposite once it is turned."""
    first = []

    def predictor(thermal, visible):
        sign = -1 if first else 1
        first.append(1)
        return Result(np.broadcast_to(np.array(own) + sign * np.array(seen), (*SHAPE, 2)))

    return predictor


def test_what_turns_with_the_images_is_the_pairs():
    records = [half_turn.measure(method((0.3, -0.1), (0.5, 0.2)), 'p', pair()) for _ in range(3)]
    (found,) = half_turn.summarise(records)
    assert found['pairs'] == 3
    assert found['own'] == pytest.approx([0.3, -0.1])
    assert found['of_pair'] == pytest.approx([0.5, 0.2])
    assert found['own_uncertainty'] == pytest.approx(0, abs=1e-9)


def test_the_truth_turns_with_the_images():
    # the method finds the truth exactly, either way round
    record = half_turn.measure(method((0, 0), (2.0, -1.0)), 'p', pair((2.0, -1.0)))
    assert record['straight'] == pytest.approx([0, 0])
    assert record['turned'] == pytest.approx([0, 0])


def test_what_is_unknown_does_not_count():
    truth = pair()
    truth.truth[:, :30] = np.nan
    field = np.zeros((*SHAPE, 2))
    field[:, :30] = 9
    assert half_turn.offset(lambda thermal, visible: Result(field), truth) == pytest.approx([0, 0])


def test_lost_pairs_are_counted_and_left_out():
    records = [half_turn.measure(method((0, 0), (x, 0)), 'p', pair()) for x in (0.1, 0.3, 50)]
    (found,) = half_turn.summarise(records)
    assert (found['pairs'], found['lost']) == (2, 1)
    assert found['of_pair'][0] == pytest.approx(0.2)


def test_refused_pairs_are_lost():
    refused = half_turn.measure(lambda *pair: Result(np.zeros((*SHAPE, 2)), 'held'), 'p', pair())
    records = [half_turn.measure(method((0, 0), (0.2, 0)), 'p', pair()) for _ in range(2)]
    (found,) = half_turn.summarise([*records, refused])
    assert (found['pairs'], found['lost']) == (2, 1)


@pytest.mark.slow
def test_made_flights_are_measured(capsys):
    assert half_turn.main(['--flights', '--frames', '2', '--preset', 'identity']) == 0
    # identity misses all of the rig: every pair is lost
    assert 'flight' not in capsys.readouterr().out
    (first, second) = made_flights.pairs('black_hot', 2)
    assert first.thermal.dtype == np.uint8 and first.thermal.shape == (256, 320)
    assert first.truth.shape == (384, 480, 2)
    assert not np.array_equal(first.visible, second.visible)


def test_nothing_to_measure_is_an_error(capsys):
    with pytest.raises(SystemExit):
        half_turn.main([])
    assert 'name data sets, or --flights' in capsys.readouterr().err

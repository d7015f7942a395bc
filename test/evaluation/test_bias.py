import numpy as np
import pytest

from irvis_fusion_ros.evaluation import bias

RNG = np.random.default_rng(1)


def records(preset, offsets, protocol='fr'):
    return [
        {'preset': preset, 'protocol': protocol, 'pair': str(index), 'warp': 0, 'offset': list(offset)}
        for index, offset in enumerate(offsets)
    ]


def test_labels_and_methods_are_told_apart():
    label = RNG.normal(0, 1.5, (200, 2))
    exact, biased, noisy = label, label + np.array([0.8, -0.3]), label + RNG.normal(0, 0.6, (200, 2))
    found = bias.summarise([*records('a', exact), *records('b', biased), *records('c', noisy)])
    a, b, c = found
    assert b['bias'][0] - a['bias'][0] == pytest.approx(0.8)
    assert b['bias'][1] - a['bias'][1] == pytest.approx(-0.3)
    # 1.5 px along each axis
    assert a['shared'] == pytest.approx(1.5 * 2**0.5, rel=0.15)
    assert a['own'] == pytest.approx(b['own'], abs=0.01)
    assert c['own'] > 1.5 * a['own']
    assert a['uncertainty'] == pytest.approx(1.5 * 2**0.5 / 200**0.5, rel=0.15)


def test_one_preset_cannot_say_whose_error_it_is():
    (found,) = bias.summarise(records('a', RNG.normal(0, 1, (50, 2))))
    assert found['shared'] is None
    assert found['own'] > 1


def test_lost_pairs_take_no_part():
    offsets = np.full((10, 2), 0.5)
    offsets[3] = 40
    (found,) = bias.summarise(records('a', offsets))
    assert found['pairs'] == 9
    assert found['bias'] == pytest.approx([0.5, 0.5])
    assert bias.summarise(records('a', [[50, 50], [0, 0]])) == []

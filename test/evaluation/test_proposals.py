import json

import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import Rig
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation import proposals
from irvis_fusion_ros.evaluation.shown import CROSSED, Shown, resized, shown


def record(method, error, confidence, pair='a'):
    return {
        'data': 'd',
        'protocol': 'fr',
        'pair': pair,
        'method': method,
        'confidence': confidence,
        'error': error,
        'wrong': 5.0,
    }


def test_wrong_and_right_proposals_are_counted_by_whether_they_are_believed():
    records = [
        record('network', 2.0, 0.9),
        record('maps', 1.0, 0.2),
        record('chosen', 2.0, 0.9),
        record('network', 30.0, 0.7, 'b'),
        record('maps', 9.0, 0.1, 'b'),
        record('chosen', 30.0, 0.7, 'b'),
    ]
    network, maps, chosen, best = proposals.summarise(records)
    assert (network['wrong'], network['believed'], network['right'], network['refused']) == (1, 1, 1, 0)
    assert (maps['wrong'], maps['believed'], maps['right'], maps['refused']) == (1, 0, 1, 1)
    assert (chosen['mean'], chosen['worst']) == (16, 30)
    assert (best['method'], best['mean']) == ('best', 5)


def test_nothing_is_right_of_two_scenes():
    (found,) = proposals.summarise([record('maps', None, 0.6)])
    assert (found['wrong'], found['believed'], found['right'], found['mean']) == (1, 1, 0, None)


def test_pairs_are_paired_with_other_thermal_images(data):
    straight = list(shown(data, 'fr'))
    crossed = list(shown(data, 'fr', crossed=True))
    assert [pair.protocol for pair in crossed] == [CROSSED] * 3
    assert all(pair.known is None for pair in crossed)
    for own, other in zip(straight, crossed, strict=True):
        np.testing.assert_array_equal(own.visible, other.visible)
        assert not np.array_equal(own.thermal, other.thermal)


def test_a_smaller_pair_keeps_its_warp():
    rig = Rig((240, 320), (240, 320))
    thermal, visible = rig.frame(0)
    pair = Shown('d', 'fr', 'a', thermal, visible, rig.known)
    small = resized(pair, (160, 120))
    assert small.thermal.shape == small.visible.shape[:2] == (120, 160)
    centre = np.array([[159.5, 119.5]])
    np.testing.assert_allclose(small.known((centre + 0.5) / 2 - 0.5), (rig.known(centre) + 0.5) / 2 - 0.5)
    assert small.wrong == pair.wrong / 2
    with pytest.raises(FileError, match="pair 'a': only pairs with a homography"):
        resized(Shown('d', 'natural', 'a', thermal, visible, (np.zeros((1, 4)),) * 2), (160, 120))


@pytest.mark.slow
def test_command_line(data, tmp_path, capsys):
    out = tmp_path / 'f.json'
    arguments = ['--protocol', 'fr', '--limit', '1', '--device', 'cpu', '--json', str(out)]
    assert proposals.main([str(data), *arguments]) == 0
    assert 'second network' in capsys.readouterr().out
    records = json.loads(out.read_text())['records']
    assert [each['method'] for each in records] == [*proposals.METHODS, 'chosen']
    errors = [each['error'] for each in records]
    assert min(errors[:3]) - 0.1 < errors[3] < 2

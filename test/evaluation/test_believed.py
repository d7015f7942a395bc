import pytest

from irvis_fusion_ros.evaluation import believed


def record(confidence, error, **more):
    return {'preset': 'a', 'confidence': confidence, 'endpoint_error': error, **more}


def test_shares_of_wrong_alignments_by_confidence():
    found = believed.summarise(
        [record(0.95, 1), record(0.91, 2), record(1.0, 9), record(0.1, 70), record(0.8, 5.0)]
    )
    by_bin = {each['bin']: each for each in found}
    assert by_bin['0.90-1.00']['pairs'] == 3
    assert by_bin['0.90-1.00']['wrong'] == pytest.approx(1 / 3)
    assert by_bin['0.90-1.00']['worst'] == 9
    assert by_bin['0.00-0.25']['wrong'] == 1
    assert by_bin['0.75-0.90']['wrong'] == 0
    assert by_bin['0.50-0.75']['wrong'] is None


def test_each_preset_has_bins_of_its_own():
    found = believed.summarise([record(0.95, 1), {**record(0.95, 30), 'preset': 'b'}])
    wrong = {each['preset']: each['wrong'] for each in found if each['bin'] == '0.90-1.00'}
    assert wrong == {'a': 0, 'b': 1}

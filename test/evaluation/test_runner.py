import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation import runner
from irvis_fusion_ros.geometry import warp


@pytest.fixture
def first(tmp_path):
    thermal, visible = pair()
    for name, image in (('ir', thermal), ('vi', visible)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), image)
    return datasets.aligned(tmp_path)[0]


def test_cases_show_the_method_what_the_truth_undoes(first):
    (case,) = runner.cases(first, 'elastic_mid', seed=2)
    truth, _ = case.known.truth()
    registered = warp.warp(case.thermal, truth).astype(float)
    inner = case.shown & (cv2.erode(case.shown.astype(np.uint8), np.ones((5, 5))) > 0)
    before = np.abs(case.thermal.astype(float) - case.target)[inner].mean()
    # two bilinear samplings blur a little; the structure is back in place
    assert np.abs(registered - case.target)[inner].mean() < 0.25 * before


def test_the_unmoved_pair_is_registered_once(first, monkeypatch):
    calls = []
    predict = runner.Runner.predict

    def counted(self, preset, *rest):
        calls.append(preset)
        return predict(self, preset, *rest)

    monkeypatch.setattr(runner.Runner, 'predict', counted)
    records = runner.Runner(['identity', 'gradient-ecc']).pair(first, ['zero', 'fr', 'shift5'])
    assert len(records) == 8
    # for each preset: the unmoved pair, which is zero's as well, then fr and both signs of shift5
    assert sorted(calls) == ['gradient-ecc'] * 4 + ['identity'] * 4


def test_gain_is_taken_from_the_aligned_thermal_image(tmp_path):
    thermal, visible = pair()
    for name, image in (('ir', thermal.astype(np.uint16) * 20 + 9000), ('vi', visible)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), image)
    (record,) = runner.Runner(['identity']).pair(datasets.aligned(tmp_path)[0], ['zero'])
    assert record['mse'] == 0
    assert record['mi'] > 5

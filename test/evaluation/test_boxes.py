import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data import datasets
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation import boxes, evaluate
from irvis_fusion_ros.evaluation.evaluate import Plan

THERMAL, VISIBLE = (101, 161), (201, 321)


def boxes_at(points):
    points = np.asarray(points, float)
    return np.concatenate([points - 3, points + 3], 1)


def test_people_are_matched_in_any_order_and_of_any_number():
    on_visible = np.array([[40.0, 50], [200, 60], [100, 150]])
    # half the size, 12 visible pixels to the right of where they are seen
    thermal = boxes_at((on_visible + np.array([12, 0])) / 2)
    first, second = boxes.matched(thermal[[2, 0, 1]], boxes_at(on_visible[[1, 2]]), THERMAL, VISIBLE)
    np.testing.assert_allclose(first - second, [[12, 0]] * 2, atol=1e-9)
    first, second = boxes.matched(thermal[[1, 2]], boxes_at(on_visible), THERMAL, VISIBLE)
    np.testing.assert_allclose(first - second, [[12, 0]] * 2, atol=1e-9)


def test_the_distance_is_that_of_an_image_of_usual_width():
    people = np.array([[70.0, 50]]), np.array([[60.0, 50]])
    field = np.zeros((*VISIBLE, 2))
    assert boxes.distances(field, *people) == pytest.approx(10 * 960 / 321)
    field[..., 0] = 10
    assert boxes.distances(field, *people) == pytest.approx(0)


@pytest.fixture
def people(tmp_path):
    thermal, visible = pair((120, 160))
    for name, image in (('ir', thermal), ('vi', visible)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), image)
    record = {'name': 'a', 'ir': 'ir/a.png', 'vi': 'vi/a.png'}
    record |= {'people_ir': [[50, 40, 60, 60]], 'people_vi': [[44, 40, 54, 60]]}
    (tmp_path / 'pairs.json').write_text(json.dumps([record]))
    return tmp_path


def test_evaluate_reports_the_distance_of_boxes(people):
    result = evaluate.evaluate(Plan(people, ('identity',), ('natural',)), progress=False)
    (record,) = result['records']
    assert record['people'] == pytest.approx([6 * 960 / 160])
    assert record['endpoint_error'] == record['identity_error'] == pytest.approx(36)
    assert record['consistency'] is None
    (summary,) = result['summaries']
    assert summary['endpoint_error']['worst'] == pytest.approx(36)
    assert result['bias'] == []
    with pytest.raises(FileError, match='misaligned as recorded'):
        datasets.aligned(people)


def test_boxes_that_are_none_are_refused(people):
    (record,) = json.loads((people / 'pairs.json').read_text())
    record['people_vi'] = [[1, 2, 3]]
    (people / 'pairs.json').write_text(json.dumps([record]))
    with pytest.raises(FileError, match="people of 'a' are not boxes"):
        datasets.natural(people)

import json

import cv2
import numpy as np
import pytest
from shared_data import shared

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation.plan import Plan, evaluate


def without_timing(result):
    for record in result['records'] + result['summaries']:
        del record['milliseconds']
    return result


@pytest.mark.slow
def test_result_is_repeatable_and_independent_of_jobs(data):
    def run(**options):
        plan = Plan(data, ('gradient-ecc',), ('fr', 'elastic_mid'), **options)
        return without_timing(evaluate(plan, progress=False))

    first = run()
    assert run() == first
    assert run(jobs=2) == first
    assert run(seed=1)['records'] != first['records']


def test_natural_pairs_of_two_sizes(tmp_path):
    thermal, visible = pair((120, 160))
    # the thermal camera: 90x70 pixels that see a shifted, enlarged view
    matrix = np.array([[2.1, 0.05, -9.0], [0.02, 2.0, -7.0], [1e-4, 0, 1]])
    raw = cv2.warpPerspective(thermal, np.linalg.inv(matrix), (90, 70), flags=cv2.INTER_LINEAR)
    for name, image in (('ir', raw), ('vi', visible)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), image)
    record = {'name': 'a', 'ir': 'ir/a.png', 'vi': 'vi/a.png', 'H_ir_to_vi': matrix.tolist()}
    (tmp_path / 'pairs.json').write_text(json.dumps([record]))
    result = evaluate(Plan(tmp_path, ('identity',), ('natural',)), progress=False)
    (found,) = result['records']
    # by hand: the stretched thermal image against the homography, over the pixels it sees
    grid = np.stack(np.meshgrid(np.arange(160.0), np.arange(120.0)), -1)
    stretched = grid * (89 / 159, 69 / 119)
    mapped = np.concatenate([stretched, np.ones((120, 160, 1))], -1) @ matrix.T
    errors = np.linalg.norm(mapped[..., :2] / mapped[..., 2:] - grid, axis=-1)
    back = np.concatenate([grid, np.ones((120, 160, 1))], -1) @ np.linalg.inv(matrix).T
    back = back[..., :2] / back[..., 2:]
    shown = ((back >= 0) & (back <= (89, 69))).all(-1)
    assert found['endpoint_error'] == pytest.approx(errors[shown].mean(), abs=0.02)
    assert found['consistency'] is None


@pytest.mark.slow
def test_fused_images_are_scored_on_request(data):
    plan = Plan(data, ('identity', 'identity-max'), ('zero', 'shift5'), limit=1, fusion=True)
    result = evaluate(plan, progress=False)
    assert all('fusion' in record for record in result['records'])
    zero, zero_max, moved, _ = (summary['fusion'] for summary in result['summaries'])
    # nothing was moved: the fusion is that of the aligned pair, to the bit
    assert result['records'][0]['fusion']['psnr'] == float('inf')
    assert zero['ssim_aligned'] == pytest.approx(1)
    assert zero['psnr'] is None
    assert moved['psnr'] < 40
    assert moved['qabf'] < zero['qabf']
    assert zero['en'] != zero_max['en']


@pytest.mark.slow
def test_known_figures_of_real_pairs():
    data = shared('data/roadscene')
    plan = Plan(data, ('identity',), ('zero', 'shift5', 'natural'), limit=6)
    zero, shift5, natural = evaluate(plan, progress=False)['summaries']
    assert zero['endpoint_error']['worst'] == pytest.approx(0, abs=1e-5)
    assert shift5['endpoint_error']['mean'] == pytest.approx(5, abs=1e-4)
    # the data set states 26 to 72 px between its 10th and 90th percentile
    assert 26 < natural['endpoint_error']['median'] < 90

import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation.evaluate import main

SHAPE, STEP = (120, 160), 12


@pytest.fixture
def data(tmp_path):
    """Two pairs whose thermal image shows everything STEP pixels to the right."""
    folder = tmp_path / 'data'
    for name in ('ir', 'vi'):
        (folder / name).mkdir(parents=True)
    for seed in range(2):
        thermal, visible = pair((SHAPE[0], SHAPE[1] + STEP), seed=seed)
        cv2.imwrite(str(folder / 'ir' / f'{seed}.png'), thermal[:, :-STEP])
        cv2.imwrite(str(folder / 'vi' / f'{seed}.png'), visible[:, STEP:])
    return folder


@pytest.fixture
def masks(tmp_path):
    """Masks of one thing in the first pair."""
    folder = tmp_path / 'masks'
    for name, left in (('ir', 60 + STEP), ('vi', 60)):
        (folder / name).mkdir(parents=True)
        mask = np.zeros(SHAPE, np.uint8)
        mask[40:70, left : left + 24] = 255
        cv2.imwrite(str(folder / name / '0.png'), mask)
    return folder


def run(tmp_path, *arguments):
    out = tmp_path / 'result.json'
    assert main([*map(str, arguments), '--recorded', '--json', str(out)]) == 0
    return json.loads(out.read_text())


def test_a_registration_is_judged_by_the_edges_of_the_pair_and_by_masks(data, masks, tmp_path, capsys):
    result = run(tmp_path, data, '--preset', 'identity', 'classical', '--masks', masks)
    assert [(each['preset'], each['pair']) for each in result['recorded']] == [
        ('identity', '0'),
        ('identity', '1'),
        ('classical', '0'),
        ('classical', '1'),
    ]
    still, registered = result['recorded_summaries']
    assert still['overlap'] == pytest.approx(still['overlap_before'])
    assert registered['overlap'] > registered['overlap_before'] + 0.1
    assert registered['mi'] > registered['mi_before']
    assert (still['pairs'], still['masked']) == (2, 1)
    assert still['masks'] == still['masks_before']
    assert still['masks']['iou'] == pytest.approx(1 / 3, abs=0.01)
    assert registered['masks']['iou'] > 0.85
    assert 'masks' not in result['recorded'][1]
    assert result['mask_problems'] == []
    table = capsys.readouterr().out
    assert 'edges before' in table and 'IoU' in table


def test_several_data_sets_in_one_run(data, tmp_path, capsys):
    other = tmp_path / 'other'
    data.rename(other)
    data.mkdir()
    for name in ('ir', 'vi'):
        (data / name).mkdir()
        (data / name / '1.png').write_bytes((other / name / '1.png').read_bytes())
    found = run(tmp_path, data, other, '--preset', 'identity')
    counts = [(each['recorded_summaries'][0]['data'], len(each['recorded'])) for each in found]
    assert counts == [('data', 1), ('other', 2)]
    assert capsys.readouterr().out.count('edges before') == 2
    with pytest.raises(SystemExit):
        main([str(data), str(other), '--recorded', '--masks', str(tmp_path)])


def test_a_mask_that_does_not_fit_is_said_in_one_line_and_the_rest_is_judged(data, masks, tmp_path, capsys):
    cv2.imwrite(str(masks / 'vi' / '0.png'), np.ones((10, 12), np.uint8))
    (masks / 'ir' / 'other.png').write_bytes((masks / 'ir' / '0.png').read_bytes())
    result = run(tmp_path, data, '--preset', 'identity', '--masks', masks)
    assert len(result['recorded']) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('evaluate: ')]
    assert lines[0].endswith("masks: 'other' is no pair of " + str(data))
    assert 'vi/0.png: expected 160x120, as its image is, found 12x10; its pair is judged w' in lines[1]
    assert len(lines) == 2
    assert result['mask_problems'] and result['recorded_summaries'][0]['masked'] == 0


def test_masks_of_other_pairs_are_refused(data, masks, tmp_path, capsys):
    for name in ('ir', 'vi'):
        (masks / name / '0.png').rename(masks / name / 'other.png')
    assert main([str(data), '--preset', 'identity', '--recorded', '--masks', str(masks)]) == 1
    assert "expected '0' or another of its names, found 'other'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--masks', 'm'], '--masks needs --recorded'),
        (['--recorded', '--protocol', 'fr'], '--recorded goes with neither'),
        (['--recorded', '--video'], '--recorded goes with neither'),
    ],
)
def test_options_that_do_not_go_together(data, capsys, options, message):
    with pytest.raises(SystemExit):
        main([str(data), *options])
    assert message in capsys.readouterr().err

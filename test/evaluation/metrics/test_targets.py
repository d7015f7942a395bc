import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.targets import load
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.evaluation.metrics import targets

SHAPE = (60, 80)
BOX = [30, 20, 42, 44]
STILL = np.zeros((*SHAPE, 2), np.float32)


def scene(ground=60, warm=160, box=BOX):
    image = np.full(SHAPE, ground, np.float32)
    x1, y1, x2, y2 = box
    return cv2.ellipse(image, ((x1 + x2) // 2, (y1 + y2) // 2), (4, 9), 0, 0, 360, warm, -1)


def region(thermal=None, deformation=STILL):
    return targets.region(BOX, (scene() if thermal is None else thermal).astype(np.uint8), deformation)


def test_the_mask_is_warm_and_the_ring_around_it():
    found = region()
    np.testing.assert_array_equal(found.mask, scene() > 100)
    rows, columns = np.nonzero(found.ring)
    # widened by half the width, 6 px, on each side
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (24, 47, 14, 49)
    near = cv2.dilate(found.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (found.ring & near).any()


def test_the_deformation_carries_it():
    # registered(x) = thermal(x + 10): everything lies 10 px further left
    moved = STILL.copy()
    moved[..., 0] = 10
    found, still = region(deformation=moved), region()
    np.testing.assert_array_equal(found.mask[:, :-10], still.mask[:, 10:])
    assert targets.placed(BOX, SHAPE, moved) == (20, 20, 32, 44)


def test_where_the_thermal_image_does_not_reach_there_is_no_target():
    away = np.full((*SHAPE, 2), np.nan, np.float32)
    assert not region(deformation=away).shown
    assert targets.placed(BOX, SHAPE, away) is None


def test_what_is_kept():
    thermal, found = scene(0, 200), region()
    assert targets.kept(thermal, thermal, found)
    assert targets.kept(scene(100, 205), thermal, found)
    # half of 200 is 100: less is lost, a dark one counts as a bright one
    assert not targets.kept(scene(100, 195), thermal, found)
    assert targets.kept(scene(205, 100), thermal, found)
    assert not targets.kept(scene(100, 110), scene(100, 116), found)


def test_what_cannot_be_told_from_restless_ground_is_not_kept():
    rng = np.random.default_rng(0)
    thermal, found = scene(0, 60), region()
    restless = scene(100, 135) + rng.normal(0, 60, SHAPE).astype(np.float32)
    assert targets.separability(restless, found) < targets.SEPARABLE
    assert not targets.kept(restless, thermal, found)


def test_separability_is_the_area_under_the_curve():
    from itertools import product

    rng = np.random.default_rng(1)
    picture, found = np.round(rng.normal(10, 3, SHAPE)), region()
    pairs = list(product(picture[found.mask], picture[found.ring]))
    area = np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs])
    assert targets.separability(picture, found) == pytest.approx(max(area, 1 - area))


def test_a_flat_box_is_all_mask():
    assert region(np.full(SHAPE, 7, np.float32)).mask.sum() == 12 * 24


CONTENTS = ['[]', '{}', '{"a": 1}', '{"a": [[1, 2, 3]]}', '{"a": [[5, 1, 5, 9]]}', '{"a": [[1, 2, 3, "4"]]}']


@pytest.mark.parametrize(
    'content, problem', [*((each, 'expected') for each in CONTENTS), ('{', 'is not JSON')]
)
def test_a_file_that_is_none_is_refused(tmp_path, content, problem):
    file = tmp_path / 't.json'
    file.write_text(content)
    with pytest.raises(FileError, match=problem):
        load(file)


def test_a_box_outside_is_refused():
    targets.check([BOX], SHAPE, 'p')
    with pytest.raises(FileError, match=r"pair 'p': target \[90, 5, 95, 9\] lies outside .* 80x60"):
        targets.check([[90, 5, 95, 9]], SHAPE, 'p')


def test_the_boxes_of_ours_can_be_read(request):
    folder = request.config.rootpath / 'test' / 'data' / 'targets'
    counts = {file.stem: sum(map(len, load(file).values())) for file in folder.glob('*.json')}
    assert sum(counts[name] for name in ('llvip', 'vifb', 'msrs', 'tno')) >= 150
    assert all(json.loads(file.read_text()) for file in folder.glob('*.json'))

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data import terms
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.training.data import cleaning, pack
from irvis_fusion_ros.training.data.cleaning import Cleaner, CleaningError

SHIFT = 6, -4


@pytest.fixture(scope='module')
def cleaner():
    return Cleaner('cpu')


def misaligned(seed):
    """A pair whose thermal image lies off by SHIFT."""
    thermal, visible = pair((240, 320), seed)
    moved = cv2.warpAffine(thermal, np.float32([[1, 0, SHIFT[0]], [0, 1, SHIFT[1]]]), (320, 240))
    return moved, visible


def test_a_pair_is_aligned_and_cut_to_what_both_images_show(cleaner):
    deformation, (rows, columns) = cleaner(*misaligned(0))
    inner = deformation[40:-40, 40:-40]
    assert np.abs(np.nanmedian(inner, (0, 1)) - SHIFT).max() < 0.5
    assert np.isfinite(deformation[rows, columns]).all()
    assert 220 <= rows.stop - rows.start <= 240 and 300 <= columns.stop - columns.start <= 320


@pytest.mark.slow
def test_a_pair_of_two_scenes_is_refused(cleaner):
    with pytest.raises(CleaningError, match=r'finds nothing|of the width apart'):
        cleaner(pair((240, 320), 1)[0], pair((240, 320), 2)[1])


def test_what_both_see_has_to_be_enough(cleaner, monkeypatch):
    monkeypatch.setattr(cleaning, 'SHOWN', 1.1)
    with pytest.raises(CleaningError, match='see too little of the same'):
        cleaner(*misaligned(0))


@pytest.mark.slow
def test_a_pack_of_pairs_that_were_misaligned(cleaner, tmp_path):
    folder = tmp_path / 'mine'
    for name in ('ir', 'vi'):
        (folder / name).mkdir(parents=True)
    for name, images in {
        'moved': misaligned(0),
        'unrelated': (pair((240, 320), 1)[0], pair((240, 320), 2)[1]),
    }.items():
        cv2.imwrite(str(folder / 'ir' / f'{name}.png'), images[0])
        cv2.imwrite(str(folder / 'vi' / f'{name}.png'), images[1])
    items, remarks = pack.collect([folder], cleaner=cleaner)
    assert [item.name for item in items] == ['mine/moved'] and items[0].aligned
    assert len(remarks) == 1 and remarks[0].startswith('mine/unrelated: left out: ')
    item = items[0]
    aligned, visible = pair((240, 320), 0)
    place = cv2.matchTemplate(cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY), item.visible, cv2.TM_SQDIFF)
    left, top = cv2.minMaxLoc(place)[2]
    part = aligned[top : top + item.visible.shape[0], left : left + item.visible.shape[1]]
    assert np.corrcoef(part.ravel(), item.thermal.ravel())[0, 1] > 0.98


def test_what_is_aligned_roughly_may_be_used_but_not_against_its_terms(tmp_path):
    for name in ('llvip', 'msrs', 'roadscene'):
        for part in ('ir', 'vi'):
            (tmp_path / name / part).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / name / part / '1.png'), np.zeros((40, 40), np.uint8))
    sets, remarks = terms.expand([tmp_path], clean=True)
    assert [path.name for path in sets] == ['msrs', 'roadscene']
    assert remarks == ['llvip: left out: its terms allow non-commercial use only']
    assert [terms.taken_as_aligned(path, clean=True) for path in sets] == [False, True]

import json

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data import terms
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.training.data import pack


def data_set(folder, count=2, scenes=False):
    for name in ('ir', 'vi'):
        (folder / name).mkdir(parents=True)
    for seed in range(count):
        thermal, visible = pair((60, 80), seed)
        cv2.imwrite(str(folder / 'ir' / f'{seed}.png'), thermal)
        cv2.imwrite(str(folder / 'vi' / f'{seed}.png'), visible)
    return folder


def listed(folder, records):
    (folder / 'pairs.json').write_text(json.dumps(records))


def video(path, frames, offset=0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 30, (96, 64))
    for index in range(frames):
        picture = np.full((64, 96, 3), 40 + 5 * index, np.uint8)
        picture[20 + offset : 40 + offset, 30:60] = 250
        writer.write(picture)
    writer.release()


def test_a_pack_gives_back_what_was_put_in(tmp_path):
    items, remarks = pack.collect([data_set(tmp_path / 'mine')])
    assert remarks == []
    assert [item.name for item in items] == ['mine/0', 'mine/1']
    thermal, visible = pair((60, 80), 0)
    assert np.array_equal(items[0].thermal, thermal)
    assert np.array_equal(items[0].visible, cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY))
    size = pack.save(tmp_path / 'pack.npz', items)
    assert size == (tmp_path / 'pack.npz').stat().st_size
    for item, again in zip(items, pack.load(tmp_path / 'pack.npz'), strict=True):
        assert (item.name, item.scene, item.part) == (again.name, again.scene, again.part)
        assert np.array_equal(item.thermal, again.thermal)
        assert np.array_equal(item.visible, again.visible)


def test_sets_of_a_folder_that_must_not_be_used_are_left_out_with_the_reason(tmp_path):
    for name in ('mine', 'llvip', 'metu_vistir', 'msrs'):
        data_set(tmp_path / name)
    items, remarks = pack.collect([tmp_path])
    assert {item.name.partition('/')[0] for item in items} == {'mine'}
    assert remarks[0] == 'llvip: left out: its terms allow non-commercial use only'
    assert len(remarks) == 3


def test_a_set_that_must_not_be_used_is_refused_unless_accepted(tmp_path):
    folder = data_set(tmp_path / 'llvip')
    with pytest.raises(FileError, match=r'non-commercial use only.*--accept llvip'):
        pack.collect([folder])
    items, _ = pack.collect([folder], frozenset({'llvip'}))
    assert len(items) == 2


def test_pairs_known_to_be_bad_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(terms.KNOWN, 'mine', terms.Known(left_out={'1': 'several pixels off'}))
    items, remarks = pack.collect([data_set(tmp_path / 'mine')])
    assert [item.name for item in items] == ['mine/0']
    assert remarks == ['mine/1: left out: several pixels off']


def test_few_frames_of_a_video_and_its_parts(tmp_path):
    folder = data_set(tmp_path / 'mine', count=12)
    records = [
        {'name': str(n), 'ir': f'ir/{n}.png', 'vi': f'vi/{n}.png', 'sequence': f'clip{n // 3}'}
        for n in range(12)
    ]
    listed(folder, records)
    items, _ = pack.collect([folder], frames=2)
    assert [item.name for item in items] == [f'mine/{n}' for n in (0, 2, 3, 5, 6, 8, 9, 11)]
    assert [item.part for item in items] == ['train'] * 6 + ['val'] * 2
    assert items[0].scene == 'mine/clip0'


def test_videos_are_read_and_corrected(tmp_path, monkeypatch):
    monkeypatch.setitem(terms.KNOWN, 'mine', terms.Known(corrected={'a': (0.0, -4.0)}))
    folder = tmp_path / 'mine'
    for name in ('ir', 'vi'):
        (folder / name).mkdir(parents=True)
    video(folder / 'ir' / 'a.mp4', 9)
    video(folder / 'vi' / 'a.mp4', 9, offset=4)
    listed(folder, [{'name': 'a', 'ir': 'ir/a.mp4', 'vi': 'vi/a.mp4'}])
    items, _ = pack.collect([folder], frames=3)
    assert [item.name for item in items] == ['mine/a_0000', 'mine/a_0004', 'mine/a_0008']
    # registered(y) = thermal(y - 4): the first four rows show nothing of the thermal image
    assert items[0].thermal.shape == items[0].visible.shape == (60, 96)
    inner = np.s_[10:50, 10:86]
    difference = items[0].thermal[inner].astype(int) - items[0].visible[inner]
    assert np.abs(difference).mean() < 3
    assert items[2].thermal[5, 5] > items[0].thermal[5, 5] + 20


def test_frames_of_a_clip_whose_labels_are_off_are_corrected_and_others_are_not(tmp_path):
    folder = data_set(tmp_path / 'm3svd_frames', count=2)
    clips = ('0114_1551', '0115_1834')
    assert terms.KNOWN['m3svd_frames'].corrected[clips[0]] == (0.4, -1.5)
    listed(
        folder,
        [
            {'name': f'{clip}_{n}', 'ir': f'ir/{n}.png', 'vi': f'vi/{n}.png', 'sequence': clip}
            for n, clip in enumerate(clips)
        ],
    )
    moved, still = pack.collect([folder])[0]
    assert np.array_equal(still.thermal, pair((60, 80), 1)[0])
    # registered(x, y) = thermal(x + 0.4, y - 1.5): the last column and the first two rows show nothing of it
    assert moved.thermal.shape == moved.visible.shape == (58, 79)
    thermal = pair((60, 80), 0)[0]
    at = np.float32(np.mgrid[:60, :80][::-1])
    expected = cv2.remap(thermal, at[0] + 0.4, at[1] - 1.5, cv2.INTER_LINEAR)[2:, :-1]
    assert np.abs(moved.thermal.astype(int) - expected).max() <= 2
    # pairs as they were recorded stay as they are
    assert pack.collect([folder], aligned=False)[0][0].thermal.shape == (60, 80)


def test_data_that_cannot_be_used(tmp_path):
    with pytest.raises(FileError, match='no such folder'):
        pack.collect([tmp_path / 'nothing'])
    with pytest.raises(FileError, match='neither a data set'):
        pack.collect([tmp_path])
    folder = data_set(tmp_path / 'mine')
    cv2.imwrite(str(folder / 'vi' / '1.png'), np.zeros((20, 30), np.uint8))
    with pytest.raises(FileError, match="pair '1'"):
        pack.collect([folder])


def test_a_video_cut_short(tmp_path):
    folder = tmp_path / 'mine'
    for name in ('ir', 'vi'):
        (folder / name).mkdir(parents=True)
        video(folder / name / 'a.mp4', 9)
    (folder / 'vi' / 'a.mp4').write_bytes((folder / 'vi' / 'a.mp4').read_bytes()[:500])
    listed(folder, [{'name': 'a', 'ir': 'ir/a.mp4', 'vi': 'vi/a.mp4'}])
    with pytest.raises(FileError, match=r'vi/a\.mp4: 0 of \d+ frames can be read'):
        pack.collect([folder])


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 no zip', b'text'])
def test_a_file_that_is_no_pack(tmp_path, content):
    path = tmp_path / 'pack.npz'
    with pytest.raises(FileError, match='cannot be read'):
        pack.load(path)
    path.write_bytes(content)
    with pytest.raises(FileError, match='not a training pack'):
        pack.load(path)


def test_another_archive_is_no_pack(tmp_path):
    np.savez(tmp_path / 'pack.npz', a=np.zeros(3))
    with pytest.raises(FileError, match=r'not a training pack.*train --pack'):
        pack.load(tmp_path / 'pack.npz')


def misaligned_set(folder):
    for name, shape in (('ir', (40, 50)), ('vi', (60, 80))):
        (folder / name).mkdir(parents=True)
        cv2.imwrite(str(folder / name / 'a.png'), np.random.default_rng(0).integers(0, 255, shape, np.uint8))
    return folder


@pytest.mark.parametrize('name', ['uav_twmm', 'wisard'])
def test_a_set_that_is_misaligned_as_recorded_does_not_stop_the_pack(tmp_path, name):
    data_set(tmp_path / 'mine')
    misaligned_set(tmp_path / name)
    items, remarks = pack.collect([tmp_path])
    assert {item.name.partition('/')[0] for item in items} == {'mine'}
    assert remarks == [f'{name}: left out: it is misaligned as recorded']


def test_pairs_as_recorded_are_packed_where_that_is_asked_for(tmp_path):
    folder = misaligned_set(tmp_path / 'uav_twmm')
    with pytest.raises(FileError, match='misaligned as recorded'):
        pack.collect([folder])
    items, _ = pack.collect([folder], aligned=False)
    assert [(item.thermal.shape, item.visible.shape, item.aligned) for item in items] == [
        ((60, 80), (60, 80), False)
    ]
    pack.save(tmp_path / 'p.npz', items)
    assert not pack.load(tmp_path / 'p.npz')[0].aligned


def test_terms_hold_for_pairs_as_recorded_too(tmp_path):
    folder = tmp_path / 'metu_vistir'
    for name in ('ir', 'vi'):
        (folder / name).mkdir(parents=True)
    with pytest.raises(FileError, match='forbid commercial use'):
        pack.collect([folder], aligned=False)

"""One frame around a known rig: what it may differ by, what it may not, and targets and knocks."""

from dataclasses import replace

import numpy as np
import pytest
from made_rigs import SHAPE, error, frame, known

from irvis_fusion_ros import memory
from irvis_fusion_ros.calibration import Calibration, Parallax
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.lens import Lens
from irvis_fusion_ros.geometry.margins import Margins
from irvis_fusion_ros.io import values
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.rig import local, place
from irvis_fusion_ros.rig.lens import unbent
from irvis_fusion_ros.rig.refiner import JUMPED, OUTSIDE, Refiner

RIG = known()
KNOCKED = known(rotation=-4, shift=(-10.0, 8.0))
CALIBRATION = Calibration(transform.normalised(RIG.matrix), SHAPE, SHAPE)


def test_a_frame_finds_what_it_differs_by():
    shift = (2.0, -1.5)
    thermal, visible = frame(0, RIG, shift)
    found = Refiner(CALIBRATION, temporal=False).register(thermal, visible)
    alone = CALIBRATION.alignment(SHAPE, SHAPE)
    truth = known()
    moved = np.eye(3)
    moved[:2, 2] = shift
    truth = type(truth)(SHAPE, truth.matrix @ moved)
    assert error(alone.deformation(SHAPE), truth) > 2
    assert error(found.deformation(SHAPE), truth) < 0.5
    assert found.source == 'track' and found.cold and found.confidence > 0.9


def test_without_evidence_the_rig_stays():
    thermal, visible = frame(0, RIG)[0], frame(50, RIG)[1]
    found = Refiner(CALIBRATION, temporal=False).register(thermal, visible)
    assert error(found.deformation(SHAPE), RIG) < 3
    assert found.confidence < 0.9
    flat = Refiner(CALIBRATION, temporal=True).register(np.full(SHAPE, 0.5, np.float32), visible)
    assert flat.source == 'calibration' and error(flat.deformation(SHAPE), RIG) < 0.1


def test_near_regions_move_along_the_parallax():
    far, visible = frame(1, RIG)
    near, _ = frame(1, RIG, (5.0, 0.0))
    thermal = far.copy()
    thermal[:, 140:] = near[:, 140:]
    rig = Calibration(CALIBRATION.matrix, SHAPE, SHAPE, parallax=Parallax((1.0, 0.0), (-1.0, 8.0)))
    deformation = Refiner(rig, temporal=False).register(thermal, visible).deformation(SHAPE)
    beyond = deformation - rig.alignment(SHAPE, SHAPE).deformation(SHAPE)
    assert abs(beyond[60:130, 200:230, 0].mean() - beyond[60:130, 30:90, 0].mean()) > 2.5
    assert np.abs(beyond[60:130, 30:230, 1]).mean() < 1


def test_a_stream_is_steady_and_follows_a_knock():
    refiner = Refiner(CALIBRATION, temporal=True)
    fields = []
    for seed in range(6):
        thermal, visible = frame(2, RIG)
        rng = np.random.default_rng(seed)
        noisy = np.clip(thermal + rng.normal(0, 0.02, SHAPE), 0, 1).astype(np.float32)
        fields.append(refiner.register(noisy, visible).deformation(SHAPE))
    assert np.abs(fields[-1] - fields[-2])[48:-48, 64:-64].mean() < 0.1
    after = [refiner.register(*frame(2, KNOCKED)) for _ in range(5)]
    # wrong for two frames, in which it is not believed
    assert [JUMPED in each.notes for each in after] == [False, False, True, False, False]
    for each in after:
        assert each.confidence < 0.9 or error(each.deformation(SHAPE), KNOCKED) < 1
        assert OUTSIDE not in each.notes or not each.trust_map(SHAPE).any()
    assert all(error(each.deformation(SHAPE), KNOCKED) < 1 for each in after[2:])
    refiner.reset()
    assert error(refiner.register(*frame(3, KNOCKED)).deformation(SHAPE), KNOCKED) < 1
    refiner.place.reset()
    assert refiner.place.calibration is CALIBRATION


def test_a_frame_outside_the_rig_is_fused_and_believed_nowhere():
    knocked = known(rotation=3, shift=(12.0, 8.0))
    thermal, visible = (np.rint(255 * image).astype(np.uint8) for image in frame(2, knocked))
    rig = Calibration(CALIBRATION.matrix, SHAPE, SHAPE, spread=(0.5,) * 5)
    options = {'temporal': False, 'targets': 'off', 'calibration': rig}
    alone, refined = (
        Predictor('classical', 'cpu', refine=refine, **options)(thermal, visible) for refine in (False, True)
    )
    assert [note.code for note in refined.notes] == ['outside_rig']
    assert alone.valid.any() and not refined.valid.any()
    # the mask doubts the picture, but nothing that only the thermal camera sees is lost from it
    np.testing.assert_array_equal(refined.fused, alone.fused)


def test_a_rig_that_was_moved_before_the_stream_began_is_found():
    refiner = Refiner(CALIBRATION, temporal=True)
    found = [refiner.register(*frame(2, KNOCKED)) for _ in range(4)]
    assert [JUMPED in each.notes for each in found] == [False, False, True, False]
    assert error(found[-1].deformation(SHAPE), KNOCKED) < 1


def test_images_without_anything_in_common_are_searched_seldom(monkeypatch):
    searched, seen = [], []
    monkeypatch.setattr(place, 'find', lambda *_: searched.append(len(seen)))
    refiner = Refiner(CALIBRATION, temporal=True)
    thermal, visible = frame(0, RIG)[0], frame(50, KNOCKED)[1]
    for number in range(100):
        refiner.register(thermal, visible)
        seen.append(number)
    assert searched == [2, 32, 92]


def test_another_process_goes_on_after_a_knock(tmp_path):
    refiner, other = Refiner(CALIBRATION, temporal=True), Refiner(CALIBRATION, temporal=True)
    for rig in (RIG, RIG, KNOCKED, KNOCKED, KNOCKED):
        refiner.register(*frame(2, rig))
    values.write(tmp_path / 'state.npz', memory.of(refiner))
    memory.put(other, values.read(tmp_path / 'state.npz'))
    one, two = (each.register(*frame(2, KNOCKED)).deformation(SHAPE) for each in (refiner, other))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize('sides', [((20, 12, 16, 24), (20, 12, 16, 24)), ((0, 0, 24, 0), (16, 20, 0, 12))])
@pytest.mark.parametrize('lens', [None, Lens(unbent(SHAPE).k, 'plumb_bob', (-0.05,))])
def test_images_whose_borders_are_cut_lie_as_the_whole_ones(sides, lens):
    rig = replace(CALIBRATION, thermal_lens=lens)
    cuts = tuple(Margins(*each) for each in sides)
    images = frame(4, RIG)
    whole = Refiner(rig, temporal=True).register(*images)
    inner = [cut.inner(image) for cut, image in zip(cuts, images, strict=True)]
    refiner = Refiner(rig, temporal=True)
    found = refiner.register(*inner, cuts).uncut(*((SHAPE, cut) for cut in cuts))
    apart = np.linalg.norm(found.deformation(SHAPE) - whole.deformation(SHAPE), axis=-1)
    assert apart[40:-40, 40:-40].mean() < 0.2
    # another place, too, is that of the whole images
    moved = [cut.inner(image) for cut, image in zip(cuts, frame(4, KNOCKED), strict=True)]
    for _ in range(3):
        refiner.register(*moved, cuts)
    at = refiner.place.calibration
    assert at.thermal_shape == at.visible_shape == SHAPE
    if lens is None:
        assert error(at.alignment(SHAPE, SHAPE).deformation(SHAPE), KNOCKED) < 2


def test_a_target_is_where_it_shows_to_be():
    rng = np.random.default_rng(0)
    ground = rng.random((240, 320), np.float32) * 0.1 + 0.3
    thermal, visible = ground.copy(), rng.random((240, 320), np.float32) * 0.1 + 0.3
    thermal[100:140, 150:166] = 0.9
    thermal[92:100, 154:162] = 0.9
    visible[103:143, 146:162] = 0.6
    visible[95:103, 150:158] = 0.6
    targets = np.zeros((240, 320), np.float32)
    targets[92:140, 150:166] = 1
    still = np.zeros((240, 320, 2), np.float32)
    (found,) = local.find(thermal, visible, targets, still, still)
    np.testing.assert_allclose(found.shift, (-4, 3), atol=0.7)
    field, share = local.field([found], (60, 80), (240, 320), 0.35)
    np.testing.assert_allclose(field[30, 38], (4, -3), atol=0.7)
    assert share[30, 38] > 0.99 and share[5, 5] < 0.01
    # in another image nothing shows where it is
    other = rng.random((240, 320), np.float32)
    assert local.find(thermal, other, targets, still, still) == []

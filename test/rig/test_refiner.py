"""One frame around a known rig: what it may differ by, what it may not, and targets and knocks."""

import numpy as np
from made_rigs import SHAPE, error, frame, known

from irvis_fusion_ros.calibration import Calibration, Parallax
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.rig import local
from irvis_fusion_ros.rig.refiner import Refiner

RIG = known()
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
    knocked = known(rotation=-4, shift=(-10.0, 8.0))
    errors = [error(refiner.register(*frame(2, knocked)).deformation(SHAPE), knocked) for _ in range(6)]
    assert errors[-1] < 1
    refiner.reset()
    assert error(refiner.register(*frame(3, knocked)).deformation(SHAPE), knocked) < 1


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

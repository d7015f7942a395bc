"""The preset as a whole: what it finds, and what it does when it finds nothing."""

import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import Rig, pair
from irvis_fusion_ros.evaluation.metrics.registration import endpoint_errors
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.systems.classical import Classical

SHAPE = (240, 320)


def brightness(thermal, visible):
    return thermal.astype(np.float32) / 255, visible[..., 1].astype(np.float32) / 255


def moved(seed=0, rotation=0.0, scale=1.0, shift=(0.0, 0.0)):
    """A pair, and by what its thermal image was moved."""
    thermal, visible = pair(SHAPE, seed)
    known = KnownWarp(SHAPE, affine_about_centre(SHAPE, rotation, scale, 0, shift))
    return *brightness(known.move(thermal), visible), known


def error(alignment, known):
    _, shown = known.truth()
    return float(endpoint_errors(known, alignment.deformation(SHAPE).astype(float))[shown].mean())


@pytest.mark.parametrize('seed', range(4))
def test_registers_a_cold_pair_from_far_away(seed):
    rng = np.random.default_rng(seed)
    rotation, shift = rng.uniform(-8, 8), rng.uniform(-30, 30, 2)
    thermal, visible, known = moved(seed, rotation, rng.uniform(0.8, 1.25), shift)
    found = Classical(temporal=False).register(thermal, visible)
    assert found.source == 'search' and found.cold and found.confidence > 0.8
    assert error(found, known) < 0.5


@pytest.mark.slow
def test_cold_pairs_do_not_depend_on_each_other():
    first, second = moved(0, 3, 1.1, (9, -4)), moved(1, -2, 0.95, (-12, 3))
    system = Classical(temporal=False)
    before = system.register(*first[:2])
    system.register(*second[:2])
    after = system.register(*first[:2])
    np.testing.assert_array_equal(before.transform, after.transform)
    np.testing.assert_array_equal(before.residual, after.residual)
    assert before.confidence == after.confidence


@pytest.mark.slow
def test_images_of_nothing_in_common_are_not_moved():
    thermal = moved(0)[0]
    for seed in range(5, 9):
        visible = moved(seed)[1]
        found = Classical(temporal=False).register(thermal, visible)
        assert found.source == 'identity' and found.confidence < 0.5
        assert not found.deformation(SHAPE).any()
        assert [note.code for note in found.notes] == ['weak_evidence']


@pytest.mark.slow
def test_a_stream_is_tracked_and_steady():
    rig, system = Rig(SHAPE, SHAPE), Classical(temporal=True)
    fields, sources = [], []
    for number in range(12):
        found = system.register(*brightness(*rig.frame(number)))
        fields.append(found.deformation(SHAPE))
        sources.append(found.source)
        assert error(found, rig.known) < 0.4
    assert sources == ['search'] + ['track'] * 11
    jitter = np.diff(fields[3:], axis=0)
    assert np.sqrt((jitter**2).sum(-1).mean()) < 0.1


@pytest.mark.slow
def test_a_frame_without_evidence_holds_the_last_alignment():
    rig, system = Rig(SHAPE, SHAPE), Classical(temporal=True)
    for number in range(4):
        before = system.register(*brightness(*rig.frame(number)))
    thermal, _ = brightness(*rig.frame(4))
    found = system.register(thermal, brightness(*pair(SHAPE, seed=9))[1])
    assert found.source == 'held' and found.confidence < 0.5
    assert [note.code for note in found.notes] == ['weak_evidence']
    np.testing.assert_array_equal(found.transform, before.transform)
    assert system.register(*brightness(*rig.frame(5))).source == 'track'


@pytest.mark.slow
def test_a_knocked_camera_is_found_again():
    rig, system = Rig(SHAPE, SHAPE), Classical(temporal=True)
    for number in range(4):
        system.register(*brightness(*rig.frame(number)))
    knock = KnownWarp(SHAPE, affine_about_centre(SHAPE, 4, 1.0, 0, (18, 12)))
    known = KnownWarp(SHAPE, rig.known.matrix @ knock.matrix)
    errors = []
    for number in range(4, 16):
        thermal, visible = rig.frame(number)
        found = system.register(*brightness(knock.move(thermal), visible))
        errors.append(error(found, known))
    assert errors[-1] < 0.6
    assert min(n for n, e in enumerate(errors) if e < 1) < 8


@pytest.mark.slow
def test_another_size_is_another_stream():
    rig, system = Rig(SHAPE, SHAPE), Classical(temporal=True)
    system.register(*brightness(*rig.frame(0)))
    other = Rig((200, 320), (150, 200))
    assert system.register(*brightness(*other.frame(0))).source == 'search'
    system.reset()
    assert system.register(*brightness(*other.frame(1))).cold

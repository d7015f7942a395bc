"""The steps of a registration by structure maps, one by one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from irvis_fusion_ros.classical.registration import Frame
from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation.metrics.registration import endpoint_errors
from irvis_fusion_ros.geometry.random_warp import WarpRange, draw

SHAPE = (480, 640)


@pytest.fixture(scope='module')
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield threads


def bent(seed, elastic=1):
    """A pair whose thermal image is moved and bent, by `elastic` pixels at most, and by what."""
    thermal, visible = pair(SHAPE, seed)
    warp_range = WarpRange(rotation=1, shift=2, scale=(0.99, 1.01), elastic=elastic)
    known = draw(warp_range, SHAPE, np.random.default_rng(seed))
    thermal = known.move(thermal).astype(np.float32) / 255
    return thermal, visible[..., 1].astype(np.float32) / 255, known


def error(frame, state, known):
    field = frame.alignment(state, 'search').deformation(SHAPE).astype(float)
    return float(endpoint_errors(known, field)[known.truth()[1]].mean())


@pytest.mark.slow
@pytest.mark.parametrize('elastic', [0, 1])
@pytest.mark.parametrize('seed', range(3))
def test_the_last_measurement_is_nearer_to_the_truth_and_keeps_what_was_judged(pool, seed, elastic):
    thermal, visible, known = bent(seed, elastic)
    frame = Frame(thermal, visible, pool)
    found = frame.refine(np.linalg.inv(known.matrix))
    finished = frame.finish(found)
    assert error(frame, finished, known) < error(frame, found, known)
    assert (finished.evidence, finished.confidence) == (found.evidence, found.confidence)
    assert finished.residual.shape == found.residual.shape


@pytest.mark.slow
def test_evidence_of_a_new_alignment_is_what_tracking_measures(pool):
    thermal, visible, known = bent(0)
    frame = Frame(thermal, visible, pool)
    found = frame.refine(np.linalg.inv(known.matrix))
    assert frame.follow(found).evidence == pytest.approx(found.evidence, rel=0.15)

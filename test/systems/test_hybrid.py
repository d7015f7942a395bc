from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from irvis_fusion_ros.alignment import WEAK, Alignment, identity
from irvis_fusion_ros.classical import evidence as judging
from irvis_fusion_ros.classical.registration import Frame
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.systems.hybrid import Hybrid, choose

RIG = synthetic.Rig((240, 320), (240, 320))
TRUTH, SHOWN = RIG.known.truth()


class Network:
    """What a network proposes for every pair, and how often it was asked."""

    network = None

    def __init__(self, alignment):
        self.alignment, self.asked = alignment, 0

    def register(self, thermal, visible):
        self.asked += 1
        return self.alignment


def proposal(off=(0.0, 0.0), confidence=0.9):
    """The true alignment, shifted."""
    matrix = np.linalg.inv(RIG.known.matrix)
    matrix[:2, 2] += off
    return Alignment(matrix, confidence, 'search')


def frame(index=0):
    thermal, visible = RIG.frame(index)
    return thermal.astype(np.float32) / 255, color.luminance(visible, 'bgr')


def error(alignment):
    return np.linalg.norm(alignment.deformation((240, 320)) - TRUTH, axis=-1)[SHOWN].mean()


@pytest.mark.parametrize('off', [(0.0, 0.0), (1.5, -1.0), (-1.2, 0.9)])
def test_what_is_proposed_is_made_exact(off):
    found = Hybrid(Network(proposal(off)), temporal=False).register(*frame())
    assert found.source == 'search'
    assert found.confidence >= 0.9
    assert error(found) < 0.6


# as if the image were of usual width: 3 of its 320 pixels are far, too
@pytest.mark.parametrize('pixels', [9, 3])
def test_maps_that_lead_far_away_are_not_followed(pixels, monkeypatch):
    sharpen = Frame.sharpen

    def astray(self, backward):
        state = sharpen(self, backward)
        state.backward[:2, 2] += pixels
        return state

    monkeypatch.setattr(Frame, 'sharpen', astray)
    found = Hybrid(Network(proposal((1.0, 0.0))), temporal=False).register(*frame())
    np.testing.assert_allclose(found.transform, proposal((1.0, 0.0)).transform, atol=1e-9)
    assert not found.residual.any()


def test_where_the_network_does_not_believe_itself_the_maps_search():
    network = Network(identity(0.1, (WEAK,)))
    found = Hybrid(network, temporal=False).register(*frame())
    assert network.asked == 1
    assert found.source == 'search'
    assert error(found) < 1


def test_a_stream_is_tracked_without_the_network():
    network = Network(proposal())
    system = Hybrid(network, temporal=True)
    sources = [system.register(*frame(index)).source for index in range(4)]
    assert sources == ['search', 'track', 'track', 'track']
    assert network.asked == 1
    system.reset()
    assert system.register(*frame()).source == 'search'
    assert network.asked == 2


def test_distance_from_a_proposal_is_in_visible_pixels():
    seen = Frame(*frame(), ThreadPoolExecutor(1))
    state = seen.without_residual(proposal().transform, seen.refine(proposal().transform))
    assert seen.mean_distance(state, proposal()) < 1e-3
    assert seen.mean_distance(state, proposal((3.0, 4.0))) == pytest.approx(5, rel=0.05)


def test_a_wrong_proposal_that_is_sure_of_itself_is_not_believed():
    found = Hybrid(Network(proposal((60.0, 40.0), confidence=1.0)), temporal=False).register(*frame())
    # the search of the maps found another one, with more evidence
    assert found.source == 'search'
    assert found.confidence > 0.9
    assert error(found) < 1


def judged_as(confidence, monkeypatch):
    """Let every alignment have the same evidence."""
    evidence = SimpleNamespace(confidence=confidence)
    monkeypatch.setattr(judging, 'judge', lambda level, alignment, pool=None: evidence)


def test_what_two_methods_find_is_believed_in_spite_of_little_evidence(monkeypatch):
    judged_as(0.2, monkeypatch)
    other = Network(proposal())
    found = Hybrid(Network(proposal()), temporal=False, other=other).register(*frame())
    assert found.source == 'search'
    assert found.confidence == pytest.approx(judging.confirmed(0.2))
    assert found.confidence > 0.85
    # the maps had confirmed it
    assert other.asked == 0


def test_another_network_confirms_what_the_maps_do_not_find(monkeypatch):
    monkeypatch.setattr(Frame, 'search', lambda self: self.sharpen(np.eye(3)))
    judged_as(0.2, monkeypatch)
    other = Network(proposal((0.5, -0.5)))
    found = Hybrid(Network(proposal()), temporal=False, other=other).register(*frame())
    assert other.asked == 1
    assert found.confidence > 0.85
    assert error(found) < 1


def test_methods_that_find_different_alignments_confirm_none(monkeypatch):
    judged_as(0.2, monkeypatch)
    far, elsewhere = Network(proposal((60.0, 40.0))), Network(proposal((-60.0, 40.0)))
    found = Hybrid(far, temporal=False, other=elsewhere).register(*frame())
    assert elsewhere.asked == 1
    assert found.source == 'identity'
    assert found.confidence == pytest.approx(0.2)


def test_what_was_confirmed_stays_so_while_it_is_tracked(monkeypatch):
    judged_as(0.2, monkeypatch)
    system = Hybrid(Network(proposal()), temporal=True)
    found = [system.register(*frame(index % 4)) for index in range(20)]
    assert {each.source for each in found[1:]} == {'track'}
    assert found[-1].confidence == pytest.approx(judging.confirmed(0.2))


@pytest.mark.parametrize(('maps', 'taken'), [(0.6, 'network'), (0.95, 'maps')])
def test_what_the_maps_search_has_to_be_clearly_better(maps, taken):
    class Distant:
        def mean_distance(self, state, proposal):
            return 50.0

        def alignment(self, state, source):
            return None

    states = [SimpleNamespace(name='network', confidence=0.4, confirmed=False)]
    states.append(SimpleNamespace(name='maps', confidence=maps, confirmed=False))
    assert choose(states, Distant(), 320).name == taken


def test_what_the_last_method_confirms_is_taken_again():
    class Together:
        """All alignments whose names begin alike are the same."""

        def mean_distance(self, state, proposal):
            return 0.0 if state.name[0] == proposal[0] else 50.0

        def alignment(self, state, source):
            return state.name

    @dataclass(frozen=True)
    class Proposal:
        name: str
        confidence: float
        confirmed: bool = False

    # the maps have the evidence of one method, and replace the network until another one agrees with it
    states = [Proposal('a network', 0.05), Proposal('maps', 0.4), Proposal('another network', 0.03)]
    found = choose(states, Together(), 640)
    assert found.name == 'a network'
    assert found.confidence == pytest.approx(judging.confirmed(0.05))
    assert choose(states[:2], Together(), 640).name == 'maps'

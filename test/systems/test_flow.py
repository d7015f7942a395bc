import numpy as np
import pytest
import torch
from torch import nn

from irvis_fusion_ros.classical import fusion
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.systems import flow as module
from irvis_fusion_ros.systems.flow import Flow

SHAPE = (240, 320)


class Finds(nn.Module):
    """
    Finds a share of the shift between the one bright thing in both images, in pixels of its grid.

    wrong: is added to every answer. noise: deviation of what is added to every pixel. reach: the longest
    shift that it finds anything of.
    """

    pixels = 120 * 160

    def __init__(self, share=1.0, wrong=(0.0, 0.0), noise=0.0, reach=np.inf):
        super().__init__()
        self.share, self.noise, self.reach, self.asked = share, noise, reach, 0
        self.wrong = nn.Parameter(torch.tensor(wrong))

    def field(self, visible, thermal):
        self.asked += 1
        apart = _centroid(thermal) - _centroid(visible)
        shift = self.share * apart * (apart.norm() < self.reach) + self.wrong
        random = torch.randn(1, *visible.shape[-2:], 2, generator=torch.Generator().manual_seed(self.asked))
        return shift + self.noise * random


def _centroid(image):
    """Where the one bright thing is, (x, y)."""
    height, width = image.shape[-2:]
    weight = torch.relu(image - 0.8)[0, 0]
    grid = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing='xy'), -1)
    return (grid * weight[..., None]).sum((0, 1)) / weight.sum().clamp(min=1e-6)


def moved(shift, shape=SHAPE, scale=1.0):
    image = 0.7 * synthetic.textured(shape, 0).astype(np.float32) / 255
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.maximum(image, np.exp(-((x - 170) ** 2 + (y - 105) ** 2) / 400)).astype(np.float32)
    known = KnownWarp(shape, affine_about_centre(shape, 0, scale, 0, shift))
    return known.move(image), image, known


def system(network, temporal=False):
    return Flow(network, fusion.fuse, 'cpu', temporal)


def error(alignment, known):
    truth, shown = known.truth()
    return np.linalg.norm(alignment.deformation(known.shape) - truth, axis=-1)[shown].mean()


@pytest.mark.parametrize('shape', [SHAPE, (201, 333)])
def test_the_field_is_scaled_to_pixels_of_the_full_image(shape):
    thermal, visible, known = moved((8, -6), shape)
    alignment = system(Finds()).register(thermal, visible)
    assert alignment.source == 'search'
    assert alignment.cold
    assert alignment.confidence > 0.5
    assert error(alignment, known) < 0.05


def test_a_field_that_makes_the_pair_agree_less_is_not_used():
    thermal, visible, _ = moved((0, 0))
    alignment = system(Finds(wrong=(6.0, 4.0))).register(thermal, visible)
    assert alignment.confidence > 0.5
    assert np.abs(alignment.deformation(SHAPE)).max() < 1e-6


def test_without_evidence_nothing_is_moved_and_it_is_said():
    _, visible, _ = moved((0, 0))
    alignment = system(Finds(share=0.0)).register(np.full(SHAPE, 0.5, np.float32), visible)
    assert alignment.source == 'identity'
    assert alignment.confidence < 0.5
    assert [note.code for note in alignment.notes] == ['weak_evidence']


def test_a_stream_is_smoothed_a_jump_is_followed_and_doubt_holds_the_last_alignment():
    thermal, visible, _ = moved((12, 8))
    running = system(Finds(wrong=(0.3, 0.0)), temporal=True)
    first = running.register(thermal, visible)
    for _ in range(8):
        steady = running.register(thermal, visible)
    assert (steady.source, steady.cold) == ('track', False)
    with torch.no_grad():
        running.network.wrong.zero_()
    tracked = running.register(thermal, visible)
    change = np.linalg.norm(tracked.deformation(SHAPE) - first.deformation(SHAPE), axis=-1).mean()
    assert 0.1 < change < 0.5 * 0.6
    held = running.register(np.full(SHAPE, 0.5, np.float32), visible)
    assert held.source == 'held'
    assert np.array_equal(held.deformation(SHAPE), tracked.deformation(SHAPE))
    elsewhere, _, _ = moved((-8, 10))
    jumped = running.register(elsewhere, visible)
    assert np.abs(jumped.deformation(SHAPE) - (8, -10)).max() < 0.1
    running.reset()
    assert running.register(elsewhere, visible).source == 'search'


def test_what_is_left_is_asked_for_again_and_noise_is_smoothed(monkeypatch):
    thermal, visible, known = moved((-14, 10))
    monkeypatch.setattr(module, 'SHRUNK', ((),))
    monkeypatch.setattr(module, 'starts', lambda *shapes: [np.eye(3)])
    errors = {}
    for rounds in (1, 4):
        monkeypatch.setattr(module, 'ROUNDS', rounds)
        network = Finds(share=0.5, noise=1.0)
        running = system(network, temporal=True)
        found = running.register(thermal, visible)
        assert network.asked == rounds
        errors[rounds] = error(found, known)
    # half of it is no better than none of it for texture as fine as this
    assert errors[4] < 2 < 5 < errors[1]
    # what is known of a stream is where the next frame begins
    tracked = running.register(thermal, visible)
    assert network.asked == 5
    assert tracked.source == 'track'
    assert error(tracked, known) < errors[4]


def test_it_is_not_asked_again_when_there_is_little_left():
    thermal, visible, known = moved((-14, 10))
    network = Finds()
    assert error(system(network).register(thermal, visible), known) < 0.1
    assert network.asked == 2


def test_what_is_out_of_reach_is_found_in_smaller_images_first():
    thermal, visible, known = moved((34, -26))
    near = Finds(reach=8.0)  # of 21 pixels on its grid
    found = system(near).register(thermal, visible)
    assert error(found, known) < 0.1
    assert found.source == 'search'
    # the whole images, those of half the size in vain, and those of a quarter
    assert near.asked > 4
    nearer = system(Finds(reach=4.0)).register(thermal, visible)
    assert nearer.source == 'identity'


def test_a_camera_that_sees_more_is_tried_where_nothing_else_agrees():
    thermal, visible, known = moved((0, 0), scale=1 / 0.67)
    running = system(Finds(), temporal=True)
    found = running.register(thermal, visible)
    assert error(found, known) < 1
    # what was found in a stream is where the next frame begins
    asked = running.network.asked
    tracked = running.register(thermal, visible)
    assert (tracked.source, running.network.asked) == ('track', asked + 1)
    assert error(tracked, known) < 1

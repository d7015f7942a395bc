import numpy as np
import pytest
import torch
from torch import nn

from irvis_fusion_ros.evaluation import synthetic
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.systems import multiscale
from irvis_fusion_ros.systems.direct import Direct
from irvis_fusion_ros.systems.view import View

SHAPE = (240, 320)


class Constant(nn.Module):
    """Finds the same shift in whatever it sees, in pixels of the grid it works on."""

    pixels = 120 * 160

    def __init__(self, dx=0.0, dy=0.0):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([float(dx), float(dy)]))

    def field(self, visible, thermal):
        return self.shift.expand(1, *visible.shape[-2:], 2)


def moved(shift, shape=SHAPE):
    image = synthetic.textured(shape, 0)
    known = KnownWarp(shape, affine_about_centre(shape, 0, 1, 0, shift))
    return known.move(image).astype(np.float32) / 255, image.astype(np.float32) / 255, known


def system(dx=0.0, dy=0.0, temporal=False):
    return Direct(Constant(dx, dy), multiscale.fuse, 'cpu', temporal)


@pytest.mark.parametrize('shape', [SHAPE, (201, 333)])
def test_the_field_is_scaled_to_pixels_of_the_full_image(shape):
    thermal, visible, known = moved((8, -6), shape)
    truth, shown = known.truth()
    scale = View(shape, Constant.pixels).scale
    alignment = system(*(truth[shown].mean(0) * scale)).register(thermal, visible)
    assert alignment.source == 'search'
    assert alignment.cold
    assert alignment.confidence > 0.5
    assert np.linalg.norm(alignment.deformation(shape) - truth, axis=-1)[shown].mean() < 0.05


def test_a_field_that_makes_the_pair_agree_less_is_not_used():
    thermal, visible, _ = moved((0, 0))
    alignment = system(6, 4).register(thermal, visible)
    assert alignment.confidence > 0.5
    assert np.abs(alignment.deformation(SHAPE)).max() < 1e-6


def test_without_evidence_nothing_is_moved_and_it_is_said():
    _, visible, _ = moved((0, 0))
    alignment = system(6, 4).register(np.full(SHAPE, 0.5, np.float32), visible)
    assert alignment.source == 'identity'
    assert alignment.confidence < 0.5
    assert [note.code for note in alignment.notes] == ['weak_evidence']


def test_a_stream_is_smoothed_a_jump_is_followed_and_doubt_holds_the_last_alignment():
    thermal, visible, _ = moved((12, 8))
    running = system(-6, -4, temporal=True)
    first = running.register(thermal, visible)
    for _ in range(8):
        steady = running.register(thermal, visible)
    assert steady.source == 'track'
    with torch.no_grad():
        running.network.shift += 0.1
    tracked = running.register(thermal, visible)
    change = np.linalg.norm(tracked.deformation(SHAPE) - first.deformation(SHAPE), axis=-1).mean()
    assert change < 0.5 * 0.2 * 2**0.5
    held = running.register(np.full(SHAPE, 0.5, np.float32), visible)
    assert held.source == 'held'
    assert np.array_equal(held.deformation(SHAPE), tracked.deformation(SHAPE))
    elsewhere, _, _ = moved((-8, 10))
    with torch.no_grad():
        running.network.shift.copy_(torch.tensor([4.0, -5.0]))
    jumped = running.register(elsewhere, visible)
    assert np.abs(jumped.deformation(SHAPE) - (8, -10)).max() < 0.1
    running.reset()
    assert running.register(elsewhere, visible).source == 'search'


class Timid(Constant):
    """Finds half of the shift that is left, by the place of what it sees, and noise."""

    def field(self, visible, thermal):
        self.asked = getattr(self, 'asked', 0) + 1
        shift = _centroid(thermal) - _centroid(visible)
        noise = torch.randn(1, *visible.shape[-2:], 2, generator=torch.Generator().manual_seed(self.asked))
        return 0.5 * shift + noise


def _centroid(image):
    """Where the one bright thing is, (x, y)."""
    height, width = image.shape[-2:]
    weight = torch.relu(image - 0.8)[0, 0]
    grid = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing='xy'), -1)
    return (grid * weight[..., None]).sum((0, 1)) / weight.sum()


def test_what_is_left_is_asked_for_again_and_noise_is_smoothed():
    image = synthetic.textured(SHAPE, 0).astype(np.float32) / 255 * 0.7
    image[100:120, 150:170] = 1
    moved = np.roll(image, (-10, 14), (0, 1))
    errors = {}
    for rounds in (0, 1, 4):
        network = Timid()
        running = Direct(network, multiscale.fuse, 'cpu', temporal=True, rounds=rounds)
        found = running.register(moved, image)
        assert network.asked == max(1, rounds)
        errors[rounds] = np.abs(found.deformation(SHAPE) - (14, -10)).mean()
        assert found.cold
    # half of it is no better than none of it for texture as fine as this
    assert errors[4] < 2 < 5 < min(errors[0], errors[1])
    # what is known of a stream is where the next frame begins
    tracked = running.register(moved, image)
    assert network.asked == 5
    assert (tracked.source, tracked.cold) == ('track', False)
    assert np.abs(tracked.deformation(SHAPE) - (14, -10)).mean() < errors[4]

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

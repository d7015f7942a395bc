import numpy as np
import pytest
import torch
from recording import NothingOfTheHost

from irvis_fusion_ros.classical import fusion
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.geometry import transform, warp
from irvis_fusion_ros.geometry.random_warp import KnownWarp, affine_about_centre
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.networks.busref import BusReF
from irvis_fusion_ros.networks.swift import Swift
from irvis_fusion_ros.networks.working_grid import WorkingGrid
from irvis_fusion_ros.systems.matcher import Matcher
from irvis_fusion_ros.systems.weighted_fusion import WeightedFusion

SHAPE = (240, 320)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return BusReF()


def images(shape=SHAPE, seed=0):
    """An aligned pair of one contrast: what an untrained network can register."""
    image = synthetic.textured(shape, seed)
    return image, image.astype(np.float32) / 255


def moved(shift, scale=1.0, shape=SHAPE):
    image, visible = images(shape)
    known = KnownWarp(shape, affine_about_centre(shape, 0, scale, 0, shift))
    return known.move(image).astype(np.float32) / 255, visible, known


def error(alignment, known):
    truth, shown = known.truth()
    return np.linalg.norm(alignment.deformation(known.shape) - truth, axis=-1)[shown].mean()


@pytest.mark.parametrize('shape', [SHAPE, (201, 333), (360, 480)])
@pytest.mark.parametrize('shift', [(0, 0), (12, -7)])
def test_the_deformation_is_in_pixels_of_the_full_image(network, shape, shift):
    thermal, visible, known = moved(shift, shape=shape)
    alignment = Matcher(network, fusion.fuse, 'cpu', temporal=False).register(thermal, visible)
    assert alignment.source == 'search'
    assert alignment.cold
    assert error(alignment, known) < 3


def test_a_thermal_image_of_another_size_is_stretched_over_the_visible_one(network):
    image, visible = images((240, 320))
    points = transform.pixel_grid((120, 200)) * np.float32([319 / 199, 239 / 119])
    small = warp.sample(image, points).astype(np.float32) / 255
    alignment = Matcher(network, fusion.fuse, 'cpu', temporal=False).register(small, visible)
    assert np.linalg.norm(alignment.deformation((240, 320)), axis=-1).mean() < 1.5


def test_a_stream_is_tracked_and_forgotten(network):
    thermal, visible, known = moved((9, 5))
    system = Matcher(network, fusion.fuse, 'cpu', temporal=True)
    assert system.register(thermal, visible).source == 'search'
    second = system.register(thermal, visible)
    assert second.source == 'track'
    assert not second.cold
    assert error(second, known) < 3
    system.reset()
    assert system.register(thermal, visible).source == 'search'


@pytest.mark.slow
def test_without_evidence_the_last_alignment_is_held_and_said(network):
    thermal, visible, _ = moved((9, 5))
    flat = np.full(SHAPE, 0.5, np.float32)
    cold = Matcher(network, fusion.fuse, 'cpu', temporal=False).register(flat, visible)
    assert cold.source == 'identity'
    assert [note.code for note in cold.notes] == ['weak_evidence']
    system = Matcher(network, fusion.fuse, 'cpu', temporal=True)
    good = system.register(thermal, visible)
    held = system.register(flat, visible)
    assert held.source == 'held'
    assert held.confidence < 0.5
    assert np.array_equal(held.transform, good.transform)


def test_a_change_of_size_starts_anew(network):
    system = Matcher(network, fusion.fuse, 'cpu', temporal=True)
    for shape in (SHAPE, (200, 300)):
        thermal, visible, _ = moved((0, 0), shape=shape)
        assert system.register(thermal, visible).source == 'search'


def test_fusion_keeps_the_visible_image_where_the_thermal_one_may_not_be_used(network):
    thermal, tinted = synthetic.pair((201, 299), 3)
    visible = color.luminance(tinted, 'bgr')
    trust = np.ones(visible.shape, np.float32)
    trust[:, :100] = 0
    fused = WeightedFusion(network, 'cpu')(visible, thermal.astype(np.float32) / 255, trust)
    assert fused.shape == visible.shape
    assert fused.dtype == np.float32
    assert fused.min() >= 0 and fused.max() <= 1
    assert np.array_equal(fused[:, :100], visible[:, :100])
    assert np.abs(fused - visible)[:, 100:].mean() > 0.01


def test_the_view_keeps_corner_pixels_on_corner_pixels():
    grid = WorkingGrid((200, 300), 256 * 320)
    ramp = np.tile(np.linspace(0, 1, 150, dtype=np.float32), (90, 1))
    stretched = np.tile(np.linspace(0, 1, 300, dtype=np.float32), (200, 1))
    assert np.abs(grid.thermal(ramp, np.eye(3)) - grid.visible(stretched))[:, 4:-4].max() < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize('network', [BusReF, lambda: Swift().proposing()])
@torch.inference_mode()
def test_what_runs_on_a_gpu_can_be_recorded(network):
    # without a GPU: tensors that have no values, so that none can be asked for
    network = network().to('meta')
    matcher = Matcher(network, fusion.fuse, 'meta', temporal=False)
    images = [torch.empty(1, 1, 96, 128, device='meta') for _ in range(2)]
    with NothingOfTheHost():
        pair = matcher._describe(*images)
        found = matcher._compare(*pair)
        matcher._compare(*pair, found[0])
        if isinstance(network, BusReF):
            network.fusion_weights(*images)

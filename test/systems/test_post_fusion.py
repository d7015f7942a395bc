import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from recording import NothingOfTheHost

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.backbones.base import Backbone, brightness
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.networks.fusion_register import UNIT, FusionRegister, NetworkConfig
from irvis_fusion_ros.predictor import OF_CORRECTION, Predictor
from irvis_fusion_ros.systems.base import PostRegistration
from irvis_fusion_ros.systems.post_fusion import PostFusion
from irvis_fusion_ros.systems.registry import SystemConfig
from irvis_fusion_ros.systems.unregistered import Unregistered
from irvis_fusion_ros.tools import fuse_images
from irvis_fusion_ros.training.config import plain
from irvis_fusion_ros.training.recipes.fusion_register import FusionRegisterConfig

SHAPE = (121, 163)
# Where the untrained networks of these tests say that pixels come from.
STEP = (3.0, -2.0)
NETWORK = NetworkConfig(width=8, blocks=1, retention=False, evidence=False)


def shifting(step=STEP):
    """A network that moves everything by `step`, whatever it sees, and changes nothing else."""
    torch.manual_seed(0)
    net = FusionRegister(NETWORK)
    net.localise[0].odds.data.fill_(1e4)
    net.localise[0].field = Constant(step)
    return net


class Constant(torch.nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = torch.nn.Parameter(torch.tensor(step).view(1, 2, 1, 1) / UNIT)

    def forward(self, z):
        return self.step.expand(len(z), 2, *z.shape[-2:])


class Mean(torch.nn.Module):
    """The mean of colours and of brightness, in one or in three channels."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, visible, thermal):
        fused = (visible + thermal) / 2
        return fused if self.channels == 3 else brightness(fused)


@pytest.fixture
def images():
    thermal, tinted = synthetic.pair(SHAPE, 3)
    return color.luminance(tinted, 'bgr'), thermal.astype(np.float32) / 255


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Weights of an untrained network where the predictor looks for trained ones."""
    torch.manual_seed(0)
    options = plain(FusionRegisterConfig(network=NETWORK))
    state = FusionRegister(NETWORK).state_dict()
    sha = weights.save(tmp_path / 'fusion_register.safetensors', 'fusion_register', options, state)
    (tmp_path / 'fusion_register.md').write_text(f'sha256: {sha}\n')
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize('shape', [SHAPE, (120, 160), (33, 64)])
def test_any_size_comes_back_as_it_was(shape):
    system = PostFusion(FusionRegister(NETWORK), backbones.build('max'), 'cpu')
    visible, thermal = (np.random.default_rng(k).random(shape, np.float32) for k in range(2))
    found = system.correct(visible, thermal, np.ones(shape, np.float32))
    assert found.fused.dtype == found.moved.dtype == found.misregistration.dtype == np.float32
    assert found.moved.shape == (*shape, 2)
    assert found.misregistration.shape == shape
    # untrained it is the backbone
    np.testing.assert_allclose(found.fused, np.maximum(visible, thermal), atol=1e-4)
    assert not found.moved.any()


def test_the_fused_image_is_moved_as_the_field_says(images):
    visible, thermal = images
    system = PostFusion(shifting(), backbones.build('average'), 'cpu', half=False)
    found = system.correct(visible, thermal, np.ones(SHAPE, np.float32))
    assert np.allclose(found.moved, STEP, atol=1e-5)
    assert (found.misregistration == 1).all()
    expected = (visible + thermal)[:-2, 3:] / 2
    np.testing.assert_allclose(found.fused[2:, :-3], expected, atol=1e-4)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('factor', [1, 2, 3])
def test_large_images_are_warped_at_full_size_by_what_was_found_at_a_reduced_one(channels, factor):
    rng = np.random.default_rng(0)
    shape = (181, 243)
    visible, thermal = rng.random((*shape, 3), np.float32), rng.random(shape, np.float32)
    backbone = Backbone('mean', Mean(channels), takes_rgb=True, gives_rgb=channels == 3)
    pixels = shape[0] * shape[1] / factor**2
    found = PostFusion(shifting(), backbone, 'cpu', half=False, pixels=pixels).correct(
        visible, thermal, np.ones(shape, np.float32)
    )
    step = np.array(STEP) * factor
    assert np.allclose(found.moved, step, atol=1e-4)
    assert found.misregistration.shape == shape
    dx, dy = step.astype(int)
    expected = (visible + thermal[..., None])[:dy, dx:] / 2
    if channels == 1:
        expected = color.brightness(expected)
    # beyond its border the reduced image goes on with other values than the image
    rim = 0 if factor == 1 else 2 * factor
    inner = np.s_[rim : expected.shape[0] - rim, rim : expected.shape[1] - rim]
    np.testing.assert_allclose(found.fused[-dy:, :-dx][inner], expected[inner], atol=1e-4)


@pytest.mark.parametrize('temporal', [True, False])
def test_what_is_measured_is_smoothed_over_a_stream_and_a_jump_is_followed(temporal):
    network = FusionRegister(replace(NETWORK, evidence=True))
    system = PostFusion(network, backbones.build('average'), 'cpu', temporal, half=False)
    flat, edges = np.full(SHAPE, 0.5, np.float32), np.random.default_rng(0).random(SHAPE, np.float32)

    def moved(pixels, shape=SHAPE):
        system._measure = lambda visible, _: (torch.full((1, *visible.shape[-2:], 2), float(pixels)),)
        images = (image[: shape[0], : shape[1]] for image in (flat, edges, np.ones_like(flat)))
        # all that is to be seen is thermal
        return np.median(system.correct(*images).moved)

    still = moved(4)
    noisy = [moved(4 + 0.4 * (-1) ** k) for k in range(12)]
    assert still == pytest.approx(4, rel=0.1)
    assert np.ptp(noisy[-4:]) < (0.2 if temporal else 10)
    assert temporal or np.ptp(noisy) > 0.7
    jumped = moved(8)
    assert jumped == pytest.approx(2 * still, rel=0.05)
    assert moved(4.5, (90, 100)) == pytest.approx(4.5 / 4 * still, rel=0.05), 'another size is another stream'
    system.reset()
    assert moved(4) == still


def test_without_trust_it_is_the_visible_image(images):
    visible, thermal = images
    system = PostFusion(shifting(), backbones.build('average'), 'cpu')
    trust = np.zeros(SHAPE, np.float32)
    assert np.array_equal(system.fuse(visible, thermal, trust), visible)


@pytest.mark.parametrize('half', [True, False])
def test_images_keep_their_precision(images, half):
    visible, thermal = images
    system = PostFusion(FusionRegister(), backbones.build('average'), 'cpu', half=half)
    fused = system.fuse(visible, thermal, np.ones(SHAPE, np.float32))
    np.testing.assert_allclose(fused, (visible + thermal) / 2, atol=1e-4)


def test_weights_that_are_not_shipped_are_said_to_be_and_how_to_make_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    message = r'not trained yet, or .* make them with .irvis train fusion_register --'
    with pytest.raises(FileError, match=message):
        Predictor('fusion_register', 'cpu')
    thermal, visible = synthetic.pair((96, 128))
    for name, image in (('ir', thermal), ('vi', visible)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), image)
    folders = [str(tmp_path / name) for name in ('ir', 'vi', 'out')]
    assert fuse_images.main([*folders, '--preset', 'fusion_register', '--device', 'cpu']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'not trained yet' in line


def test_weights_of_other_options_are_refused(trained):
    file = trained / 'fusion_register.safetensors'
    sha = weights.save(file, 'fusion_register', {'network': {'depth': 3}}, {})
    (trained / 'fusion_register.md').write_text(f'sha256: {sha}\n')
    with pytest.raises(FileError, match='another version of this network'):
        Predictor('fusion_register', 'cpu')
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha


def test_alone_it_moves_the_fused_image_and_leaves_the_thermal_one(trained):
    rig = synthetic.Rig((120, 160), (96, 128))
    predictor = Predictor('fusion_register', 'cpu', backbone='max', registration_first='none')
    predictor._registration.system = PostFusion(shifting(), backbones.build('max'), 'cpu', half=False)
    thermal, visible = rig.frame(0)
    result = predictor(thermal, visible)
    # nothing registered the thermal image: it is left as it lies
    assert not result.deformation.any()
    assert np.abs(result.registered.astype(int) - cv2.resize(thermal, (160, 120))).mean() < 8
    assert np.allclose(result.deformation_fused[2:, :-3], STEP, atol=1e-5)
    # what the fused image does not have is marked
    assert np.isnan(result.deformation_fused[:2]).all()
    assert np.isnan(result.deformation_fused[:, -3:]).all()
    assert result.misregistration.dtype == np.float32
    assert (result.misregistration == 1).all()


@pytest.mark.parametrize('output', sorted(OF_CORRECTION))
def test_what_tells_of_the_correction_is_made_when_it_is_wanted(trained, output):
    predictor = Predictor('fusion_register', 'cpu', registration_first='none')
    pair = synthetic.pair((96, 128))
    whole = predictor(*pair)
    only = predictor(*pair, outputs=frozenset({output}))
    assert only.fused is None and only.deformation is None
    np.testing.assert_array_equal(getattr(only, output), getattr(whole, output))
    (other,) = OF_CORRECTION - {output}
    assert getattr(only, other) is None
    without = predictor(*pair, outputs=frozenset({'fused'}))
    assert without.misregistration is None and without.deformation_fused is None


@pytest.mark.slow
def test_after_a_registration_both_deformations_are_there(trained):
    rig = synthetic.Rig((240, 320), (192, 256))
    truth, shown = rig.known.truth()
    predictor = Predictor('fusion_register', 'cpu', registration_first='classical')
    result = predictor(*rig.frame(0))
    assert result.source == 'search'
    assert np.nanmean(np.linalg.norm(result.deformation - truth, axis=-1)[shown]) < 1.5
    assert not result.deformation_fused.any()
    assert predictor(*rig.frame(1)).source == 'track'
    predictor.reset()
    assert predictor(*rig.frame(2)).source == 'search'


def test_registration_first_is_for_presets_that_do_not_register():
    assert SystemConfig('unregistered', registration_first='classical').first.preset == 'classical'
    assert SystemConfig('classical').first is None
    with pytest.raises(ValueError, match="preset 'classical' registers by itself"):
        SystemConfig('classical', registration_first='busref')
    with pytest.raises(ValueError, match="unknown registration 'umf'; valid: none, classical, busref"):
        SystemConfig('unregistered', registration_first='umf')


def test_only_a_system_that_corrects_is_taken_for_one():
    assert isinstance(PostFusion(FusionRegister(NETWORK), backbones.build('max'), 'cpu'), PostRegistration)
    assert not isinstance(Unregistered(backbones.build('max'), 'cpu'), PostRegistration)


@pytest.mark.slow
@pytest.mark.parametrize('first', ['none', 'classical'])
def test_fuse_images_writes_both_deformations_and_where_it_was_misaligned(trained, tmp_path, first):
    thermal, visible = synthetic.pair((96, 128))
    for name, image in (('ir', thermal), ('vi', visible)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'a.png'), image)
    out = tmp_path / 'out'
    folders = [str(tmp_path / 'ir'), str(tmp_path / 'vi'), str(out)]
    options = ['--preset', 'fusion_register', '--device', 'cpu', '--registration-first', first]
    assert fuse_images.main([*folders, *options]) == 0
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['deformation_of'] == 'thermal'
    assert summary['registration_first'] == first
    for folder, shape in (('deformation', (96, 128, 2)), ('deformation_fused', (96, 128, 2))):
        assert np.load(out / folder / 'a.npy').shape == shape
    if first == 'none':
        assert not np.load(out / 'deformation' / 'a.npy').any()
    misregistration = np.load(out / 'misregistration' / 'a.npy')
    assert misregistration.shape == (96, 128)
    assert misregistration.dtype == np.float32
    assert misregistration.min() >= 0 and misregistration.max() <= 1


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize('factor', [1, 2])
@pytest.mark.parametrize('channels', [1, 3])
def test_the_correction_of_large_images_and_of_colours_can_be_recorded(factor, channels):
    network = FusionRegister(NetworkConfig(width=8, blocks=1))
    system = PostFusion(network, backbones.build('max'), 'meta', half=False)
    pair = [torch.empty(1, 1, 96, 128, device='meta') for _ in range(2)]
    fused = torch.empty(1, channels, 96 * factor, 128 * factor, device='meta')
    system._run(fused, *pair)
    with NothingOfTheHost():
        corrected, effective, mask = system._run(fused, *pair)
    assert corrected.shape == fused.shape
    assert effective.shape == (1, *fused.shape[2:], 2)
    assert mask.shape == (1, 1, *fused.shape[2:])


@pytest.mark.slow
@torch.inference_mode()
def test_what_runs_on_a_gpu_can_be_recorded():
    network = FusionRegister(NetworkConfig(width=8, blocks=1)).to('meta').eval()
    images = [torch.empty(1, 1, 96, 128, device='meta') for _ in range(3)]
    # grids are made in the runs before a graph is recorded
    network(*images)
    with NothingOfTheHost():
        network(*images)

import dataclasses

import numpy as np
import pytest
from ready import READY

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.errors import ChoiceError
from irvis_fusion_ros.evaluation import baselines
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import PRESETS, SystemConfig

CARD = ('Data', 'Schedule', 'Measured', 'Limits', 'sha256')


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown preset 'classic'; valid: classical, busref, swift, swift_lite, unregis"
    ):
        SystemConfig('classic')


# Presets without a search: they see what is a few pixels off.
NEAR = ('umf_cmgr', 'bsr')
REGISTERING = [name for name in READY if not registry.PRESETS[name].backbone]


@pytest.mark.slow
@pytest.mark.parametrize('preset', [name for name in REGISTERING if name in NEAR])
def test_presets_without_a_search_find_a_rig_that_is_nearly_aligned(preset):
    predictor = Predictor(preset, 'cpu')
    for seed, source in enumerate(('search', 'track', 'track')):
        thermal, visible = (np.ascontiguousarray(image) for image in synthetic.pair((240, 324), seed))
        result = predictor(thermal[:, 4:].copy(), visible[:, :-4].copy())
        assert result.source == source
        error = np.linalg.norm(result.deformation - (-4, 0), axis=-1)
        assert np.nanmean(error) < 1


@pytest.mark.slow
@pytest.mark.parametrize('preset', [name for name in REGISTERING if name not in NEAR])
def test_every_preset_that_searches_finds_a_rig_and_tracks_it(preset):
    rig = synthetic.Rig((240, 320), (192, 256))
    truth, shown = rig.known.truth()
    predictor = Predictor(preset, 'cpu')
    for index, source in enumerate(('search', 'track', 'track')):
        result = predictor(*rig.frame(index))
        error = np.linalg.norm(result.deformation - truth, axis=-1)
        assert result.source == source
        assert np.nanmean(error[shown]) < 1.5
        assert result.fused.shape == (240, 320, 3)
    assert predictor.network is None or not predictor.network.training


def test_a_backbone_is_one_that_the_preset_can_run():
    assert SystemConfig('classical').backbone is None
    assert SystemConfig('unregistered').backbone == 'average'
    assert SystemConfig('unregistered', backbone='max').backbone == 'max'
    with pytest.raises(ValueError, match="preset 'busref' has no backbone to choose"):
        SystemConfig('busref', backbone='max')
    with pytest.raises(ValueError, match="unknown backbone 'resnet'; valid: average, max"):
        SystemConfig('unregistered', backbone='resnet')


@pytest.mark.parametrize('preset', PRESETS)
def test_what_is_resolved_resolves_to_itself(preset):
    config = SystemConfig(preset)
    assert dataclasses.replace(config) == config
    assert config.device == 'cpu' and config.backend == 'torch'
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.device = 'cuda'


def test_what_registers_first_is_a_system_of_its_own(monkeypatch):
    assert SystemConfig('unregistered', registration_first='none').first is None
    monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)
    config = SystemConfig('unregistered', 'cuda', 'max', 'classical')
    assert config.device == 'cuda:0'
    # no path to a GPU, no backbone
    assert config.first == SystemConfig('classical', 'cpu')
    assert config.on_cpu() == SystemConfig('unregistered', 'cpu', 'max', 'classical')


@pytest.mark.parametrize('weights_there, found', [(True, 'swift_lite'), (False, 'classical')])
def test_auto_is_what_registers_best_of_what_is_there(monkeypatch, tmp_path, weights_there, found):
    if not weights_there:
        monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    elif found not in READY:
        pytest.skip('its weights are not shipped')
    for gpus in (0, 1):
        monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda gpus=gpus: gpus)
        config = SystemConfig('auto', registration_first='auto')
        assert (config.preset, config.registration_first) == (found, 'none')
        assert dataclasses.replace(config) == config
        assert SystemConfig('auto', backbone='').backbone is None
        chain = SystemConfig('fusion_register')
        assert chain.registration_first == chain.first.preset == found
        # everything that has a path to the GPU is on it
        on_gpu = gpus and found != 'classical'
        assert chain.device == ('cuda:0' if gpus else 'cpu')
        assert chain.first.device == ('cuda:0' if on_gpu else 'cpu')
        assert dataclasses.replace(chain) == chain
        assert chain.on_cpu().first == SystemConfig(found, 'cpu')


def test_auto_registers_for_those_that_do_not_and_for_no_other():
    for name, preset in PRESETS.items():
        first = SystemConfig(name, 'cpu').registration_first
        assert (first == 'none') == (preset.backbone is None), name
    # what is measured by itself stays alone, unless it is asked for
    compared = {'presets': baselines.PRESETS}
    assert SystemConfig('fusion_register-alone', 'cpu', **compared).first is None
    asked = SystemConfig('fusion_register-alone', 'cpu', registration_first='classical', **compared)
    assert asked.first.preset == 'classical'


@pytest.mark.parametrize('first', ['bsr', 'umf_cmgr'])
def test_networks_that_give_a_field_at_once_may_register_first(first):
    config = SystemConfig('unregistered', 'cpu', registration_first=first)
    assert config.first == SystemConfig(first, 'cpu')


def test_a_preset_that_prefers_a_gpu_misses_it(monkeypatch):
    assert SystemConfig('fusion_register').misses_gpu('auto')
    assert not SystemConfig('fusion_register', 'cpu').misses_gpu('cpu')
    assert not SystemConfig('swift_lite').misses_gpu('auto')
    monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)
    assert not SystemConfig('fusion_register').misses_gpu('auto')


def test_a_gpu_that_failed_takes_tensorrt_with_it_and_leaves_onnx(monkeypatch):
    monkeypatch.setattr('irvis_fusion_ros.backends.device._cuda_devices', lambda: 1)
    for asked, left in (('auto', 'torch'), ('tensorrt', 'torch'), ('onnx', 'onnx')):
        config = SystemConfig('swift', 'cuda', backend=asked).on_cpu()
        assert (config.device, config.backend) == ('cpu', left)


def test_a_config_stands_for_all_its_choices():
    config = SystemConfig('unregistered', 'cpu', 'max')
    predictor = Predictor(config)
    assert predictor.config is config
    assert (predictor.preset, predictor.device, predictor.backbone, predictor.backend) == (
        'unregistered',
        'cpu',
        'max',
        'torch',
    )
    assert Predictor('unregistered', 'cpu', backbone='max').config == config


@pytest.mark.parametrize(
    'option, choices',
    [
        ('preset', {'preset': 'classic'}),
        ('device', {'device': 'tpu'}),
        ('backbone', {'backbone': 'max'}),
        ('registration_first', {'registration_first': 'busref'}),
        ('backend', {'backend': 'onnx'}),
    ],
)
def test_what_is_refused_names_the_choice(option, choices):
    with pytest.raises(ChoiceError) as refused:
        SystemConfig(**choices)
    assert refused.value.option == option


def test_weights_are_small_and_have_a_card():
    shipped = sorted(weights.folder().glob('*.safetensors'))
    assert sum(path.stat().st_size for path in shipped) < 20e6
    for path in shipped:
        text = path.with_suffix('.md').read_text()
        assert not [heading for heading in CARD if heading not in text], path

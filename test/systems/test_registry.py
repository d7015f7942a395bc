import numpy as np
import pytest
from ready import READY

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems import registry

CARD = ('Data', 'Schedule', 'Measured', 'Limits', 'sha256')


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"unknown preset 'classic'; valid: classical, busref, swift, swift_lite, unregis"
    ):
        registry.find('classic')


# Presets without a search: they see what is a few pixels off.
NEAR = ('umf_cmgr', 'bsr')
REGISTERING = [name for name in READY if not registry.PRESETS[name].backbone]


@pytest.mark.parametrize('preset', [name for name in REGISTERING if name in NEAR])
def test_presets_without_a_search_find_a_rig_that_is_nearly_aligned(preset):
    predictor = Predictor(preset, 'cpu')
    for seed, source in enumerate(('search', 'track', 'track')):
        thermal, visible = (np.ascontiguousarray(image) for image in synthetic.pair((240, 324), seed))
        result = predictor(thermal[:, 4:].copy(), visible[:, :-4].copy())
        assert result.source == source
        error = np.linalg.norm(result.deformation - (-4, 0), axis=-1)
        assert np.nanmean(error) < 1


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
    assert registry.backbone_of('classical', '') is None
    assert registry.backbone_of('unregistered', '') == 'average'
    assert registry.backbone_of('unregistered', 'max') == 'max'
    with pytest.raises(ValueError, match="preset 'busref' has no backbone to choose"):
        registry.backbone_of('busref', 'max')
    with pytest.raises(ValueError, match="unknown backbone 'resnet'; valid: average, max"):
        registry.backbone_of('unregistered', 'resnet')


def test_weights_are_small_and_have_a_card():
    shipped = sorted(weights.folder().glob('*.safetensors'))
    assert sum(path.stat().st_size for path in shipped) < 20e6
    for path in shipped:
        text = path.with_suffix('.md').read_text()
        assert not [heading for heading in CARD if heading not in text], path

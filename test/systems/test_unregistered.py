import numpy as np
import pytest

from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems.unregistered import Unregistered

SHAPE = (121, 163)


@pytest.fixture
def images():
    thermal, tinted = synthetic.pair(SHAPE, 3)
    return color.luminance(tinted, 'bgr'), thermal.astype(np.float32) / 255


def test_nothing_is_moved_whatever_the_sizes():
    rig = synthetic.Rig((120, 160), (96, 128))
    predictor = Predictor('unregistered', 'cpu', backbone='max', registration_first='none')
    result = predictor(*rig.frame(0))
    assert result.source == 'identity'
    assert not result.deformation.any()
    assert predictor.backbone == 'max'
    assert predictor.network.name == 'max'


def test_confidence_and_mask_say_whether_a_pair_is_aligned():
    predictor = Predictor(
        'unregistered', 'cpu', backbone='average', registration_first='none', temporal=False
    )
    thermal, visible = synthetic.pair((240, 320), 1)
    aligned = predictor(thermal, visible)
    moved = predictor(np.roll(thermal, 60, axis=1), visible)
    other = predictor(synthetic.pair((240, 320), 7)[0], visible)
    assert aligned.confidence > 0.95
    assert (aligned.valid == 255).mean() > 0.9
    for result in (moved, other):
        assert result.confidence < 0.2
        assert not result.valid.any()
    # it is fused as it lies all the same
    assert np.abs(other.fused.astype(int) - visible).mean() > 5


def test_fusion_is_that_of_the_backbone_as_far_as_the_thermal_image_is_trusted(images):
    visible, thermal = images
    trust = np.ones(SHAPE, np.float32)
    trust[:, :60] = 0
    fused = Unregistered(backbones.build('average'), 'cpu').fuse(visible, thermal, trust)
    assert fused.dtype == np.float32
    assert np.array_equal(fused[:, :60], visible[:, :60])
    np.testing.assert_allclose(fused[:, 60:], ((visible + thermal) / 2)[:, 60:], atol=1e-6)


def test_brightness_is_fused_as_it_is(images):
    visible, thermal = images
    trust = np.ones(SHAPE, np.float32)
    system = Unregistered(backbones.build('average'), 'cpu')
    bright = system.fuse(visible, thermal, trust)
    dim = system.fuse(visible / 4, thermal / 4, trust)
    np.testing.assert_allclose(dim, bright / 4, atol=1e-6)

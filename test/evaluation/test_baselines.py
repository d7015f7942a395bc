import cv2
import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation import baselines
from irvis_fusion_ros.geometry.random_warp import KnownWarp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems import registry


def predictor_of(name):
    return Predictor(baselines.systems([name], 'cpu')[name], temporal=False)


def test_users_of_the_node_are_not_offered_baselines():
    assert not set(baselines.BASELINES) & set(registry.PRESETS)
    with pytest.raises(ValueError, match="unknown preset 'identity'"):
        Predictor('identity')


def test_a_backbone_goes_to_the_presets_that_have_one_and_is_refused_where_none_has():
    found = baselines.systems(['identity', 'unregistered'], 'cpu', 'max', 'classical')
    assert [(system.backbone, system.registration_first) for system in found.values()] == [
        (None, 'none'),
        ('max', 'classical'),
    ]
    with pytest.raises(ValueError, match="preset 'identity' has no backbone to choose"):
        baselines.systems(['identity', 'classical'], backbone='max')


def test_identity_does_nothing_and_averages():
    thermal, visible = pair()
    result = predictor_of('identity')(thermal, visible)
    assert np.all(result.deformation == 0)
    np.testing.assert_array_equal(result.registered, thermal)
    expected = (color.luminance(visible, 'bgr') + thermal / 255) / 2
    fused = color.luminance(result.fused, 'bgr')
    assert np.abs(fused - expected).mean() < 0.02


def test_identity_max():
    thermal, visible = pair()
    gray = cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY)
    result = predictor_of('identity-max')(thermal, gray)
    np.testing.assert_array_equal(result.fused, np.maximum(thermal, gray))


@pytest.mark.parametrize('size', [(120, 160), (61, 91)])
def test_gradient_ecc_finds_a_small_shift(size):
    thermal, visible = pair()
    matrix = np.eye(3)
    matrix[:2, 2] = 3, -2
    moved = KnownWarp(thermal.shape, matrix).move(thermal)
    moved = cv2.warpAffine(
        moved,
        np.diag([(size[1] - 1) / 159, (size[0] - 1) / 119, 1])[:2],
        size[::-1],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    result = predictor_of('gradient-ecc')(moved, visible)
    inner = result.deformation[20:-20, 20:-20]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), (-3, 2), atol=0.4)


def test_gradient_ecc_gives_up_on_flat_images():
    flat = np.full((64, 64), 90, np.uint8)
    result = predictor_of('gradient-ecc')(flat, flat)
    assert result.source == 'identity'
    assert np.all(result.deformation == 0)

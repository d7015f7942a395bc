import numpy as np
import pytest

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.evaluation import baselines
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.predictor import Predictor


@pytest.mark.slow
def test_every_ablation_registers_as_it_says():
    thermal, visible = pair((240, 320))
    names = [name for name in baselines.BASELINES if name.startswith('swift_lite-')]
    assert len(names) == 4
    for name, system in baselines.systems(names, 'cpu').items():
        predictor = Predictor(system, temporal=False, targets='off')
        result = predictor(thermal, visible)
        assert result.source == 'search', name
        assert abs(result.deformation[20:-20, 20:-20]).mean() < 2
        bent = np.nan_to_num(result.deformation - transform.displacement(result.transform, (240, 320)))
        # what the network proposes is a transform: the maps bend it
        assert (abs(bent).max() < 1e-3) == (name in ('swift_lite-network', 'swift_lite-rigid')), name

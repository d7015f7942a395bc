import numpy as np
import pytest

from irvis_fusion_ros.imaging.percentiles import percentiles


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('size', [1, 2, 101, 4096])
@pytest.mark.parametrize('asked', [(0.5, 99.5), (1, 99), (0, 100), (25, 75)])
def test_percentiles_are_those_of_numpy(dtype, size, asked):
    values = np.random.default_rng(size).integers(0, 250, size).astype(dtype)
    assert percentiles(values, *asked) == pytest.approx(tuple(np.percentile(values, asked)))


def test_of_an_image_with_one_value():
    assert percentiles(np.full((40, 50), 255, np.uint8), 0.5, 99.5) == (255.0, 255.0)

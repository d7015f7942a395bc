import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.geometry import transform

SHAPE = (48, 60)


def test_points_are_moved_as_the_whole_grid_is():
    rng = np.random.default_rng(0)
    matrix = np.array([[1.02, 0.01, 3], [-0.01, 0.98, -2], [1e-5, 0, 1]])
    residual = 3 + 0.2 * rng.standard_normal((6, 10, 2)).astype(np.float32)
    alignment = Alignment(matrix, 0.9, 'search', residual)
    points = transform.pixel_grid(SHAPE)[::7, ::5].reshape(-1, 2)
    dense = alignment.deformation(SHAPE)[::7, ::5].reshape(-1, 2)
    # OpenCV samples at multiples of 1/32
    np.testing.assert_allclose(alignment.deformation_at(points, SHAPE), dense, atol=0.02)

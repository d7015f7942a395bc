import numpy as np

from irvis_fusion_ros.imaging.fill import fill


def test_colours_are_filled_as_each_of_them_would_be():
    image = np.random.default_rng(0).random((40, 52, 3), np.float32)
    hole = np.zeros(image.shape[:2], np.uint8)
    hole[10:20, 15:30] = 1
    filled = fill(image, hole)
    assert filled.shape == image.shape and filled.dtype == np.float32
    for channel in range(3):
        np.testing.assert_array_equal(filled[..., channel], fill(image[..., channel], hole))
    np.testing.assert_array_equal(filled[hole == 0], image[hole == 0])
    assert np.ptp(filled[hole > 0]) < np.ptp(image)

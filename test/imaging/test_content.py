import numpy as np
import pytest

from irvis_fusion_ros.imaging.content import absent, are_exchanged

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('shape', [(40, 50), (41, 53, 3), (480, 640)])
@pytest.mark.parametrize(
    ('dtype', 'value', 'why'),
    [
        (np.uint8, 0, 'black'),
        (np.uint8, 255, 'saturated'),
        (np.uint8, 128, 'flat'),
        (np.uint16, 0, 'black'),
        (np.uint16, 65535, 'saturated'),
        (np.uint16, 30000, 'flat'),
        (np.float32, 0, 'black'),
        (np.float32, 293.15, 'flat'),
        (np.float32, np.nan, 'empty'),
        (np.float32, np.inf, 'empty'),
    ],
)
def test_constant_images(shape, dtype, value, why):
    assert absent(np.full(shape, value, dtype)) == why


@pytest.mark.parametrize(('dtype', 'value'), [(np.uint8, 3), (np.uint16, 30000), (np.float32, 20.0)])
def test_hot_pixels_are_no_picture(dtype, value):
    image = np.full((100, 120), value, dtype)
    image[::17, ::13] = 250
    assert absent(image) == 'flat'


@pytest.mark.parametrize(
    'image',
    [
        RNG.normal(30000, 5, (100, 120)).astype(np.uint16),  # a radiometric image of a wall
        RNG.normal(293, 0.05, (100, 120)).astype(np.float32),
        RNG.integers(0, 12, (100, 120)).astype(np.uint8),  # night
        np.where(RNG.random((100, 120)) < 0.1, 40, 255).astype(np.uint8),  # glare
    ],
)
def test_faint_images_show_something(image):
    assert absent(image) is None


def test_values_that_are_not_numbers_do_not_count():
    image = RNG.normal(20, 1, (100, 120)).astype(np.float32)
    image[::3] = np.nan
    assert absent(image) is None
    image[np.isfinite(image)] = 20
    assert absent(image) == 'flat'


def test_colours_in_the_thermal_image_alone_tell_that_the_cameras_are_exchanged():
    rng = np.random.default_rng(0)
    gray, colours = rng.integers(0, 255, (60, 80), np.uint8), rng.integers(0, 255, (60, 80, 3), np.uint8)
    stored_in_three = np.repeat(gray[..., None], 3, 2)
    for plain in (gray, gray.astype(np.uint16) * 100, stored_in_three):
        assert are_exchanged(colours, plain)
        assert not are_exchanged(plain, colours)
        assert not are_exchanged(plain, gray)
    assert not are_exchanged(colours, colours)

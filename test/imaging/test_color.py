import cv2
import numpy as np
import pytest

from irvis_fusion_ros.imaging import color

RNG = np.random.default_rng(4)
IMAGE = RNG.integers(0, 256, (40, 50, 3), np.uint8)


def test_orders_are_mirror_images():
    rgb = np.ascontiguousarray(IMAGE[..., ::-1])
    np.testing.assert_array_equal(color.gray(IMAGE, 'bgr'), color.gray(rgb, 'rgb'))
    np.testing.assert_array_equal(color.luminance(IMAGE, 'bgr'), color.luminance(rgb, 'rgb'))


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_luminance_is_bt601_whatever_the_depth(dtype):
    top = np.iinfo(dtype).max
    image = (IMAGE.astype(np.float64) / 255 * top).round().astype(dtype)
    found = color.luminance(image, 'bgr')
    assert found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    expected = IMAGE.astype(float) @ (0.114, 0.587, 0.299) / 255
    np.testing.assert_allclose(found, expected, atol=0.6 / 255)


@pytest.mark.parametrize('order', ['bgr', 'rgb'])
def test_colours_are_red_first_and_have_the_luminance_of_the_image(order):
    colours = color.rgb(IMAGE, order)
    assert colours.dtype == np.float32
    np.testing.assert_allclose(colours[..., 0] * 255, IMAGE[..., 2 if order == 'bgr' else 0], atol=1e-3)
    luma = color.brightness(colours)
    np.testing.assert_allclose(luma, color.luminance(IMAGE, order), atol=0.6 / 255)
    assert color.brightness(luma) is luma


def test_an_image_fades_in_its_colours_or_its_luminance():
    visible = RNG.random((8, 9, 3), np.float32)
    share = np.zeros((8, 9), np.float32)
    share[:4] = 1
    for fused in (RNG.random((8, 9, 3), np.float32), RNG.random((8, 9), np.float32)):
        found = color.faded(visible, fused, share)
        unfused = visible if fused.ndim == 3 else color.brightness(visible)
        np.testing.assert_allclose(found[:4], fused[:4], atol=1e-6)
        np.testing.assert_array_equal(found[4:], unfused[4:])


def test_gray_images_stay_as_they_are():
    image = RNG.integers(0, 65536, (40, 50)).astype(np.uint16)
    assert color.gray(image, 'rgb') is image


def test_unchanged_luminance_changes_nothing():
    luma = color.luminance(IMAGE, 'bgr')
    np.testing.assert_allclose(color.with_luminance(IMAGE, luma, luma).astype(int), IMAGE, atol=1)


def test_new_luminance_is_shown_and_colours_keep_their_hue():
    muted = (IMAGE // 4 + 90).astype(np.uint8)
    luma = color.luminance(muted, 'bgr')
    new = luma * 0.8 + 0.1
    found = color.with_luminance(muted, luma, new)
    np.testing.assert_allclose(color.luminance(found, 'bgr'), new, atol=2 / 255)
    gray = np.full((4, 4, 3), 100, np.uint8)
    painted = color.with_luminance(gray, color.luminance(gray, 'bgr'), np.full((4, 4), 0.7, np.float32))
    assert np.ptp(painted, axis=-1).max() <= 1


@pytest.mark.parametrize('level', [0.0, 0.5, 1.0])
def test_nothing_overflows(level):
    """A wrapped byte would show as a bright speck in black, or the other way about."""
    luma = color.luminance(IMAGE, 'bgr').astype(np.float64)
    found = color.with_luminance(IMAGE, luma, np.full(luma.shape, level))  # float64 does no harm
    gain = np.minimum((level + 0.02) / (luma + 0.02), color.MAX_CHROMA_GAIN)[..., None]
    exact = 255 * level + gain * (IMAGE - 255 * luma[..., None])
    np.testing.assert_allclose(found.astype(int), np.clip(exact, 0, 255), atol=1)


def test_chroma_gain_is_limited():
    dark = np.full((4, 4, 3), (4, 4, 10), np.uint8)
    found = color.with_luminance(dark, color.luminance(dark, 'bgr'), np.full((4, 4), 0.8, np.float32))
    assert np.ptp(found.astype(int), axis=-1).max() <= 6 * color.MAX_CHROMA_GAIN + 1


def test_to_byte_clips():
    luma = np.float32([[-0.5, 0, 0.5, 1, 1.7]])
    np.testing.assert_array_equal(color.to_byte(luma), [[0, 0, 128, 255, 255]])
    assert cv2.mean(color.to_byte(np.zeros((3, 3), np.float32)))[0] == 0


def test_orders_and_encodings():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 2] = 200
    assert color.in_encoding(red, 'bgr', 'rgb8')[0, 0, 0] == 200
    assert color.in_encoding(red[..., ::-1], 'rgb', 'rgb8')[0, 0, 0] == 200
    assert color.in_encoding(red[..., ::-1], 'rgb', 'bgr8')[0, 0, 2] == 200
    gray = color.in_encoding(red, 'bgr', 'mono8')
    np.testing.assert_array_equal(gray, color.in_encoding(red[..., ::-1].copy(), 'rgb', 'mono8'))
    assert color.in_encoding(gray, 'bgr', 'bgr8').shape == (32, 32, 3)


@pytest.mark.parametrize('order', ['bgr', 'rgb'])
def test_a_tint_colours_what_it_is_told_at_the_brightness_that_it_has(order):
    where = np.zeros(IMAGE.shape[:2], np.float32)
    where[10:20, 15:30] = 1
    muted = (IMAGE // 4 + 20).astype(np.uint8)
    found = color.tinted(muted, where, (1.0, 0.5, 0.0), order)
    np.testing.assert_array_equal(found[where == 0], muted[where == 0])
    np.testing.assert_allclose(color.luminance(found, order), color.luminance(muted, order), atol=0.02)
    red, _, blue = np.moveaxis(found[where > 0] if order == 'rgb' else found[where > 0][:, ::-1], 1, 0)
    assert (red.astype(int) > blue).all()


def test_nothing_is_tinted_where_there_is_nothing():
    nowhere = np.zeros(IMAGE.shape[:2], np.float32)
    assert color.tinted(IMAGE, nowhere, (1.0, 0.5, 0.0), 'bgr') is IMAGE

"""Visible images that use fewer than 16 bits."""

import numpy as np
import pytest

from irvis_fusion_ros.imaging.depth import DepthConfig, VisibleDepth

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


def ramp(bits, bright=1.0):
    return np.round(RAMP * bright * ((1 << bits) - 1)).astype(np.uint16)


@pytest.mark.parametrize('bits', [10, 12, 14])
def test_the_bits_in_use_are_found_and_told_once(bits):
    depth = VisibleDepth()
    image, notes = depth.adjust(ramp(bits))
    assert np.abs(image / 65535 - RAMP).max() < 2 ** (1 - bits)
    assert [note.code for note in notes] == ['visible_bits'] and f'{bits} of its 16' in notes[0].text
    assert depth.adjust(ramp(bits))[1] == ()


def test_what_uses_all_bits_is_left_as_it_is():
    for image in (ramp(16), (RAMP * 255).astype(np.uint8)):
        adjusted, notes = VisibleDepth().adjust(image)
        assert adjusted is image and notes == ()


def test_a_dark_frame_does_not_change_what_was_found():
    depth = VisibleDepth()
    depth.adjust(ramp(12))
    dark = ramp(12, bright=0.1)
    np.testing.assert_array_equal(depth.adjust(dark)[0], dark << 4)


def test_a_brighter_frame_does_and_says_so():
    depth = VisibleDepth()
    depth.adjust(ramp(12, bright=0.2))
    image, notes = depth.adjust(ramp(12))
    assert '12 of its 16' in notes[0].text and image.max() > 65000
    assert depth.adjust(ramp(16))[1] == ()  # nothing is said where nothing is changed any more


def test_what_is_set_is_not_looked_for():
    image, notes = VisibleDepth(DepthConfig(bits=14)).adjust(ramp(10))
    np.testing.assert_array_equal(image, ramp(10) << 2)
    assert notes == ()
    clipped, _ = VisibleDepth(DepthConfig(bits=10)).adjust(ramp(12))
    assert clipped.max() == 1023 << 6 and (np.diff(clipped.astype(int)) >= 0).all()

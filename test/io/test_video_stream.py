"""Images that come as a video."""

import sys

import cv2
import numpy as np
import pytest

from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.io.video_stream import VideoDecoder


def pictures(count=6):
    coarse = np.random.default_rng(0).integers(40, 200, (6, 8, 3), np.uint8)
    smooth = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_LINEAR)
    return [np.roll(smooth, 4 * number, axis=1) for number in range(count)]


@pytest.mark.parametrize('codec', ['h264', 'hevc'])
def test_each_frame_comes_out_with_its_message(codec):
    from video import frames

    decoder = VideoDecoder()
    for packet, picture in zip(frames(pictures(), codec), pictures(), strict=True):
        assert np.abs(decoder.decode(packet, codec).astype(int) - picture).mean() < 6


def test_frames_before_the_first_key_frame_are_refused_as_such():
    from video import frames

    packets = frames(pictures())
    decoder = VideoDecoder()
    for packet in packets[2:4]:
        with pytest.raises(ImageError, match='key frame') as caught:
            decoder.decode(packet, 'h264')
        assert caught.value.cause == 'no_key_frame'
    assert decoder.decode(packets[0], 'h264').shape == (96, 128, 3)


def test_a_frame_of_too_many_pixels_is_refused_before_it_is_decoded():
    from video import frames

    packets = frames(pictures())
    decoder = VideoDecoder()
    with pytest.raises(ImageError, match='128x96; at most 12287') as caught:
        decoder.decode(packets[0], 'h264', 128 * 96 - 1)
    assert caught.value.cause == 'too_large'
    assert decoder.decode(packets[0], 'h264', 128 * 96).shape == (96, 128, 3)


def test_a_damaged_frame_is_refused_and_the_next_is_decoded():
    from video import frames

    packets = frames(pictures())
    decoder = VideoDecoder()
    decoder.decode(packets[0], 'h264')
    with pytest.raises(ImageError, match='damaged') as caught:
        decoder.decode(b'no frame at all', 'h264')
    assert caught.value.cause == 'corrupt'
    assert decoder.decode(packets[1], 'h264').shape == (96, 128, 3)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(ImageError, match=r"pip install 'irvis_fusion_ros\[video\]'") as caught:
        VideoDecoder().decode(b'frame', 'h264')
    assert caught.value.cause == 'no_decoder'

"""Frames of video, as a camera would send them."""

from fractions import Fraction

import pytest

av = pytest.importorskip('av', reason='PyAV is not installed (extra `video`)')


def frames(pictures, codec='h264'):
    """Return the packets of a video of BGR pictures, one for each; the first is the only key frame."""
    encoder = {'h264': 'libx264', 'hevc': 'libx265'}[codec]
    try:
        context = av.CodecContext.create(encoder, 'w')
    except Exception:
        pytest.skip(f'this PyAV has no {encoder}')
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt, context.time_base = 'yuv420p', Fraction(1, 30)
    context.options = {'tune': 'zerolatency', 'crf': '12'}
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format='bgr24')
        frame.pts = number
        packets += context.encode(frame)
    return [bytes(packet) for packet in (*packets, *context.encode(None))]

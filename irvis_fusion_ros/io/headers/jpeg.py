"""
JPEG, by its markers as libjpeg reads them (jdmarker.c of libjpeg says what it skips and where it stops).

Refused beyond that: a second size, more scans than an encoder makes (each is decoded over the whole image),
and data too short for the blocks that the size implies, which libjpeg would fill with gray.
"""

import re

from irvis_fusion_ros.io.headers.base import Header, damaged, unsupported

MAGIC = b'\xff\xd8\xff'
_BEGIN, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Markers that take no length; restarts (0xD0 to 0xD7) are skipped with the compressed data.
_PARAMETERLESS = 0x01
_MARKER = re.compile(rb'\xff+([^\x00\xd0-\xd7\xff])')
# Frames with Huffman codes, of 8 bits: baseline, extended, progressive.
_FRAMES, _PROGRESSIVE = (0xC0, 0xC1, 0xC2), 0xC2
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
# Tables (DHT, DAC, DQT, DRI), DNL, which libjpeg skips, APP0 to APP15, and comments.
_SEGMENTS = {0xC4, 0xCC, 0xDB, 0xDD, 0xDC, *range(0xE0, 0xF0), 0xFE}
# Raw values of a thermal camera fill some hundreds.
_MOST_SEGMENTS = 4096
# Encoders make about 10; a sequential image has one for each component at most.
_MOST_SCANS = {False: 4, True: 20}


def read(data: memoryview) -> Header:
    """Return the header of a JPEG. Raises ImageError."""
    place, segments, scans, scanned = 2, 0, 0, 0
    frame = None
    while True:
        found = _MARKER.search(data, place)
        if found is None:
            raise damaged('JPEG', 'it has no end')
        marker, begin = found[1][0], found.start()
        if scans:
            scanned += begin - place
        place = found.end()
        segments += 1
        if marker == _END:
            break
        if marker == _PARAMETERLESS:
            continue
        if segments > _MOST_SEGMENTS:
            raise damaged('JPEG', f'more than {_MOST_SEGMENTS} segments')
        length = int.from_bytes(data[place : place + 2], 'big')
        if length < 2 or place + length > len(data):
            raise damaged('JPEG', f'marker {marker:#x} claims {length} bytes')
        if marker in _OTHER_FRAMES:
            raise unsupported('JPEG', 'that is lossless or has arithmetic codes')
        if marker in _FRAMES:
            if frame is not None or scans:
                raise damaged('JPEG', 'it states several sizes')
            frame = _Frame(data[place + 2 : place + length], marker == _PROGRESSIVE)
        elif marker == _SCAN:
            scans += 1
            if frame is None or scans > _MOST_SCANS[frame.progressive]:
                raise damaged('JPEG', f'{scans} scans')
        elif marker not in _SEGMENTS:
            raise damaged('JPEG', f'marker {marker:#x}')
        place += length
    if frame is None or not scans:
        raise damaged('JPEG', 'there is no image in it')
    if scanned * 8 < frame.fewest_bits:
        raise damaged('JPEG', f'{scanned} bytes cannot hold {frame.width}x{frame.height} pixels')
    # coefficients of two bytes, and colours
    pixel = 2 * len(frame.sampling) + 6
    return Header('JPEG', frame.width, frame.height, frame.width * frame.height * pixel, data)


class _Frame:
    """The size and the components of a frame, of the content of its segment. Raises ImageError."""

    def __init__(self, content: memoryview, progressive: bool):
        self.progressive = progressive
        components = content[5] if len(content) > 5 else 0
        if components not in (1, 3, 4) or len(content) != 6 + 3 * components:
            raise damaged('JPEG', f'{components} components')
        if content[0] != 8:
            raise unsupported('JPEG', f'of {content[0]} bits')
        self.height, self.width = (int.from_bytes(content[at : at + 2], 'big') for at in (1, 3))
        self.sampling = [divmod(content[at], 16) for at in range(7, len(content), 3)]
        if not all(1 <= factor <= 4 for factors in self.sampling for factor in factors):
            raise damaged('JPEG', 'sampling factors')

    @property
    def fewest_bits(self) -> int:
        """Return what the data needs at least: a code for each block, and one for its end if sequential."""
        across, down = (max(factors[axis] for factors in self.sampling) for axis in (0, 1))
        blocks = sum(
            (self.width * x // (8 * across)) * (self.height * y // (8 * down)) for x, y in self.sampling
        )
        return blocks * (1 if self.progressive else 2)

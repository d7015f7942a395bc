"""Compressed data, whole or not: never more than was announced, and of a part what can be had of it."""

import sys

import lz4.frame
import numpy as np
import pytest

from irvis_fusion_ros.io.storage.compression import decompressed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = np.random.default_rng(0).integers(0, 9, 900_000, np.uint8).tobytes()
COMPRESS = {'zstd': zstd.compress, 'lz4': lz4.frame.compress, '': bytes}


@pytest.mark.parametrize('kind', COMPRESS)
def test_all_of_it(kind):
    compress = COMPRESS[kind]
    assert decompressed(compress(DATA), kind, len(DATA)) == (DATA, '')
    assert decompressed(compress(DATA[:500]) + compress(DATA[500:]), kind) == (DATA, '')


@pytest.mark.parametrize('kind', ['zstd', 'lz4'])
def test_a_part_and_damage(kind):
    whole = COMPRESS[kind](DATA)
    part, problem = decompressed(whole[: len(whole) // 2], kind)
    assert DATA.startswith(part) and len(part) > 200_000 and 'cut short' in problem
    part, problem = decompressed(b'nothing of that kind', kind)
    assert part == b'' and problem


@pytest.mark.parametrize('kind', COMPRESS)
def test_no_more_than_was_announced(kind):
    part, problem = decompressed(COMPRESS[kind](bytes(50_000_000)), kind, 1000)
    assert (len(part), problem) == (1000, 'more data than announced')


def test_a_kind_that_is_not_known():
    assert decompressed(b'x', 'bz2') == (b'', "unknown compression 'bz2'")

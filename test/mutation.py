"""Changes files as damage and attackers do: bits, numbers that decide, parts cut, doubled or put in."""

import random
import struct

from hypothesis import strategies

# Numbers at which sizes, counts and signs change their meaning.
NUMBERS = (
    0,
    1,
    2,
    7,
    13,
    64,
    127,
    128,
    255,
    256,
    4096,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
_WIDTHS = ('<B', '<H', '>H', '<I', '>I', '<Q', '>Q')
KINDS = 7


def change(data, kind, place, number, length):
    """Return the data with one change; place, number and length are any whole numbers."""
    place %= len(data) + 1
    end = min(len(data), place + 1 + length % 64)
    if kind == 0:
        return (
            data[:place]
            + bytes(each ^ 1 << number % 8 for each in data[place : place + 1])
            + data[place + 1 :]
        )
    if kind == 1:
        code = _WIDTHS[length % len(_WIDTHS)]
        value = NUMBERS[number % len(NUMBERS)] % 256 ** struct.calcsize(code)
        return data[:place] + struct.pack(code, value) + data[place + struct.calcsize(code) :]
    if kind == 2:
        return data[:place] + data[end:]
    if kind == 3:
        return data[:end] + data[place:end] * (1 + number % 8) + data[end:]
    if kind == 4:
        other = number % (len(data) + 1)
        return data[:other] + data[place:end] + data[other:]
    if kind == 5:
        return data[:place]
    return data[:place] + bytes([number % 256]) * (1 + length % 64) + data[place:]


def changed(data, changes):
    """Return the data with several changes: (kind, place, number, length) each."""
    for each in changes:
        data = change(data, *each)
    return data


def randomly(data, source: random.Random):
    """Return the data with one to four changes, most of them near its beginning, where headers are."""
    changes = []
    for _ in range(source.choice((1, 1, 1, 2, 3, 4))):
        reach = source.choice((64, 512, max(1, len(data))))
        changes.append(
            (
                source.randrange(KINDS),
                source.randrange(reach),
                source.randrange(1 << 32),
                source.randrange(256),
            )
        )
    return changed(data, changes)


def of(samples):
    """Return a strategy for hypothesis: one of the samples with some changes."""
    numbers = strategies.integers(0, 1 << 32)
    each = strategies.tuples(strategies.integers(0, KINDS - 1), numbers, numbers, strategies.integers(0, 255))
    return strategies.builds(changed, strategies.sampled_from(samples), strategies.lists(each, max_size=5))

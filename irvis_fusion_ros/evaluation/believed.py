"""
How far a confidence can be believed: the share of wrong alignments among those with about one confidence.

An alignment is wrong if its mean error (of boxes of people, their mean distance) is above WRONG pixels.
"""

from collections.abc import Sequence

WRONG = 5.0
# Lower ends of the bins of confidence.
BINS = (0.0, 0.25, 0.5, 0.75, 0.9)


def summarise(records: Sequence[dict]) -> list[dict]:
    """
    Return one object for each preset and bin: preset, bin ('.90-1'), pairs, wrong (share), median and worst
    error in pixels; the last three are None for an empty bin.
    """
    found = []
    for preset in dict.fromkeys(record['preset'] for record in records):
        own = [record for record in records if record['preset'] == preset]
        for low, high in zip(BINS, (*BINS[1:], 2.0), strict=True):
            errors = sorted(record['endpoint_error'] for record in own if low <= record['confidence'] < high)
            found.append(
                {
                    'preset': preset,
                    'bin': f'{low:.2f}-{min(high, 1):.2f}',
                    'pairs': len(errors),
                    'wrong': sum(error > WRONG for error in errors) / len(errors) if errors else None,
                    'median': errors[len(errors) // 2] if errors else None,
                    'worst': errors[-1] if errors else None,
                }
            )
    return found

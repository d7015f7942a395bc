"""
Tells a bias of a method from errors of the labels.

The constant part of a pair's error is a vector. A method that is biased has the same vector on all pairs; a
label that is off gives every method the same vector on that pair. What is neither is the method's own error.
"""

from collections.abc import Sequence

import numpy as np

# Constant part of an error, pixels, of a pair that a method has lost: it is no error of a label.
LOST = 6.0


def summarise(records: Sequence[dict]) -> list[dict]:
    """
    Return one object for each protocol and preset of records with an 'offset' (registration.score).

    preset, protocol, pairs; bias: mean vector [x, y], pixels; uncertainty: its standard error, pixels;
    shared: root mean square of what all presets have in common on a pair beyond their bias, which is the
    label's error; own: that of what only this preset has. With one preset the two cannot be told apart:
    shared is None, and own holds both. Lost pairs (beyond LOST pixels) take no part.
    """
    found = []
    for protocol in dict.fromkeys(record['protocol'] for record in records):
        chosen = [record for record in records if record['protocol'] == protocol and record['offset']]
        presets = list(dict.fromkeys(record['preset'] for record in chosen))
        by_case: dict[tuple, dict[str, np.ndarray]] = {}
        for record in chosen:
            case = by_case.setdefault((record['pair'], record['warp']), {})
            case[record['preset']] = np.array(record['offset'])
        whole = [
            case
            for case in by_case.values()
            if max(np.linalg.norm(offset) for offset in case.values()) < LOST
        ]
        if len(whole) < 2:
            continue
        offsets = np.array([[case[preset] for preset in presets] for case in whole])
        bias = offsets.mean(0)
        left = offsets - bias
        common = left.mean(1, keepdims=True) if len(presets) > 1 else np.zeros_like(left)
        own = _size(left - common)
        uncertainty = _size(left) / np.sqrt(len(whole))
        for index, preset in enumerate(presets):
            found.append(
                {
                    'preset': preset,
                    'protocol': protocol,
                    'pairs': len(whole),
                    'bias': bias[index].tolist(),
                    'uncertainty': float(uncertainty[index]),
                    'shared': float(_size(common)[0]) if len(presets) > 1 else None,
                    'own': float(own[index]),
                }
            )
    return found


def _size(vectors: np.ndarray) -> np.ndarray:
    """Return the root mean square length over pairs, one for each preset, of pairs x presets x 2."""
    return np.sqrt((vectors**2).sum(-1).mean(0))

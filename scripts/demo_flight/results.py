"""What the run was like: pairs, drops by cause and latency as the node counts them, and the error left."""

from pathlib import Path

import numpy as np
import people_kept

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.ros import topics
from irvis_fusion_ros.tools.make_flight import TRUTH

PICTURES = {
    people_kept.VISIBLE: 'visible image',
    people_kept.WITHOUT: 'fused, targets off',
    people_kept.FUSED: 'fused by the node',
}


def table(flight: Path, outputs: Path) -> str:
    """Return the table that the demo prints. Raises BagError if the node reported nothing."""
    health = diagnostics(outputs)
    before, after = endpoint_errors(flight, outputs)
    kept = people_kept.count(flight, outputs)
    pairing, output = health['pairing'], health['output']
    rows = [
        ('pairs in', pairing['pairs']),
        ('fused', health['inference']['fused']),
        ('pairs dropped', output['dropped']),
        ('thermal images without a pair', pairing['thermal dropped']),
        ('visible images without a pair', pairing['visible dropped']),
        ('latency p50 / p95 / p99 [ms]', output['end to end p50/p95/p99 [ms]']),
        ('of it the predictor [ms]', health['inference']['predictor p50/p95/p99 [ms]']),
        ('endpoint error before [px]', _described(before)),
        ('endpoint error after [px]', _described(after)),
        *(
            (
                f'people seen, {title}',
                f'{kept[name]} of {kept[people_kept.THERMAL]} that the thermal image shows',
            )
            for name, title in PICTURES.items()
        ),
    ]
    width = max(len(name) for name, _ in rows)
    return '\n'.join(f'{name:{width}}  {value}' for name, value in rows)


def diagnostics(outputs: Path) -> dict[str, dict[str, str]]:
    """Return the last values of each status of the node: status name (inputs, ...) to key to value."""
    found: dict[str, dict[str, str]] = {}
    with BagReader(outputs) as bag:
        for record in bag.records([topics.DIAGNOSTICS]):
            for status in bag.decode(record).status:
                found[status.name.rpartition(': ')[2]] = {entry.key: entry.value for entry in status.values}
    if not found:
        raise BagError(f"bag '{outputs}' holds no diagnostics")
    return found


def endpoint_errors(flight: Path, outputs: Path) -> tuple[list[float], list[float]]:
    """
    Return the mean endpoint error, in pixels, of each frame with a known truth: of doing nothing, and ours.

    Where the node says that a pixel lies outside the thermal image, it is counted as if nothing was done.
    """
    with BagReader(flight) as bag:
        truths = {recorded.stamp: recorded.image for recorded in bag.images(TRUTH)}
    before, after = [], []
    with BagReader(outputs) as bag:
        for recorded in bag.images(topics.DEFORMATION):
            truth = truths[recorded.stamp]
            known = np.isfinite(truth[..., 0])
            found = np.nan_to_num(recorded.image[known])
            before.append(float(np.linalg.norm(truth[known], axis=1).mean()))
            after.append(float(np.linalg.norm(found - truth[known], axis=1).mean()))
    return before, after


def _described(errors: list[float]) -> str:
    if not errors:
        return 'unknown: no frame with a known truth was fused'
    mean, median, worst = np.mean(errors), np.median(errors), np.max(errors)
    return f'mean {mean:.1f}, median {median:.1f}, worst {worst:.1f} of {len(errors)} frames'

"""Tells when a recording holds two rigs: another camera, a knock, or a zoom in the middle."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.rig import fitted, parallax
from irvis_fusion_ros.rig.fitted import Fitted
from irvis_fusion_ros.rig.views import View


@dataclass(frozen=True)
class ChangeConfig:
    """
    least: pairs, and share of all pairs, that have to disagree before another rig is sought in them. apart:
    what the two have to differ by, in shares of the visible width. zoomed: change of scale of a zoom. sure:
    confidence of the other rig.
    """

    least: int = 5
    share: float = 0.15
    apart: float = 0.01
    zoomed: float = 0.03
    sure: float = 0.5


def find(
    views: Sequence[View], found: Fitted, pool: ThreadPoolExecutor, config: ChangeConfig = ChangeConfig()
) -> list[Note]:
    """Return a note if the pairs that do not agree with a rig agree with another one."""
    others = np.flatnonzero(~found.agree)
    if len(others) < max(config.least, config.share * len(views)):
        return []
    second = fitted.fit([views[i] for i in others], pool)
    if second.confidence < config.sure:
        return []
    shape = views[0].visible.shape
    # where the second rig shows what the first shows at a pixel
    between = np.linalg.inv(second.backward) @ found.backward
    apart = transform.displacement(between, shape)
    along, _ = parallax.find([found.pairs[i] for i in np.flatnonzero(found.agree)], shape[1])
    if along is not None:
        # near scenes alone make no other rig
        direction = np.float32(along.direction)
        apart -= np.float32(np.median(apart @ direction)) * direction
    moved = np.linalg.norm(apart, axis=-1).mean()
    if moved < config.apart * shape[1]:
        return []
    growth = abs(np.linalg.det(transform.normalised(between)[:2, :2])) ** 0.5
    kind = 'zoom' if abs(growth - 1) > config.zoomed else 'two_rigs'
    # which of both came first, the rig that was found or the other one
    stamps = np.array([each.stamp for each in views]) - views[0].stamp
    later = np.median(stamps[others]) > np.median(stamps[found.agree])
    when = f'from {stamps[others].min():.1f} s on' if later else f'until {stamps[others].max():.1f} s'
    what = (
        f'one camera has zoomed: the scale changes by {growth if later else 1 / growth:.2f}'
        if kind == 'zoom'
        else 'the cameras lie otherwise to each other: a knock, or two rigs in one recording'
    )
    kept = len(views) - len(others)
    text = f'{what}, another rig {when}; the rig is that of {kept} of {len(views)} pairs'
    return [Note(kind, f'{text}; calibrate the parts one by one')]

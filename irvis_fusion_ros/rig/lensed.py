"""Fits a rig to pairs together with the distortion of its thermal lens, where the pairs show one."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.geometry.lens import Lens
from irvis_fusion_ros.rig import fitted, lens, parallax
from irvis_fusion_ros.rig.fitted import Fitted, FittedConfig
from irvis_fusion_ros.rig.views import View


@dataclass(frozen=True)
class LensedConfig:
    """
    rounds: how often lens and rig are fitted in turn. pairs: that the lens is sought in, and least: that have
    to agree. left: share that a lens may leave of what the regions of all pairs differ by alike; a rig
    without one does not get one.

    Tuned on one made flight by day.
    """

    rounds: int = 3
    pairs: int = 24
    least: int = 8
    left: float = 0.7


def fit(
    views: Sequence[View],
    plain: Fitted,
    pool: ThreadPoolExecutor,
    config: LensedConfig = LensedConfig(),
) -> tuple[Fitted, Lens | None]:
    """
    Return the fit with a thermal lens, and the lens for the images that are kept.

    plain: the fit without one; it is returned, with None, where a lens does not explain the pairs better.
    """
    if plain.agree.sum() < config.least:
        return plain, None
    shapes = views[0].thermal.shape, views[0].visible.shape
    used = np.flatnonzero(plain.agree)
    used = used[np.unique(np.linspace(0, len(used) - 1, config.pairs).round().astype(int))]
    chosen = [views[i] for i in used]
    part = replace(plain, pairs=tuple(plain.pairs[i] for i in used), agree=np.ones(len(used), bool))
    found = None
    once = FittedConfig(rounds=1)
    for _ in range(config.rounds):
        found = lens.find(part.pairs, part.agree, part.backward, shapes, found)
        part = fitted.fit(_flat(chosen, found), pool, part.backward, once)
    bent = fitted.fit(_flat(views, found), pool, part.backward, once)
    return (bent, found) if _common(bent) < config.left * _common(plain) else (plain, None)


def _common(found: Fitted) -> float:
    """Return what regions of all pairs differ by alike, root mean square: a lens that is not described."""
    return float(np.sqrt((parallax.usual(found.pairs) ** 2).mean()))


def _flat(views: Sequence[View], thermal_lens: Lens) -> list[View]:
    """Return the pairs with thermal images as a pinhole camera would have taken them."""
    shapes = views[0].thermal.shape, views[0].visible.shape
    flat = lens.Flat(Calibration(np.eye(3), *shapes, thermal_lens=thermal_lens), *shapes)
    return [replace(each, thermal=flat.images(each.thermal, each.visible)[0]) for each in views]

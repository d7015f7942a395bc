"""
Finds the lens of a thermal camera from what frames differ from their homography by, in all of them alike.

A homography bends no line; a lens does. What of the lenses of both cameras is left by the best homography is
put into one radial term of the thermal camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.geometry import transform
from irvis_fusion_ros.geometry.lens import PLUMB_BOB, Lens
from irvis_fusion_ros.rig.refine import Refined


@dataclass(frozen=True)
class DistortionConfig:
    """
    most: largest coefficient, either sign, at a focal length of the image's width. steps: of the search, from
    coarse to fine. least: share of what is left by a homography that the lens has to explain, and `pixels`
    that it has to move on average, in shares of the visible width. seen: share of the pairs' mean structure
    from which a place counts.
    """

    most: float = 0.5
    steps: tuple[int, ...] = (21, 11, 11)
    least: float = 0.35
    pixels: float = 0.0003
    seen: float = 0.2


def find(
    pairs: Sequence[Refined],
    backward: np.ndarray,
    thermal: tuple[int, int],
    visible: tuple[int, int],
    known: Lens | None = None,
    config: DistortionConfig = DistortionConfig(),
) -> tuple[np.ndarray, Lens | None]:
    """
    Return the transform of a rig, 3x3 backward, and the lens of its thermal camera, None where none is seen.

    pairs: those that agree with `backward`, 3x3, and with the lens that is `known`. thermal, visible: shapes
    of the images that are kept.
    """
    seen = np.array([pair.seen for pair in pairs]).mean(0)
    regional = np.array([pair.regional for pair in pairs])
    weight = np.array([pair.seen for pair in pairs])
    usual = (regional * weight[..., None]).sum(0) / np.maximum(weight.sum(0), 1e-9)[:, None]
    counted = seen > config.seen * seen.mean()
    at = pairs[0].at[counted]
    # where these visible pixels lie in the thermal image, by all pairs together
    looked = transform.apply(transform.stretch(visible, thermal) @ backward, at + usual[counted])
    if known is not None:
        looked = known.to_pixels((looked - (np.array(thermal[::-1]) - 1) / 2) / thermal[1])

    def fitted(coefficient: float) -> tuple[float, np.ndarray]:
        rays = _lens(thermal, coefficient).to_rays(looked)
        if not np.isfinite(rays).all():
            # so strong a lens does not reach the edge of the image
            return np.inf, np.eye(3)
        straight = rays * thermal[1] + (np.array(thermal[::-1]) - 1) / 2
        matrix, _ = cv2.findHomography(at, straight, 0)
        back = _lens(thermal, coefficient).to_pixels(
            (transform.apply(matrix, at) - (np.array(thermal[::-1]) - 1) / 2) / thermal[1]
        )
        return float(np.sqrt(np.nan_to_num(((back - looked) ** 2), nan=1e6).mean())), matrix

    centre, span = 0.0, config.most
    for count in config.steps:
        tried = np.linspace(centre - span, centre + span, count)
        centre = float(tried[np.argmin([fitted(value)[0] for value in tried])])
        span *= 2 / (count - 1)
    before, after = fitted(0.0)[0], fitted(centre)[0]
    scale = visible[1] / thermal[1]
    if after > (1 - config.least) * before or (before - after) * scale < config.pixels * visible[1]:
        return backward, None
    matrix = fitted(centre)[1]
    to_stretched = np.linalg.inv(transform.stretch(visible, thermal))
    return transform.normalised(to_stretched @ matrix), _lens(thermal, centre)


def _lens(shape: tuple[int, int], coefficient: float) -> Lens:
    height, width = shape
    k = np.array([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1.0]])
    return Lens(k, PLUMB_BOB, (coefficient,))

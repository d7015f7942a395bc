"""
What a target shows in both images decides where it is drawn.

Near branches may fill a picture and decide how the whole frame lies, while the people stand far behind them,
or walk between the exposures. A target's own outline, warm in the thermal image, is compared with the visible
image around the place where the frame would put it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.classical.structure import structure
from irvis_fusion_ros.geometry import warp

# Surroundings of a target from which its structure maps are computed, pixels.
AROUND = 12
# How far a target may go between two frames, in multiples of its larger side.
NEAR = 0.75


@dataclass(frozen=True)
class LocalConfig:
    """
    How targets are compared.

    width: of the visible image at which they are compared, at most. reach: how far a target may lie from
    where it is expected, in shares of the width. neighbourhood: of the structure maps. edge: brightness per
    pixel of a thermal edge that counts fully. least: correlation, less the cost, from which a place is
    believed. distinct: how much it has to exceed that of other places, `apart` pixels away. cost: correlation
    that a shift of the whole reach has to bring, from where the rig or the frame has the target, if the frame
    as a whole is as likely wrong as right. exact: how far a target has to be from where the frame puts it, in
    shares of the width: the frame, fitted to all of the image, is more exact than one target. held: by how
    much `least` and `distinct` are lower for a target that the frame before told of, and half of `exact` is
    enough: else one near these limits comes and goes. smallest, largest: sides of a target in shares of the
    width. around: over which distance its shift fades out, in shares of its size.

    Tuned on wisard, whose forest path is the only such scene; exact and held on a made flight that hovers.
    """

    width: int = 960
    reach: float = 0.02
    neighbourhood: float = 4.0
    edge: float = 0.05
    least: float = 0.14
    distinct: float = 0.03
    apart: int = 7
    cost: float = 0.2
    exact: float = 0.001
    held: float = 0.03
    smallest: float = 0.008
    largest: float = 0.3
    around: float = 0.35


@dataclass(frozen=True)
class LocalShift:
    """
    shift: x and y, visible pixels, from where the frame puts a target to where it is. box: x, y, width and
    height where it is drawn by the frame, visible pixels. correlation: of its outline there, [-1, 1]. share:
    of the shift that is done, [0, 1]; less while a target comes or goes in a stream.
    """

    shift: tuple[float, float]
    box: tuple[float, float, float, float]
    correlation: float
    share: float = 1.0


def find(
    thermal: np.ndarray,
    visible: np.ndarray,
    targets: np.ndarray,
    deformation: np.ndarray,
    apart: np.ndarray,
    known: Sequence[LocalShift] = (),
    config: LocalConfig = LocalConfig(),
) -> list[LocalShift]:
    """
    Return where targets are, of those for which it is told clearly.

    thermal, visible: H x W float32 brightness [0, 1]. targets: h x w [0, 1], how surely each place of the
    thermal image is a target. deformation: H x W x 2 float32 on any grid that spans the visible image, in
    pixels of that grid stretched over the thermal image: what the rig expects. apart: H x W x 2, pixels of
    that grid, how much further the frame as a whole moves what is drawn. known: targets of the frame before.
    """
    height, width = deformation.shape[:2]
    points = warp.sampling_map(deformation, thermal.shape)
    warm = warp.sample(thermal, points)
    step = np.float32([(targets.shape[1]) / thermal.shape[1], (targets.shape[0]) / thermal.shape[0]])
    seen = cv2.remap(targets.astype(np.float32), (points + 0.5) * step - 0.5, None, cv2.INTER_LINEAR)
    light = cv2.resize(visible, (width, height), interpolation=cv2.INTER_AREA)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats((seen > 0.3).astype(np.uint8))
    ratio = visible.shape[1] / width
    found = []
    for number in range(1, count):
        x, y, w, h = (int(value) for value in boxes[number, :4])
        if not config.smallest * width <= max(w, h) <= config.largest * width:
            continue
        if float(seen[y : y + h, x : x + w][labels[y : y + h, x : x + w] == number].max()) < 0.5:
            continue
        mask = labels == number
        box = tuple(ratio * side for side in (x, y, w, h))
        held = any(near(each.box, box) for each in known)
        by_frame = apart[mask].mean(0)
        slack = config.held if held else 0.0
        told = _compared(warm, light, mask, (x, y, w, h), by_frame, slack, config)
        if told is None:
            continue
        (dx, dy), correlation = told
        if np.hypot(dx - by_frame[0], dy - by_frame[1]) > config.exact * width * (0.5 if held else 1.0):
            found.append(LocalShift((ratio * dx, ratio * dy), box, correlation))
    return found


def _compared(
    warm: np.ndarray,
    light: np.ndarray,
    mask: np.ndarray,
    box: tuple[int, int, int, int],
    other: np.ndarray,
    slack: float,
    config: LocalConfig,
) -> tuple[tuple[float, float], float] | None:
    """Return the shift of one target and the correlation there, or None where it is not clear."""
    x, y, w, h = box
    reach = max(2, round(config.reach * warm.shape[1]))
    out = reach + AROUND
    top, left, low, right = y - out, x - out, y + h + out, x + w + out
    if top < 0 or left < 0 or low > warm.shape[0] or right > warm.shape[1]:
        return None
    part = np.s_[top:low, left:right]
    thermal = np.ascontiguousarray(warm[part])
    core = cv2.dilate(mask[part].astype(np.uint8), np.ones((7, 7), np.uint8)).astype(np.float32)
    smooth = cv2.GaussianBlur(thermal, (0, 0), 1)
    gx, gy = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    core *= np.minimum(np.hypot(gx, gy) / config.edge, 1)
    moving = structure(thermal, None, neighbourhood=config.neighbourhood)
    fixed = structure(np.ascontiguousarray(light[part]), None, neighbourhood=config.neighbourhood)
    inner = np.s_[reach:-reach, reach:-reach]
    template = (moving * core)[:, inner[0], inner[1]]
    product = sum(
        cv2.matchTemplate(plane, np.ascontiguousarray(own), cv2.TM_CCORR)
        for plane, own in zip(fixed, template, strict=True)
    )
    energy = cv2.matchTemplate(
        np.ascontiguousarray((fixed**2).sum(0)), np.ascontiguousarray(core[inner]), cv2.TM_CCORR
    )
    values = product / np.sqrt(float((template**2).sum()) * np.maximum(energy, 1e-6) + 1e-6)
    shifts = np.arange(-reach, reach + 1)
    # either the rig or the frame is about right
    away = [(shifts[None] - x) ** 2 + (shifts[:, None] - y) ** 2 for x, y in ((0, 0), other)]
    score = values - config.cost * np.minimum(*away) / reach**2
    row, column = np.unravel_index(score.argmax(), score.shape)
    edge = not (0 < row < 2 * reach and 0 < column < 2 * reach)
    beyond = (np.abs(shifts - shifts[row]) > config.apart)[:, None] | (
        np.abs(shifts - shifts[column]) > config.apart
    )
    rival = score[beyond].max() if beyond.any() else -1.0
    best = score[row, column] + slack
    if edge or best < config.least or best - rival < config.distinct:
        return None
    dx = shifts[column] + _vertex(*score[row, column - 1 : column + 2])
    dy = shifts[row] + _vertex(*score[row - 1 : row + 2, column])
    return (float(dx), float(dy)), float(values[row, column])


def near(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Return whether two boxes, x, y, width and height, of two frames may be those of one target."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one, other
    apart = np.hypot(ax + aw / 2 - bx - bw / 2, ay + ah / 2 - by - bh / 2)
    return bool(apart <= NEAR * max(bw, bh))


def _vertex(before: float, at: float, after: float) -> float:
    curve = before - 2 * at + after
    return 0.5 * (before - after) / curve if curve < 0 else 0.0


def field(
    shifts: list[LocalShift], shape: tuple[int, int], full: tuple[int, int], around: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return how targets are moved, h x w x 2, visible pixels, and their share in it, h x w [0, 1].

    The grid of `shape` spans an image of `full`. It is what is to be added to where a visible pixel looks:
    minus the shift, at the place where the target is.
    """
    height, width = shape
    total, weight = np.zeros((height, width, 2), np.float32), np.full((height, width), 1e-6, np.float32)
    strongest = np.zeros((height, width), np.float32)
    x, y = (
        (np.arange(side) + 0.5) * whole / side - 0.5
        for side, whole in zip(shape[::-1], full[::-1], strict=True)
    )
    for each in shifts:
        left, top, w, h = each.box
        fade = max(around * max(w, h), 0.01 * full[1])
        beyond_x = np.maximum(np.abs(x - (left + w / 2 + each.shift[0])) - w / 2, 0) / fade
        beyond_y = np.maximum(np.abs(y - (top + h / 2 + each.shift[1])) - h / 2, 0) / fade
        share = np.exp(-0.5 * (beyond_x[None] ** 2 + beyond_y[:, None] ** 2)).astype(np.float32)
        total -= share[..., None] * np.float32(each.shift)
        weight += share
        strongest = np.maximum(strongest, np.float32(each.share) * share)
    return total / weight[..., None], strongest

"""
Multi-scale fusion of two brightness images without weights.

The picture stays the visible one. Thermal detail replaces visible detail, scale by scale, where it is
clearly stronger; coarse thermal shading is only let in where the visible camera sees nothing (night, glare),
so that no halo grows around cold sky and no dark scene turns grey. No dark rim is left around what is warm.
People and other targets are shown after that (systems/targets.py).
"""

import cv2
import numpy as np

LEVELS = 5
# Scales, from the finest, at which thermal detail may replace visible detail in well exposed places.
FINE_LEVELS = 3
# How much stronger thermal detail has to be to win half: where the visible camera sees well, and where not.
SEEN, UNSEEN = 4.0, 1.0
# Detail weaker than this, in brightness, is noise.
NOISE = 0.012
# Visible brightness at which the camera begins to see, and sees well; likewise for glare.
DARK, LIT = 0.06, 0.22
BRIGHT, GLARE = 0.93, 0.995
# Scale at which cold things are told from the dark rim that coarse scales leave around what is warm, and the
# size there of what may be dark.
RIM_LEVEL, RIM = 2, 9
# Trust below which the result fades to the visible image.
NEARLY = 0.25


def fuse(visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Fuse H x W float32 [0, 1] brightness; see `systems.base.System.fuse`."""
    levels = max(1, min(LEVELS, int(np.log2(min(visible.shape))) - 3))
    v, t, trusted = ([image] for image in (visible, thermal, trust))
    for _ in range(levels):
        for pyramid in (v, t, trusted):
            pyramid.append(cv2.pyrDown(pyramid[-1]))
    middle = min(FINE_LEVELS, levels)
    dark, glare = _unseen(v[middle])
    unseen = np.maximum(dark, glare)
    fused = v[-1]
    for k in reversed(range(levels)):
        v_detail, t_detail = _detail(v[k], v[k + 1]), _detail(t[k], t[k + 1])
        blind = _fitted(unseen, v_detail)
        share = _stronger(t_detail, v_detail, blind)
        share *= trusted[k]
        if k >= FINE_LEVELS:
            share *= blind
        v_detail *= 1 - share
        t_detail *= share
        v_detail += t_detail
        fused = cv2.pyrUp(fused, dstsize=v_detail.shape[1::-1])
        fused += v_detail
    np.maximum(fused, visible - _darker(t[min(RIM_LEVEL, levels)], glare, visible), out=fused)
    np.clip(fused, 0, 1, out=fused)
    if float(trust.min()) >= NEARLY:
        return fused
    # coarse scales reach over the edge of the thermal image: fade out before it
    fused -= visible
    fused *= np.minimum(trust / np.float32(NEARLY), 1)
    fused += visible
    return fused


def _detail(level: np.ndarray, below: np.ndarray) -> np.ndarray:
    return level - cv2.pyrUp(below, dstsize=level.shape[1::-1])


def _stronger(thermal: np.ndarray, visible: np.ndarray, blind: np.ndarray) -> np.ndarray:
    """Share of thermal detail, [0, 1]: near 0 or 1 but for a narrow band, so that edges do not cancel."""
    t = cv2.blur(thermal * thermal, (5, 5))
    v = cv2.blur(visible * visible, (5, 5))
    v *= (SEEN + (UNSEEN - SEEN) * blind) ** 2
    t *= t
    v *= v
    v += t
    v += NOISE**4
    t /= v
    return t


def _darker(thermal: np.ndarray, glare: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return by how much thermal detail may darken the visible image: what is colder than all around it."""
    colder = cv2.morphologyEx(thermal, cv2.MORPH_BLACKHAT, np.ones((RIM, RIM), np.uint8))
    colder += _fitted(glare, colder)
    return _fitted(colder, visible)


def _unseen(visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the visible camera sees nothing because it is dark, and blinded, [0, 1]."""
    around = cv2.blur(visible, (5, 5))
    dark = np.clip((LIT - around) / np.float32(LIT - DARK), 0, 1)
    glare = np.clip((around - BRIGHT) / np.float32(GLARE - BRIGHT), 0, 1)
    return dark, glare


def _fitted(weight: np.ndarray, like: np.ndarray) -> np.ndarray:
    return cv2.resize(weight, like.shape[1::-1], interpolation=cv2.INTER_LINEAR)

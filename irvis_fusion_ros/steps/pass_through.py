"""Shows one camera when the image of the other is missing."""

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment, Note, identity
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.brightness import Brightness

Made = tuple[Alignment, dict[str, np.ndarray]]


def passed_through(
    thermal: np.ndarray | None,
    visible: np.ndarray | None,
    orders: tuple[str, str],
    gray: bool,
    brightness: Brightness,
    last: tuple[Alignment, tuple[int, int]] | None,
) -> Made:
    """
    Return the outputs of an image that came alone, by name, and the alignment that stands for it.

    thermal, visible: H x W or H x W x 3, one of them None. orders: of their colours. gray: the fused image is
    without colour. last: the last alignment and the shape of its visible grid, on which a thermal image is
    laid. Raises ValueError where both are None.
    """
    if visible is not None:
        return _visible_alone(*brightness.visible_alone(visible), orders[1], gray)
    if thermal is None:
        raise ValueError('Predictor: neither a thermal nor a visible image was given')
    return _thermal_alone(thermal, orders[0], gray, brightness, *(last or (identity(), thermal.shape[:2])))


def _visible_alone(visible: np.ndarray, notes: tuple[Note, ...], order: str, gray: bool) -> Made:
    shape = visible.shape[:2]
    fused = color.eight_bit(visible)
    made = {
        'fused': color.gray(fused, order) if gray else fused,
        'deformation': np.full((*shape, 2), np.nan, np.float32),
        'valid': np.zeros(shape, np.uint8),
    }
    return _alone(np.eye(3), 'thermal', notes), made


def _thermal_alone(
    thermal: np.ndarray,
    order: str,
    gray: bool,
    brightness: Brightness,
    alignment: Alignment,
    shape: tuple[int, int],
) -> Made:
    deformation = warp.mark_outside(alignment.deformation(shape), thermal.shape)
    registered = warp.warp(thermal, deformation)
    brightness.thermal_alone(color.gray(thermal, order))
    fused = color.to_byte(brightness.apply(color.gray(registered, order)))
    made = {
        'fused': fused if gray else cv2.cvtColor(fused, cv2.COLOR_GRAY2BGR),
        'registered': registered,
        'deformation': deformation,
        'valid': np.zeros(shape, np.uint8),
    }
    return _alone(alignment.transform, 'visible'), made


def _alone(matrix: np.ndarray, missing: str, notes: tuple[Note, ...] = ()) -> Alignment:
    """Return the alignment of an image that nothing was fused with."""
    note = Note(f'{missing}_missing', f'no {missing} image: the other camera is passed through')
    return Alignment(matrix, 0.0, 'pass_through', cold=False, notes=(note, *notes))

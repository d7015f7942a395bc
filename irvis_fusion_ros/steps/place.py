"""Lays the thermal image on the visible grid."""

from dataclasses import dataclass

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.imaging.scene import PairScene

# Trust below this is not believed: 0 in the valid mask.
BELIEVED = 0.5
# Twice the pixels over which fusion fades out at the edge of the thermal image.
RAMP = 17


@dataclass(frozen=True)
class Placed:
    """
    The thermal image of a pair on the visible grid, H x W.

    deformation: H x W x 2 float32, without NaN; points: where it samples the thermal image, in its own pixels
    (warp.sampling_map). inside: H x W bool, where it has a value; shown: where both images show the scene,
    too. trust: H x W float32 [0, 1], None where it is one everywhere. measured: whether trust is of a
    measurement of this pair, or of one before. thermal: what is sampled, of its own dtype, which goes on
    beyond the edge, or None.
    """

    deformation: np.ndarray
    points: np.ndarray
    inside: np.ndarray
    shown: np.ndarray
    trust: np.ndarray | None
    measured: bool
    thermal: np.ndarray | None

    def fading(self) -> np.ndarray:
        """Return the weight that the thermal image may have in fusion, H x W float32 [0, 1]."""
        fading = _fading_out(self.shown)
        # what nothing registers, or a rig alone, is fused whole: people must not be lost from the picture.
        # The mask says what of it is not believed
        if self.trust is not None and self.measured:
            fading *= self.trust
        return fading

    def outputs(self, wanted: frozenset[str]) -> dict[str, np.ndarray]:
        """Return those of its outputs that are wanted, by name; what has no value is marked in place."""
        made = {}
        if 'valid' in wanted:
            believed = self.shown if self.trust is None else self.shown & (self.trust >= BELIEVED)
            made['valid'] = believed.astype(np.uint8) * np.uint8(255)
        for name, image, outside in (
            ('deformation', self.deformation, np.nan),
            ('registered', self.thermal, 0),
        ):
            if name in wanted:
                warp.put_outside(image, self.inside, outside)
                made[name] = image
        return made


def place(alignment: Alignment, thermal: np.ndarray, scenes: PairScene, sampled: bool) -> Placed:
    """Return where a thermal image, H x W or H x W x 3, lies; sampled: and its values there."""
    shape = scenes.visible.shape
    deformation = alignment.deformation(shape)
    points = warp.sampling_map(deformation, thermal.shape)
    inside = warp.inside(points, thermal.shape)
    return Placed(
        deformation,
        points,
        inside,
        inside if scenes.whole else inside & scenes.seen(points),
        alignment.trust_map(shape),
        alignment.source not in ('identity', 'calibration'),
        warp.sample(thermal, points) if sampled else None,
    )


def _fading_out(inside: np.ndarray) -> np.ndarray:
    """Return 1 inside, 0 outside, with a ramp just inside the edge, H x W float32."""
    mask = inside.astype(np.float32)
    if inside.all():
        return mask
    ramp = cv2.blur(mask, (RAMP, RAMP), borderType=cv2.BORDER_REPLICATE)
    ramp *= 2
    ramp -= 1
    np.clip(ramp, 0, 1, out=ramp)
    ramp *= mask  # where the edge meets that of the picture the ramp reaches out of it
    return ramp

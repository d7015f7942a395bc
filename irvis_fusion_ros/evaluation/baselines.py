"""
Baselines that a system is compared with, as presets of their own: `identity`, `identity-max` and
`gradient-ecc`; `fusion_register-alone`, which is FusionRegister without its evidence; and `swift_lite-...`,
which lack an ingredient of `swift_lite` (ablations.py).

Only evaluation knows these presets; the node does not offer them.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from irvis_fusion_ros.alignment import Alignment, identity
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import SystemConfig


class Identity:
    """Returns identity, which stretches thermal to the visible grid, and fuses by average or maximum."""

    devices = ('cpu',)

    precision = 'float32'

    def __init__(self, fusion: str = 'average'):
        self._join = {'average': _average, 'max': np.maximum}[fusion]

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        return identity()

    def fuse(self, visible: np.ndarray, thermal: np.ndarray, trust: np.ndarray) -> np.ndarray:
        return visible + (self._join(visible, thermal) - visible) * trust

    def reset(self) -> None:
        pass


class GradientEcc(Identity):
    """
    Plain affine ECC (Evangelidis and Psarakis, 2008) on gradient magnitude, always from a cold start.

    It uses gradient magnitude, because the contrast of the two cameras is reversed in places. If the
    iteration fails, it returns identity.
    """

    ITERATIONS = 100
    EPSILON = 1e-5
    SMOOTHING = 5

    def register(self, thermal: np.ndarray, visible: np.ndarray) -> Alignment:
        stretched = warp.warp(thermal, np.zeros((*visible.shape, 2), np.float32))
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, self.ITERATIONS, self.EPSILON)
        try:
            correlation, affine = cv2.findTransformECC(
                _gradient(visible),
                _gradient(stretched),
                np.eye(2, 3, dtype=np.float32),
                cv2.MOTION_AFFINE,
                criteria,
                None,
                self.SMOOTHING,
            )
        except cv2.error:
            return identity()
        backward = np.vstack([affine.astype(np.float64), (0, 0, 1)])
        return Alignment(backward, confidence=float(np.clip(correlation, 0, 1)), source='search')


BASELINES = {
    'identity': registry.Preset(('cpu',), lambda config, temporal: Identity()),
    'identity-max': registry.Preset(('cpu',), lambda config, temporal: Identity('max')),
    'gradient-ecc': registry.Preset(('cpu',), lambda config, temporal: GradientEcc()),
    'fusion_register-alone': registry.Preset(
        ('cuda', 'cpu'),
        'irvis_fusion_ros.systems.factories:fusion_register_alone',
        backbone='average',
        alone=True,
    ),
    **{
        f'swift_lite-{name}': registry.Preset(
            ('cpu', 'cuda'), f'irvis_fusion_ros.evaluation.ablations:{name}', targets=True
        )
        for name in ('network', 'refined', 'two', 'rigid')
    },
}
# The presets that evaluation can compare: those of users and the baselines.
PRESETS = registry.PRESETS | BASELINES


def systems(
    presets: Sequence[str], device: str = 'auto', backbone: str = '', registration_first: str = 'auto'
) -> dict[str, SystemConfig]:
    """
    Return the system of each preset; backbone and registration_first apply to presets that let one choose
    them.

    Raises ChoiceError for options that do not go together: if no preset lets one choose, the first one
    reports it.
    """
    found = {preset: SystemConfig(preset, device, presets=PRESETS) for preset in presets}
    choosing = [preset for preset, system in found.items() if system.backbone is not None]
    for preset in choosing or presets:
        found[preset] = replace(found[preset], backbone=backbone, registration_first=registration_first)
    return found


def _average(visible: np.ndarray, thermal: np.ndarray) -> np.ndarray:
    return (visible + thermal) / 2


def _gradient(image: np.ndarray) -> np.ndarray:
    along, down = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    # not cv2.magnitude: its last bit depends on the alignment of arrays in memory, so runs would differ
    return np.sqrt(along * along + down * down)

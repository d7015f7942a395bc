"""Says how the thermal image of each pair of a stream lies on the visible one."""

from dataclasses import replace

from irvis_fusion_ros import lazy
from irvis_fusion_ros.alignment import Alignment, Note, identity
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.imaging.brightness import BrightPair
from irvis_fusion_ros.rig.aligner import RigAligner
from irvis_fusion_ros.rig.refiner import Refiner
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import SystemConfig

# It brings torch, which takes nearly 200 MB and is not everywhere.
_WHERE_TARGETS = 'irvis_fusion_ros.systems.where_targets:WhereTargets'
BLANK = '{} image is {}: it is fused with the last alignment; check the camera'


class Registration:
    """
    Registers as a rig says, where there is one; else with the system of a config, or with the one that it
    names to register first; and as before where an image shows nothing.

    temporal: use earlier frames. `system` is what fuses. `last` is the last alignment and the shape of its
    visible image, or None. Raises FileError for weights that are missing or damaged.
    """

    STREAM = ('system', '_first', '_rig', 'last')

    def __init__(self, config: SystemConfig, temporal: bool):
        self._temporal = temporal
        self._rig: RigAligner | None = None
        self.last: tuple[Alignment, tuple[int, int]] | None = None
        self.build(config)

    def build(self, config: SystemConfig) -> None:
        """Register with the systems of another config."""
        self.system = registry.build(config, self._temporal)
        first = config.first
        self._first = None if first is None else registry.build(first, self._temporal)

    @property
    def calibration(self) -> Calibration | None:
        """The rig, if there is one."""
        return None if self._rig is None else self._rig.calibration

    def use_rig(self, calibration: Calibration | None, refine: bool, targets_on: str | None) -> None:
        """
        Register as a rig says, or with the system again.

        refine: fit each pair around the rig. targets_on: the device on which targets are sought that decide
        there, or None where they do not.
        """
        if calibration is None:
            self._rig = None
            return
        refiner = None
        if refine:
            where = None if targets_on is None else lazy.load(_WHERE_TARGETS)(targets_on)
            refiner = Refiner(calibration, self._temporal, where)
        self._rig = RigAligner(calibration, refiner)

    def reset(self) -> None:
        """Forget the stream."""
        self._reset_search()
        self.last = None

    def align(self, pair: BrightPair) -> Alignment:
        """Return the alignment of a pair."""
        if pair.cut_anew:
            self._reset_search()
        found = self._align(pair)
        self.last = found, pair.luma.shape
        return found

    def _reset_search(self) -> None:
        for each in (self.system, self._first, self._rig):
            if each is not None:
                each.reset()

    def _align(self, pair: BrightPair) -> Alignment:
        blank = tuple(Note(f'{name}_{why}', BLANK.format(name, why)) for name, why in pair.absent.items())
        if self._rig is not None:
            return self._rig.align(pair, blank)
        if not blank:
            return pair.aligned_by((self._first or self.system).register)
        last, shape = self.last or (identity(), None)
        if shape != pair.luma.shape or last.source == 'identity':
            return identity(0.0, blank)
        return replace(last, source='held', confidence=0.0, cold=False, notes=blank)

"""Runs systems on moved pairs and videos, and scores their results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.data import datasets, protocols
from irvis_fusion_ros.data.datasets import ImagePair
from irvis_fusion_ros.errors import FileError, ImageError
from irvis_fusion_ros.evaluation import baselines, boxes
from irvis_fusion_ros.evaluation.metrics import fusion, registration
from irvis_fusion_ros.evaluation.metrics.registration import Registration
from irvis_fusion_ros.evaluation.metrics.video import Steadiness
from irvis_fusion_ros.geometry import warp
from irvis_fusion_ros.geometry.random_warp import KnownWarp
from irvis_fusion_ros.imaging import color
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.predictor import FusionResult, Predictor

# The preset that only fuses, by a backbone.
BACKBONE_ALONE = 'unregistered'


@dataclass(frozen=True)
class Case:
    """
    One moved pair: `thermal` is the input of the method, `target` the perfectly registered thermal image.

    still: the thermal image before it was moved, None where the pair was recorded misaligned.
    """

    pair: ImagePair
    protocol: str
    warp: int
    known: KnownWarp
    shown: np.ndarray
    thermal: np.ndarray
    visible: np.ndarray
    target: np.ndarray
    still: np.ndarray | None


def cases(pair: ImagePair, protocol: str, seed: int = 0) -> Iterator[Case]:
    """Yield the moved pairs of one pair under one protocol."""
    thermal, visible = datasets.read(pair)
    if protocol == protocols.NATURAL:
        known = registration.natural_warp(pair.calibration, thermal.shape, visible.shape)
        truth, shown = known.truth()
        yield Case(pair, protocol, 0, known, shown, thermal, visible, warp.warp(thermal, truth), None)
        return
    for index, known in enumerate(protocols.warps(protocol, thermal.shape, pair.name, seed)):
        _, shown = known.truth()
        yield Case(pair, protocol, index, known, shown, known.move(thermal), visible, thermal, thermal)


class Runner:
    """
    Evaluates presets (baselines included), each with predictors that are made once and warmed up.

    fusion: also score fused images, which takes seconds per pair. aligned: give every preset the alignment of
    pairs that are not moved, so that only its fusion is scored. backbone and registration_first: for presets
    that let one choose them (predictor.Predictor). targets: which of them the fusion shows.
    """

    def __init__(
        self,
        presets: Sequence[str],
        device: str = 'auto',
        seed: int = 0,
        fusion: bool = False,
        aligned: bool = False,
        backbone: str = '',
        registration_first: str = 'auto',
        targets: str = 'warm',
    ):
        # the baseline of a system that corrects a fused image is its backbone alone
        chosen = (*presets, BACKBONE_ALONE)
        self._systems = baselines.systems(chosen, device, backbone, registration_first)
        self._presets = presets
        self._seed = seed
        self._fusion = fusion
        self._aligned = aligned
        self._targets = targets
        self._predictors: dict[str, Predictor] = {}
        self._aligned_predictors: dict[str, Predictor] = {}

    def pair(self, pair: ImagePair, names: Sequence[str]) -> list[dict]:
        """Return the records of one pair for these protocols and every preset."""
        unmoved: dict[str, FusionResult] = {}
        records = []
        for protocol in names:
            if protocol == protocols.NATURAL and pair.boxes is not None:
                records += [self._boxes_record(pair, preset) for preset in self._presets]
                continue
            for case in cases(pair, protocol, self._seed):
                for preset in self._presets:
                    if case.still is not None and preset not in unmoved:
                        unmoved[preset] = self.predict(preset, case.still, case.visible, pair.name)
                    records.append(self._record(case, preset, unmoved.get(preset)))
        return records

    def predict(self, preset: str, thermal: np.ndarray, visible: np.ndarray, name: str) -> FusionResult:
        """Register and fuse one pair from a cold start."""
        if self._aligned:
            return self._fuse_by(preset, thermal, visible, np.eye(3), name)
        if preset not in self._predictors:
            self._predictors[preset] = self._predictor(preset, temporal=False)
            self._predictors[preset].warm_up(thermal.shape[:2], visible.shape[:2])
        return _predict(self._predictors[preset], thermal, visible, name)

    def video(self, name: str, frames: Sequence[ImagePair], protocol: str) -> list[dict]:
        """
        Return one record for each preset and warp: a video whose thermal camera is moved by a fixed warp.

        State is kept from frame to frame. The measures are those of evaluation/metrics/video.Steadiness, with
        endpoint_error the mean over the frames of the video and endpoint_errors the value of each frame.
        """
        first, _ = datasets.read(frames[0])
        return [
            {'preset': preset, 'protocol': protocol, 'video': name, 'warp': index, **measures}
            for index, known in enumerate(protocols.warps(protocol, first.shape, name, self._seed))
            for preset in self._presets
            for measures in [self._stream(preset, frames, known)]
        ]

    def _stream(self, preset: str, frames: Sequence[ImagePair], known: KnownWarp) -> dict:
        steadiness, (_, shown) = Steadiness(), known.truth()
        aligned_calibration = Calibration(np.eye(3), known.shape, known.shape)
        tracked, aligned = (
            self._predictor(preset, calibration=calibration) for calibration in (None, aligned_calibration)
        )
        tracked.warm_up(known.shape, known.shape)
        tone, errors, milliseconds = ThermalTone(), [], []
        for pair in frames:
            thermal, visible = datasets.read(pair)
            if thermal.shape != known.shape:
                raise FileError(f"pair '{pair.name}': the frames of its video differ in size")
            moved = known.move(thermal)
            result = _predict(tracked, moved, visible, pair.name)
            expected = _predict(aligned, thermal, visible, pair.name)
            field = registration.extrapolate(_registration_of(result))
            errors.append(float(registration.endpoint_errors(known, field)[shown].mean()))
            milliseconds.append(result.timing['total'])
            tone.update(thermal)
            steadiness.add(field, tone.apply(moved), _luma(result.fused), _luma(expected.fused))
        return {
            'endpoint_error': float(np.mean(errors)),
            'endpoint_error_worst': float(np.max(errors)),
            **steadiness.summary(),
            'milliseconds': spread(milliseconds),
            'endpoint_errors': errors,
        }

    def _predictor(self, preset: str, **options) -> Predictor:
        return Predictor(self._systems[preset], targets=self._targets, **options)

    def _record(self, case: Case, preset: str, unmoved: FusionResult | None) -> dict:
        if unmoved is not None and np.array_equal(case.thermal, case.still):
            result = unmoved
        else:
            result = self.predict(preset, case.thermal, case.visible, case.pair.name)
        tone = ThermalTone()
        tone.update(case.target)
        target = tone.apply(case.target)
        record = {
            **_about(preset, case.protocol, case.pair, case.warp, result),
            **registration.score(
                case.known,
                case.shown,
                _registration_of(result),
                None if unmoved is None else _registration_of(unmoved),
                tone.apply(result.registered),
                target,
            ),
        }
        if self._fusion:
            visible = color.luminance(case.visible, 'bgr')
            aligned = _luma(self._aligned_fusion(preset, case))
            record['fusion'] = fusion.score(_luma(result.fused), target, visible, aligned, case.shown)
        return record

    def _boxes_record(self, pair: ImagePair, preset: str) -> dict:
        """Return the record of a pair of which boxes of people are known, and no warp."""
        thermal, visible = datasets.read(pair, aligned=False)
        result = self.predict(preset, thermal, visible, pair.name)
        field = registration.extrapolate(_registration_of(result))
        return {
            **_about(preset, protocols.NATURAL, pair, 0, result),
            **boxes.score(pair.boxes, field, thermal.shape),
        }

    def _aligned_fusion(self, preset: str, case: Case) -> np.ndarray:
        """Return the preset's fusion with the true alignment given, without a correction after fusion."""
        thermal = case.thermal if case.still is None else case.still
        matrix = np.eye(3) if case.still is not None else case.pair.calibration
        # a system that corrects a fused image is compared with its backbone, not with itself
        name = BACKBONE_ALONE if self._systems[preset].backbone is not None else preset
        return self._fuse_by(name, thermal, case.visible, matrix, case.pair.name).fused

    def _fuse_by(
        self, preset: str, thermal: np.ndarray, visible: np.ndarray, matrix: np.ndarray, name: str
    ) -> FusionResult:
        """Fuse one pair by a known transform from thermal to visible pixels."""
        if preset not in self._aligned_predictors:
            self._aligned_predictors[preset] = self._predictor(preset, temporal=False)
        predictor = self._aligned_predictors[preset]
        predictor.calibration = Calibration(matrix, thermal.shape[:2], visible.shape[:2])
        return _predict(predictor, thermal, visible, name)


def spread(milliseconds: Sequence[float]) -> dict:
    """Return median and worst value."""
    return {'median': float(np.median(milliseconds)), 'worst': float(np.max(milliseconds))}


def _about(preset: str, protocol: str, pair: ImagePair, index: int, result: FusionResult) -> dict:
    """Return what every record starts with; index: of the warp."""
    return {
        'preset': preset,
        'protocol': protocol,
        'pair': pair.name,
        'scene': pair.scene,
        'warp': index,
        'milliseconds': result.timing['total'],
        'confidence': result.confidence,
        'source': result.source,
    }


def _predict(predictor: Predictor, thermal: np.ndarray, visible: np.ndarray, name: str) -> FusionResult:
    try:
        return predictor(thermal, visible)
    except ImageError as error:
        raise FileError(f"pair '{name}': {error}") from error


def _registration_of(result: FusionResult) -> Registration:
    """Return the registration of the thermal image."""
    return Registration(result.deformation, result.transform)


def _luma(fused: np.ndarray) -> np.ndarray:
    return color.luminance(fused, 'bgr')
